//! The acceptance scenarios that need no machine, each by its id.

use std::fs;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::machine::Machine;

const TALK: &str = include_str!("../data/talk.yml");
const ETCD: &str = "/run/systemd/system/etcd.service.d/20-cloudinit.conf";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me";

#[test]
fn b02_the_example_of_the_talk_gives_etcd_its_discovery() {
    let machine = Machine::new();
    let called = machine.applied(TALK, &[]);
    let text = machine.text(ETCD);
    assert!(text.starts_with("[Service]\n"), "{text}");
    assert!(text.contains("Environment=\"ETCD_DISCOVERY=https://discovery.etcd.io/ba09c\"\n"), "{text}");
    assert!(called.stdout.contains("systemctl --no-block start"), "{}", called.stdout);
}

#[test]
fn b04_variables_are_addresses_and_one_without_a_value_ends_the_run() {
    let config = |text: &str| {
        format!("#cloud-config\ncoreos:\n  fleet:\n    metadata: {text}\n  etcd:\n    addr: {text}\n")
    };
    let machine = Machine::new();
    let metadata = machine.beside("metadata.json", r#"{"private_ipv4": "10.0.0.5"}"#);
    let metadata = ["--metadata", metadata.to_str().unwrap()];
    machine.applied(config("$private_ipv4:4001"), &metadata);
    assert!(machine.text(ETCD).contains("10.0.0.5:4001"), "{}", machine.text(ETCD));
    let escaped = "#cloud-config\nwrite_files: [{path: /etc/a, content: \\$private_ipv4}]\n";
    machine.applied(escaped, &metadata);
    assert_eq!(machine.text("/etc/a"), "$private_ipv4");
    let blank = Machine::new();
    let called = blank.apply(config("$private_ipv4:4001"), &[]);
    assert_eq!((called.code, blank.paths()), (1, vec![]));
    assert!(
        called.stderr.contains(":4:15: error: no address is known for `$private_ipv4`"),
        "{}",
        called.stderr
    );
}

#[test]
fn b05_four_encodings_give_one_file_and_an_unknown_one_gives_none() {
    let text = "one\ntwo\n";
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    // Every byte as a character of the same number: YAML has no others.
    let escaped: String = packed.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let file = |path: &str, encoding: &str, content: &str| {
        format!("- path: {path}\n  permissions: \"0600\"\n  encoding: {encoding}\n  content: \"{content}\"\n")
    };
    let config = format!(
        "#cloud-config\nwrite_files:\n- path: /etc/x/plain\n  permissions: \"0600\"\n  content: \"one\\ntwo\\n\"\n{}{}{}",
        file("/etc/x/b64", "b64", &STANDARD.encode(text)),
        file("/etc/x/gzip", "gzip", &escaped),
        file("/etc/x/both", "gz+base64", &STANDARD.encode(&packed)),
    );
    let machine = Machine::new();
    machine.applied(&config, &[]);
    for name in ["plain", "b64", "gzip", "both"] {
        let path = format!("/etc/x/{name}");
        assert_eq!((machine.text(&path).as_str(), machine.mode(&path)), (text, 0o600), "{name}");
    }
    assert_eq!(machine.mode("/etc/x"), 0o755);
    let blank = Machine::new();
    let called = blank.apply(config.replace("b64\n", "rot13\n"), &[]);
    assert_eq!((called.code, blank.paths()), (1, vec![]));
    assert!(called.stderr.contains("error: invalid value \"rot13\""), "{}", called.stderr);
}

#[test]
fn b06_drop_ins_mask_and_enable_are_files_and_links_with_one_reload() {
    let config = "#cloud-config\ncoreos:\n  units:\n  - name: a.service\n    drop-ins:\n    - name: 1.conf\n      content: \"[Service]\\n\"\n    \
                  - name: 2.conf\n      content: \"[Unit]\\n\"\n  - name: b.service\n    mask: true\n  - name: c.service\n    enable: true\n    \
                  content: |\n      [Service]\n      ExecStart=/bin/true\n      [Install]\n      WantedBy=multi-user.target\n";
    let machine = Machine::new();
    let called = machine.applied(config, &[]);
    assert_eq!(machine.text("/etc/systemd/system/a.service.d/1.conf"), "[Service]\n");
    assert_eq!(machine.text("/etc/systemd/system/a.service.d/2.conf"), "[Unit]\n");
    let target = |path: &str| fs::read_link(machine.path(path)).unwrap();
    assert_eq!(target("/etc/systemd/system/b.service").to_str(), Some("/dev/null"));
    let wants = "/etc/systemd/system/multi-user.target.wants/c.service";
    assert_eq!(target(wants).to_str(), Some("/etc/systemd/system/c.service"));
    assert_eq!(called.stdout.matches("daemon-reload").count(), 1, "{}", called.stdout);
}

#[test]
fn b08_a_misspelt_first_line_is_told_in_the_words_of_the_original() {
    let called = Machine::new().validate_as_original("#cloud-confg\nusers: []\n");
    assert_eq!(called.stdout, "line 1: error: must be \"#cloud-config\" or begin with \"#!\"\n");
    assert_eq!(called.code, 1);
}

#[test]
fn b09_findings_have_line_and_level_and_a_right_file_has_none() {
    let config = "#cloud-config\nhostnmae: a\nusers: core\nwrite_files:\n- path: /usr/bin/a\ncoreos:\n  units:\n  \
                  - name: a.service\n    command: strat\n";
    let called = Machine::new().validate_as_original(config);
    let lines: Vec<_> = called.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "line 2: warning: unrecognized key \"hostnmae\"",
            "line 3: error: incorrect type for \"users\" (want list)",
            "line 5: error: file cannot be written to a read-only filesystem",
            "line 9: error: invalid value \"strat\"",
        ]
    );
    assert_eq!(called.code, 1);
    let called = Machine::new().validate_as_original(TALK);
    assert_eq!((called.stdout.as_str(), called.stderr.as_str(), called.code), ("", "", 0));
}

#[test]
fn b12_the_files_hostname_wins_with_a_warning_and_metadata_adds_its_key() {
    let machine = Machine::new();
    let json = format!(r#"{{"hostname": "b", "public_keys": {{"0": "{KEY}"}}}}"#);
    let metadata = machine.beside("metadata.json", json);
    let called = machine.applied("#cloud-config\nhostname: a\n", &["--metadata", metadata.to_str().unwrap()]);
    assert_eq!(machine.text("/etc/hostname"), "a\n");
    assert!(
        called.stderr.contains("warning: the file says hostname \"a\" and the metadata \"b\""),
        "{called:?}"
    );
    assert_eq!(machine.text("/home/core/.ssh/authorized_keys"), format!("{KEY}\n"));
    assert_eq!(machine.mode("/home/core/.ssh/authorized_keys"), 0o600);
}
