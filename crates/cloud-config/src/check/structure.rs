//! The shape of a tree, by the table of keys: unknown keys, wrong types, values outside of their patterns.

use crate::finding::{Finding, Position, quoted};
use crate::schema::{self, Key, Kind, Section};
use crate::suggest::nearest;
use crate::yaml::{Entry, Node, Value};

/// Checks a whole file.
pub fn check(root: &Node, findings: &mut Vec<Finding>) {
    let Some(top) = schema::section("") else { return };
    if !matches!(root.value, Value::Null | Value::Map(_)) {
        findings.push(Finding::error(root.at, "is no map of keys, as in `hostname: node1`"));
        return;
    }
    section(root, top, findings);
}

fn section(node: &Node, section: &Section, findings: &mut Vec<Finding>) {
    for entry in node.entries() {
        match section.key(&entry.key) {
            Some(key) => value(entry, key, section, findings),
            None => findings.push(unknown(entry, section)),
        }
    }
}

fn value(entry: &Entry, key: &Key, parent: &Section, findings: &mut Vec<Finding>) {
    let Entry { written, at, node, .. } = entry;
    if let Some(why) = key.deprecated {
        findings.push(Finding::warning(*at, format!("deprecated key {written:?} ({why})")));
    }
    let path = parent.path_of(key.name);
    match (key.kind, &node.value) {
        // A key without a value is like none.
        (_, Value::Null) => {}
        (Kind::Map, Value::Map(_)) => nested(node, &path, findings),
        (Kind::Maps, Value::List(items)) => {
            for item in items {
                match item.value {
                    Value::Map(_) => nested(item, &format!("{path}[]"), findings),
                    _ => findings.push(wrong_type(item.at, &format!("{written}[]"), "map")),
                }
            }
        }
        (Kind::Texts, Value::List(items)) => {
            let wrong = items.iter().filter(|item| matches!(item.value, Value::List(_) | Value::Map(_)));
            findings.extend(wrong.map(|item| wrong_type(item.at, &format!("{written}[]"), "string")));
        }
        (kind, Value::Text(text)) => scalar(node.at, written, kind, text, findings),
        (kind, _) => findings.push(wrong_type(node.at, written, kind.wanted())),
    }
}

fn nested(node: &Node, path: &str, findings: &mut Vec<Finding>) {
    // A test of the table says that every map is a section.
    if let Some(found) = schema::section(path) {
        section(node, found, findings);
    }
}

fn scalar(at: Position, written: &str, kind: Kind, text: &str, findings: &mut Vec<Finding>) {
    let is_right = match kind {
        Kind::Text => true,
        Kind::Flag => schema::flag(text).is_some(),
        Kind::Count => text.parse::<u64>().is_ok(),
        Kind::Form(form) if text.is_empty() || form.accepts(text) => true,
        Kind::Word(words) if text.is_empty() || schema::word(text, words).is_some() => true,
        Kind::Form(_) => {
            findings.push(Finding::error(at, format!("invalid value {}", quoted(text))));
            return;
        }
        Kind::Word(words) => {
            let meant = nearest(text, words.iter().copied()).map(str::to_owned);
            findings.push(Finding::error(at, format!("invalid value {}", quoted(text))).suggesting(meant));
            return;
        }
        Kind::Texts | Kind::Map | Kind::Maps => false,
    };
    if !is_right {
        findings.push(wrong_type(at, written, kind.wanted()));
    }
}

fn wrong_type(at: Position, written: &str, wanted: &str) -> Finding {
    Finding::error(at, format!("incorrect type for {written:?} (want {wanted})"))
}

