//! Units and their drop-ins.

use crate::finding::{Finding, quoted};
use crate::model::Unit;
use crate::names;
use crate::schema::{self, Kind};

use super::fields::Fields;

/// Checks `coreos.units`.
pub fn units(coreos: Fields<'_>, findings: &mut Vec<Finding>) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for fields in coreos.maps("units") {
        let Some(name) = fields.text("name") else {
            if !fields.has("name") {
                findings.push(Finding::error(fields.0.at, "unit has no name"));
            }
            continue;
        };
        if let Err(why) = names::unit(name) {
            findings.push(Finding::error(fields.at("name"), format!("name of the unit {why}")));
        }
        let unit = unit(name, fields, findings);
        let twice = |other: &Unit| other.name == name && other.content.is_some() && unit.content.is_some();
        if units.iter().any(twice) {
            let message = format!("unit {} has content already", quoted(name));
            findings.push(Finding::error(fields.at("content"), message));
        }
        units.push(unit);
    }
    units
}

fn unit(name: &str, fields: Fields<'_>, findings: &mut Vec<Finding>) -> Unit {
    let mut drop_ins: Vec<(String, String)> = Vec::new();
    for drop_in in fields.maps("drop_ins") {
        let (Some(name), Some(content)) = (drop_in.text("name"), drop_in.text("content")) else {
            if !(drop_in.has("name") && drop_in.has("content")) {
                findings.push(Finding::error(drop_in.0.at, "drop-in has no name or no content"));
            }
            continue;
        };
        if let Err(why) = names::drop_in(name) {
            findings.push(Finding::error(drop_in.at("name"), format!("name of the drop-in {why}")));
        }
        if drop_ins.iter().any(|(other, _)| other == name) {
            findings.push(Finding::error(
                drop_in.at("name"),
                format!("drop-in {} is there already", quoted(name)),
            ));
        }
        drop_ins.push((name.to_owned(), content.to_owned()));
    }
    let command = fields.word("command", commands());
    let (is_network, mask) = (names::is_network(name), fields.flag("mask"));
    if is_network && (command.is_some() || fields.flag("enable")) {
        let message = "networkd reads this file by itself: command and enable are passed over";
        findings.push(Finding::info(fields.0.at, message));
    }
    if mask && fields.text("content").is_some() {
        let message = "a masked unit has no content: mask wins";
        findings.push(Finding::warning(fields.at("content"), message));
    }
    if mask && fields.flag("enable") {
        findings.push(Finding::warning(fields.at("enable"), "a masked unit cannot be enabled: mask wins"));
    }
    Unit {
        name: name.to_owned(),
        content: fields.owned("content").filter(|_| !mask),
        drop_ins,
        mask,
        runtime: fields.flag("runtime"),
        enable: fields.flag("enable") && !is_network && !mask,
        command: command.filter(|_| !is_network),
    }
}

/// The words of the table.
fn commands() -> &'static [&'static str] {
    let kind =
        schema::section("coreos.units[]").and_then(|section| section.key("command")).map(|key| key.kind);
    if let Some(Kind::Word(words)) = kind { words } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check_says, checked, config};

    #[test]
    fn a_unit_has_all_its_keys() {
        let config = config(
            "coreos:\n  units:\n  - name: a.service\n    content: |\n      [Service]\n    drop-ins:\n    - name: 1.conf\n      \
             content: x\n    runtime: true\n    enable: true\n    command: try-restart\n  - name: b.service\n    mask: true\n",
        );
        let [a, b] = &config.units[..] else { panic!() };
        assert_eq!(a.content.as_deref(), Some("[Service]\n"));
        assert_eq!(a.drop_ins, [("1.conf".to_owned(), "x".to_owned())]);
        assert_eq!((a.runtime, a.enable, a.command), (true, true, Some("try-restart")));
        assert!(b.mask && b.command.is_none());
    }

    #[test]
    fn names_with_slashes_or_without_a_type_are_errors() {
        check_says("coreos: {units: [{name: ../a.service}]}\n", &["1:25: error: name of the unit"]);
        check_says("coreos: {units: [{name: etcd}]}\n", &["1:25: error: name of the unit has no type"]);
        check_says("coreos: {units: [{command: start}]}\n", &["1:18: error: unit has no name"]);
        check_says(
            "coreos: {units: [{name: a.service, drop-ins: [{name: ../x.conf, content: y}, {name: a.conf}]}]}\n",
            &["1:54: error: name of the drop-in", "1:78: error: drop-in has no name or no content"],
        );
        check_says(
            "coreos: {units: [{name: a.service, content: x}, {name: a.service, content: y}]}\n",
            &["1:76: error: unit \"a.service\" has content already"],
        );
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        check_says(
            "coreos: {units: [{name: a.network, content: x, command: restart}]}\n",
            &["1:18: info: networkd"],
        );
        let (config, lines) =
            checked("coreos: {units: [{name: a.service, content: x, mask: true, enable: true}]}\n");
        assert_eq!(lines.len(), 2, "{lines:?}");
        let unit = &config.unwrap().units[0];
        assert!(unit.content.is_none() && !unit.enable && unit.mask);
    }
}
