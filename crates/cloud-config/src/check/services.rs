//! Options of services, settings of updates, and who made the machine.

use crate::environment;
use crate::finding::Finding;
use crate::model::{Oem, Options, Update};
use crate::schema::{self, Kind};

use super::accounts::is_url;
use super::fields::Fields;

/// Checks a section of options and returns them by the names of the service's environment, without its prefix.
pub fn options(coreos: Fields<'_>, section: &str, findings: &mut Vec<Finding>) -> Options {
    let fields = coreos.section(section);
    let options = values(fields, section, findings);
    if section == "flannel" && !options.is_empty() {
        let message = "flannel is not in the image: its options are written to /run/flannel/options.env, and \
                       nothing else is done with them";
        findings.push(Finding::info(fields.0.at, message));
    }
    options.into_iter().map(|(key, value)| (variable(section, key), value)).collect()
}

/// Returns what is set in a section, by the names of the table; yes and no are `true` and `false`.
pub fn values(fields: Fields<'_>, section: &str, findings: &mut Vec<Finding>) -> Vec<(&'static str, String)> {
    let keys = schema::section(&format!("coreos.{section}")).map(|section| section.keys).unwrap_or_default();
    let mut values = Vec::new();
    for key in keys {
        let Some(text) = fields.text(key.name) else { continue };
        if !environment::is_value(text) {
            let message = format!("{} has control characters", key.name);
            findings.push(Finding::error(fields.at(key.name), message));
        }
        let value = match key.kind {
            Kind::Flag => schema::flag(text).unwrap_or_default().to_string(),
            Kind::Word(words) => schema::word(text, words).unwrap_or(text).to_owned(),
            _ => text.to_owned(),
        };
        values.push((key.name, value));
    }
    values
}

fn variable(section: &str, key: &str) -> String {
    match (section, key) {
        ("locksmith", "window_start" | "window_length") => format!("REBOOT_{}", key.to_uppercase()),
        ("flannel", "interface") => "IFACE".to_owned(),
        _ => key.to_uppercase(),
    }
}

/// Checks `coreos.update` by what the update agent takes.
pub fn update(coreos: Fields<'_>, findings: &mut Vec<Finding>) -> Update {
    let fields = coreos.section("update");
    let kind = schema::section("coreos.update").and_then(|section| section.key("reboot_strategy"));
    let strategy = match kind.map(|key| key.kind) {
        Some(Kind::Word(words)) => fields.word("reboot_strategy", words),
        _ => None,
    };
    let group = fields.owned("group");
    let is_channel = |group: &String| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        group.len() <= 32 && group.bytes().all(allowed)
    };
    if group.as_ref().is_some_and(|group| !is_channel(group)) {
        let message = "group is no name of a channel: 1 to 32 of a-z, 0-9 and `-`";
        findings.push(Finding::error(fields.at("group"), message));
    }
    let server = fields.owned("server");
    if server.as_ref().is_some_and(|server| !is_url(server) || server.contains(['?', '#'])) {
        let message = "server is no http:// or https:// URL without `?`";
        findings.push(Finding::error(fields.at("server"), message));
    }
    Update { reboot_strategy: strategy, group, server }
}

/// Checks `coreos.oem`; without an id there is none.
pub fn oem(coreos: Fields<'_>, findings: &mut Vec<Finding>) -> Option<Oem> {
    let fields = coreos.section("oem");
    let mut text = |key: &str| {
        let text = fields.text(key).unwrap_or_default();
        if text.chars().any(char::is_control) {
            findings.push(Finding::error(fields.at(key), format!("{key} has control characters")));
        }
        text.to_owned()
    };
    let oem = Oem {
        id: text("id"),
        name: text("name"),
        version_id: text("version_id"),
        home_url: text("home_url"),
        bug_report_url: text("bug_report_url"),
    };
    if oem.id.is_empty() && oem != Oem::default() {
        findings.push(Finding::warning(fields.0.at, "oem has no id: it is passed over"));
    }
    Some(oem).filter(|oem| !oem.id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check_says, checked, config};

    #[test]
    fn options_have_the_names_of_the_services_environment() {
        let config = config(
            "coreos: {fleet: {metadata: \"a=b,c=d\", verify-units: no, etcd-servers: http://h:1}, \
             locksmith: {window-start: Thu 04:00, window-length: 1h, group: g}}\n",
        );
        let fleet: Vec<_> = config.fleet.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(fleet, ["ETCD_SERVERS=http://h:1", "METADATA=a=b,c=d", "VERIFY_UNITS=false"]);
        let locksmith: Vec<_> = config.locksmith.keys().map(String::as_str).collect();
        assert_eq!(locksmith, ["GROUP", "REBOOT_WINDOW_LENGTH", "REBOOT_WINDOW_START"]);
    }

    #[test]
    fn flannel_is_taken_with_a_note() {
        let (config, lines) = checked("coreos: {flannel: {interface: eth0, ip-masq: yes}}\n");
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("f:1:19: info: flannel is not in the image"), "{lines:?}");
        assert_eq!(config.unwrap().flannel["IFACE"], "eth0");
    }

    #[test]
    fn strategies_are_words_also_where_yaml_has_a_boolean() {
        for off in ["off", "false", "no", "\"off\""] {
            let config = config(&format!("coreos: {{update: {{reboot-strategy: {off}}}}}\n"));
            assert_eq!(config.update.reboot_strategy, Some("off"), "{off}");
        }
        check_says("coreos: {update: {reboot_strategy: never}}\n", &["1:36: error: invalid value \"never\""]);
        check_says(
            "coreos: {update: {group: A b, server: u}}\n",
            &["1:26: error: group", "1:39: error: server"],
        );
    }

    #[test]
    fn values_that_no_environment_can_hold_are_errors() {
        check_says(
            "coreos: {fleet: {metadata: \"a\\eb\"}}\n",
            &["1:28: error: metadata has control characters"],
        );
        check_says(
            "coreos: {oem: {id: a, name: \"a\\nb\"}}\n",
            &["1:29: error: name has control characters"],
        );
        check_says("coreos: {oem: {name: a}}\n", &["1:15: warning: oem has no id"]);
    }
}
