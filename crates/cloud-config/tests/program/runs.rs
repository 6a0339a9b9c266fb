//! Runs of the program after each other, and what it prints and records.

use std::fs;
use std::path::Path;

use super::machine::{Machine, call};

const RICH: &str = "#cloud-config\nhostname: a\ntimezone: Europe/Berlin\nmanage_etc_hosts: localhost\n\
    write_files:\n- path: /etc/one\n  content: one\n- path: /etc/two\n  content: two\n\
    coreos:\n  oem: {id: x}\n  update: {group: beta}\n  units:\n  - name: a.service\n    content: x\n  - name: b.service\n    mask: true\n";

#[test]
fn a_second_run_changes_nothing() {
    let machine = Machine::new();
    machine.file("/usr/share/zoneinfo/Europe/Berlin", "");
    let first = machine.applied(RICH, &[]);
    assert!(first.stdout.contains("done: write /etc/one"), "{}", first.stdout);
    let second = machine.applied(RICH, &[]);
    assert!(!second.stdout.contains("done: "), "{}", second.stdout);
    assert!(second.stdout.contains("unchanged: write /etc/one"), "{}", second.stdout);
    assert!(second.stdout.contains("unchanged: run systemctl daemon-reload"), "{}", second.stdout);
}

#[test]
fn a_dry_run_prints_the_plan_and_does_nothing() {
    let machine = Machine::new();
    let dry = machine.applied(RICH, &["--dry-run"]);
    assert_eq!(machine.paths(), Vec::<String>::new());
    let planned: Vec<_> = dry.stdout.lines().collect();
    assert_eq!(planned[0], "write /etc/hostname (0644 root, 2 bytes)");
    let wet = machine.applied(RICH, &[]);
    let done: Vec<_> = wet
        .stdout
        .lines()
        .map(|line| {
            line.split_once(": ").unwrap().1.trim_end_matches(": programs do not run below another root")
        })
        .collect();
    assert_eq!(planned, done);
    let again = machine.applied(RICH, &["--dry-run"]);
    assert!(again.stdout.lines().all(|line| line.ends_with(" (nothing to do)")), "{}", again.stdout);
}

#[test]
fn what_a_later_file_does_not_list_is_removed_unless_somebody_changed_it() {
    let machine = Machine::new();
    machine.file("/usr/share/factory/etc/hosts", "127.0.0.1 localhost\n");
    machine.applied(RICH, &[]);
    machine.file("/etc/two", "changed");
    let called = machine.applied("#cloud-config\nwrite_files: [{path: /etc/three, content: 3}]\n", &[]);
    assert!(called.stdout.contains("done: remove /etc/one"), "{}", called.stdout);
    assert!(
        called.stdout.contains("skipped: remove /etc/two: somebody changed it since"),
        "{}",
        called.stdout
    );
    // The version's default is back.
    assert_eq!(machine.text("/etc/hosts"), "127.0.0.1 localhost\n");
    let left = machine.paths();
    assert!(["/etc/two", "/etc/three"].iter().all(|path| left.contains(&(*path).to_owned())), "{left:?}");
    for gone in
        ["/etc/one", "/etc/hostname", "/etc/systemd/system/a.service", "/etc/systemd/system/b.service"]
    {
        assert!(!left.contains(&gone.to_owned()), "{gone}");
    }
    let record: serde_json::Value =
        serde_json::from_str(&machine.text("/var/lib/slipway/cloudinit/applied.json")).unwrap();
    let sha256_of_3 = "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce";
    assert_eq!(record, serde_json::json!({ "/etc/three": sha256_of_3 }));
}

#[test]
fn keys_that_are_taken_back_are_gone() {
    let machine = Machine::new();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me";
    machine.applied(format!("#cloud-config\nssh_authorized_keys: [\"{key}\"]\n"), &[]);
    assert_eq!(machine.text("/home/core/.ssh/authorized_keys"), format!("{key}\n"));
    machine.applied("#cloud-config\n", &[]);
    assert_eq!(machine.text("/home/core/.ssh/authorized_keys"), "");
}