fn unknown(entry: &Entry, section: &Section) -> Finding {
    let Entry { key, written, at, .. } = entry;
    if section.path == "coreos" && key == "write_files" {
        return Finding::info(*at, "write_files doesn't belong under coreos");
    }
    let here = nearest(key, section.keys.iter().map(|known| known.name)).map(str::to_owned);
    // The right key at the wrong place.
    let elsewhere = || {
        let at_top = schema::section("")?.key(key).map(|_| key.clone());
        at_top.or_else(|| schema::section("coreos")?.key(key).map(|_| format!("coreos.{key}")))
    };
    let meant = here.or_else(elsewhere);
    Finding::warning(*at, format!("unrecognized key {}", quoted(written))).suggesting(meant)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check_says, checked, config};
    use crate::model::Config;
    use crate::schema::{Kind, SECTIONS};

    #[test]
    fn the_example_of_the_talk_is_right() {
        let text = "#cloud-config\nusers:\n  - name: core\n    coreos-ssh-import-github: philips\n\
            coreos:\n  etcd:\n    discovery: https://discovery.etcd.io/ba09c\n  units:\n\
            \x20   - name: etcd.service\n      command: start\n    - name: fleet.service\n      command: start\n";
        let config = config(text);
        assert_eq!(config.users[0].github_users, ["philips"]);
        assert_eq!(config.etcd["DISCOVERY"], "https://discovery.etcd.io/ba09c");
        assert_eq!(config.units[1].command, Some("start"));
    }

    #[test]
    fn nothing_says_nothing() {
        for text in ["", "#cloud-config\n", "users:\ncoreos:\n", "hostname: \"\"\n", "coreos: {units: }\n"] {
            assert_eq!(config(text), Config::default(), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_a_warning_that_names_the_right_one() {
        check_says(
            "hostnmae: a\n",
            &["1:1: warning: unrecognized key \"hostnmae\"; did you mean `hostname`?"],
        );
        check_says(
            "coreos:\n  unit:\n    - name: a\n",
            &["2:3: warning: unrecognized key \"unit\"; did you mean `units`?"],
        );
        check_says(
            "units: []\n",
            &["1:1: warning: unrecognized key \"units\"; did you mean `coreos.units`?"],
        );
        check_says("packages: [a]\n", &["1:1: warning: unrecognized key \"packages\""]);
        check_says("coreos:\n  write-files: []\n", &["2:3: info: write_files doesn't belong under coreos"]);
        check_says(
            "coreos: {etcd2: {ca-file: /a}}\n",
            &["1:18: warning: deprecated key \"ca-file\" (use trusted_ca_file and client_cert_auth)"],
        );
    }

    #[test]
    fn a_value_outside_of_its_pattern_is_an_error() {
        check_says(
            "coreos:\n  units:\n    - name: a.service\n      command: strat\n",
            &["4:16: error: invalid value \"strat\"; did you mean `start`?"],
        );
        check_says(
            "write_files:\n  - path: /a\n    encoding: rot13\n    permissions: u=rw\n",
            &["3:15: error: invalid value \"rot13\"", "4:18: error: invalid value \"u=rw\""],
        );
        check_says("manage_etc_hosts: true\n", &["1:19: error: invalid value \"true\""]);
        check_says(
            "coreos: {locksmith: {window-start: soon, window-length: 1d}}\n",
            &["1:36: error: invalid", "1:57: error: invalid"],
        );
    }

    /// A file in which nothing is wrong but the value of one key.
    fn file_with(section: &str, key: &str, value: &str) -> String {
        let mut text = format!("{key}: {value}");
        let mut path = section.to_owned();
        for part in section.split('.').rev().filter(|part| !part.is_empty()) {
            // Keys that a map cannot be without.
            let needed: &[(&str, &str)] = match path.as_str() {
                "users[]" => &[("name", "x")],
                "write_files[]" => &[("path", "/x")],
                "coreos.units[]" => &[("name", "x.service")],
                "coreos.units[].drop_ins[]" => &[("name", "x.conf"), ("content", "x")],
                _ => &[],
            };
            for (name, value) in needed {
                if !text.starts_with(&format!("{name}:")) {
                    text.push_str(&format!(", {name}: {value}"));
                }
            }
            text = match part.strip_suffix("[]") {
                Some(part) => format!("{part}: [{{{text}}}]"),
                None => format!("{part}: {{{text}}}"),
            };
            path.truncate(path.rfind('.').unwrap_or_default());
        }
        format!("{{{text}}}")
    }

    #[test]
    fn a_wrong_type_at_any_key_is_one_error() {
        let mut n_keys = 0;
        for section in SECTIONS {
            for key in section.keys {
                let wrong: &[&str] = match key.kind {
                    Kind::Text | Kind::Form(_) | Kind::Word(_) => &["[a]", "{a: b}"],
                    Kind::Flag => &["[a]", "{a: b}", "maybe"],
                    Kind::Count => &["[a]", "{a: b}", "-1", "1.5", "many"],
                    Kind::Texts => &["a", "{a: b}", "[[a]]", "[{a: b}]"],
                    Kind::Map => &["a", "[a]"],
                    Kind::Maps => &["a", "{a: b}", "[a]", "[[a]]"],
                };
                for value in wrong {
                    let text = file_with(section.path, key.name, value);
                    let (config, lines) = checked(&text);
                    let errors: Vec<_> = lines.iter().filter(|line| line.contains(": error: ")).collect();
                    assert!(config.is_none() && errors.len() == 1, "{text}: {lines:?}");
                    assert!(errors[0].contains("incorrect type for"), "{text}: {lines:?}");
                }
                n_keys += 1;
            }
        }
        assert!(n_keys > 150, "{n_keys}");
    }

    #[test]
    fn a_file_that_is_no_map_is_one_error() {
        check_says("- a\n- b\n", &["1:1: error: is no map of keys"]);
        check_says("#cloud-config\nhello\n", &["2:1: error: is no map of keys"]);
    }
}
