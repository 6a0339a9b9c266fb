//! The worked examples are right, are listed, and mean what they meant: each has its plan beside it, which
//! `UPDATE_EXPECT=1` writes anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cloud_config::apply::tree::Tree;
use cloud_config::facts;
use cloud_config::merge::merge;
use cloud_config::metadata::{Addresses, Metadata};
use cloud_config::model::Config;
use cloud_config::plan::{Action, Inputs, KEY_SET, Plan, plan};
use cloud_config::read::validate;
use cloud_config::substitute::Unknown;
use cloud_config::{UserData, read};
use expect_test::expect_file;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating/cloud-config");
const PLANS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/examples");
/// A base and what goes on top: what both make together is planned too.
const BASE: &str = "oem.yml";
const ON_TOP: &str = "oem-user-data.yml";

/// Names of the files of a folder.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(Path::new(EXAMPLES).join(name)).unwrap()
}

/// A machine before its first configuration, as far as a plan asks.
fn machine() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    file("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    file("etc/passwd", "root:x:0:0::/root:/bin/bash\ncore:x:500:500::/home/core:/bin/bash\n");
    file(
        "etc/group",
        "root:x:0:\ncore:x:500:\nsudo:x:27:core\ndocker:x:990:core\nsystemd-journal:x:999:core\n",
    );
    file("usr/share/zoneinfo/Europe/Berlin", "");
    for unit in ["docker", "etcd", "slipway-cloudinit", "slipway-update"] {
        file(&format!("usr/lib/systemd/system/{unit}.service"), "[Install]\nWantedBy=multi-user.target\n");
    }
    dir
}

/// What the place of a machine says to a file that asks for an address.
fn metadata(text: &[u8]) -> Metadata {
    let asks = String::from_utf8_lossy(text).contains("$private_ipv4");
    let private_ipv4 = asks.then(|| "192.0.2.11".parse().unwrap());
    Metadata { addresses: Addresses { private_ipv4, ..Addresses::default() }, ..Metadata::default() }
}

fn user_data(name: &str) -> UserData {
    let bytes = bytes(name);
    let (data, findings) = read(&bytes, &metadata(&bytes).addresses, Unknown::Refuse);
    data.unwrap_or_else(|| panic!("{name}: {findings:?}"))
}

fn config(name: &str) -> Config {
    match user_data(name) {
        UserData::Config(config) => *config,
        other => panic!("{name}: {other:?}"),
    }
}

fn planned(config: &Config, script: Option<&str>, metadata: &Metadata) -> Plan {
    let dir = machine();
    let facts = facts::read(&Tree::open(dir.path()).unwrap(), config).unwrap();
    plan(Inputs { config, script, metadata, facts: &facts, key_set: KEY_SET })
}

/// Shows a plan, with what is in its files.
fn shown(plan: &Plan) -> String {
    let mut text: String = plan.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    for action in &plan.actions {
        text.push_str(&format!("{action}\n"));
        if let Action::File(file) = action {
            let content = String::from_utf8_lossy(&file.content.0);
            text.extend(content.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n"));
        }
    }
    text
}

fn plan_of(name: &str) -> Plan {
    let metadata = metadata(&bytes(name));
    match user_data(name) {
        UserData::Config(config) => planned(&config, None, &metadata),
        UserData::Script(text) => planned(&Config::default(), Some(&text), &metadata),
        UserData::Ignition => panic!("{name} is for another program"),
    }
}

#[test]
fn nothing_is_to_be_said_about_an_example() {
    for name in names(EXAMPLES) {
        assert_eq!(validate(&bytes(&name)), [], "{name}");
    }
}

#[test]
fn each_example_says_at_its_head_what_it_is_for_and_what_to_change() {
    for name in names(EXAMPLES) {
        let text = String::from_utf8(bytes(&name)).unwrap();
        let head: Vec<_> = text.lines().skip(1).take_while(|line| line.starts_with("# ")).collect();
        assert!((2..=5).contains(&head.len()), "{name}: {head:?}");
        assert!(head.iter().any(|line| line.to_lowercase().contains("change ")), "{name}: {head:?}");
    }
}

#[test]
fn each_example_means_what_it_meant() {
    for name in names(EXAMPLES) {
        expect_file![format!("{PLANS}/{name}.plan")].assert_eq(&shown(&plan_of(&name)));
    }
}

#[test]
fn base_and_user_data_are_one_plan() {
    let merged = merge(config(BASE), config(ON_TOP));
    let plan = planned(&merged, None, &Metadata::default());
    expect_file![format!("{PLANS}/{BASE}+{ON_TOP}.plan")].assert_eq(&shown(&plan));
}

#[test]
fn the_example_of_the_talk_is_the_one_of_the_other_tests() {
    let bytes = include_bytes!("data/talk.yml");
    assert_eq!(read(bytes, &Addresses::default(), Unknown::Refuse).0, Some(user_data("talk.yml")));
}

#[test]
fn plans_are_those_of_the_examples() {
    let mut expected: BTreeSet<_> = names(EXAMPLES).iter().map(|name| format!("{name}.plan")).collect();
    expected.insert(format!("{BASE}+{ON_TOP}.plan"));
    assert_eq!(names(PLANS), expected);
}

#[test]
fn the_page_lists_each_example() {
    let page = include_str!("../../../docs/operating/cloud-config.md");
    let listed: BTreeSet<_> = page
        .split("](cloud-config/")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect();
    assert_eq!(listed, names(EXAMPLES));
}