#[test]
fn imported_keys_of_an_earlier_run_stay_when_there_is_no_import() {
    let machine = Machine::new();
    let set = "/home/core/.ssh/authorized_keys.d/github-philips";
    machine.file(set, "earlier\n");
    let called = machine.applied(include_str!("../data/talk.yml"), &[]);
    assert!(called.stdout.contains("skipped: import keys of core: set github-philips"), "{}", called.stdout);
    assert_eq!(machine.text(set), "earlier\n");
}

#[test]
fn a_step_that_fails_is_told_and_the_others_are_done() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("/etc/one")).unwrap();
    let called = machine.apply(RICH, &[]);
    assert_eq!(called.code, 1);
    assert!(called.stdout.contains("failed: write /etc/one"), "{}", called.stdout);
    assert_eq!(machine.text("/etc/two"), "two");
    let status: serde_json::Value =
        serde_json::from_str(&machine.text("/var/lib/slipway/cloudinit/status.json")).unwrap();
    let results: Vec<_> =
        status["steps"].as_array().unwrap().iter().map(|step| step["result"].clone()).collect();
    assert!(results.contains(&"failed".into()) && results.contains(&"ok".into()), "{results:?}");
}

#[test]
fn nothing_that_is_secret_is_printed_or_recorded() {
    let machine = Machine::new();
    let config = "#cloud-config\nusers: [{name: ann, passwd: $6$geheim}]\nwrite_files: [{path: /etc/a, content: geheim}]\n\
                  coreos: {fleet: {etcd-password: geheim}}\n";
    let called = machine.applied(config, &[]);
    let state = "/var/lib/slipway/cloudinit";
    let said = [called.stdout, called.stderr, machine.text(&format!("{state}/status.json"))];
    assert!(!said.concat().contains("geheim"), "{said:?}");
    assert_eq!(machine.mode("/run/systemd/system/fleet.service.d/20-cloudinit.conf"), 0o600);
    assert_eq!((machine.mode(state), machine.mode(&format!("{state}/status.json"))), (0o700, 0o600));
}

#[test]
fn scripts_are_kept_and_ignition_is_for_somebody_else() {
    let machine = Machine::new();
    let called = machine.applied("#!/bin/sh\necho hello\n", &[]);
    assert!(called.stdout.contains("run systemd-run --no-block"), "{}", called.stdout);
    let unit = machine.text("/var/lib/slipway/cloudinit/scripts/unit-name");
    assert!(unit.starts_with("coreos-cloudinit-") && unit.ends_with(".service\n"), "{unit}");
    let called = machine.applied("{\"ignition\": {\"version\": \"3.0.0\"}}", &[]);
    assert_eq!(called.stdout, "Detected an Ignition config. Exiting...\n");
}

#[test]
fn exit_codes_tell_errors_warnings_and_wrong_usage_apart() {
    let program = Path::new(env!("CARGO_BIN_EXE_slipway-cloudinit"));
    let machine = Machine::new();
    let validate = |text: &str| {
        let file = machine.user_data(text);
        let called = call(program, &["validate", file.to_str().unwrap()]);
        (called.code, called.stdout.replace(file.to_str().unwrap(), "f"))
    };
    assert_eq!(validate("#cloud-config\nhostname: a\n"), (0, String::new()));
    let key = "f:2:1: warning: unrecognized key \"hostnmae\"; did you mean `hostname`?\n";
    assert_eq!(validate("#cloud-config\nhostnmae: a\n"), (3, key.to_owned()));
    assert_eq!(validate("#cloud-config\ncoreos: {flannel: {interface: a}}\n").0, 0);
    assert_eq!(validate("#cloud-config\n- a\n").0, 1);
    assert_eq!(call(program, &["validate"]).code, 2);
    assert_eq!(call(program, &["apply", "--file", "/no/such/file", "--nonsense"]).code, 2);
    let called = call(program, &["validate", "/no/such/file"]);
    assert_eq!(called.code, 1);
    assert!(called.stderr.starts_with("error: reading /no/such/file: "), "{}", called.stderr);
}
