//! Starts of a machine: the base of the OEM and the user data of one source, before the network and after it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use http_get::testing::{Answer, Server, dead_url};

use super::machine::{Called, Machine};

const KEYS: &str = "/home/core/.ssh/authorized_keys";
const OEM: &str = "/oem/cloud-config.yml";
const SEED: &str = "/dev/disk/by-label/cidata";

fn key(n: char) -> String {
    format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA{n}AA")
}

/// A virtual machine without a source; sources fail after a second.
fn machine(kernel: &str) -> Machine {
    let machine = Machine::new();
    machine.file("/proc/cmdline", &format!("quiet {kernel}\n"));
    machine.file("/proc/cpuinfo", "flags : hypervisor\n");
    machine.file("/etc/slipway/cloudinit.conf", "SOURCE_SECONDS=1\nIMPORT_SECONDS=1\n");
    machine
}

fn boot(machine: &Machine, stage: &str) -> Called {
    machine.call(&["boot", "--stage", stage, "--root"])
}

#[track_caller]
fn booted(machine: &Machine, stage: &str) -> String {
    let called = boot(machine, stage);
    assert_eq!(called.code, 0, "{called:#?}");
    called.stdout
}

#[test]
fn b13_a_config_drive_wins_over_a_slow_server_and_without_a_source_there_is_an_error() {
    let server = Server::start(|_, _| {
        sleep(Duration::from_secs(2));
        Answer::ok("#cloud-config\nhostname: server\n")
    });
    let machine = Machine::new();
    machine.file("/drive/openstack/latest/user_data", "#cloud-config\nhostname: drive\n");
    let url = format!("-from-url={}", server.url("/"));
    let drive = format!("-from-configdrive={}", machine.path("/drive").display());
    let begin = Instant::now();
    let called = machine.original(&[&url, &drive]);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!((called.code, machine.text("/etc/hostname").as_str()), (0, "drive\n"), "{called:#?}");
    machine.file("/proc/cmdline", "quiet\n");
    let called = machine.original(&["-from-proc-cmdline"]);
    assert_eq!(called.code, 1);
    assert!(called.stderr.contains("No datasources available in time"), "{}", called.stderr);
}

#[test]
fn b14_a_url_of_the_kernels_command_line_is_applied_although_its_server_is_in_trouble_at_first() {
    let server = Server::start(|_, before| match before {
        0..3 => Answer::status(500),
        _ => Answer::ok("#cloud-config\nhostname: a\n"),
    });
    let machine = machine(&format!("cloud-config-url={}", server.url("/a")));
    machine.file("/etc/slipway/cloudinit.conf", "SOURCE_SECONDS=60\n");
    let local = booted(&machine, "local");
    assert!(local.contains("waits for the network") && server.asked().is_empty(), "{local}");
    let network = booted(&machine, "network");
    assert!(network.contains("done: write /etc/hostname"), "{network}");
    assert_eq!((machine.text("/etc/hostname").as_str(), server.asked().len()), ("a\n", 4));
    let status = machine.text("/var/lib/slipway/cloudinit/status-network.json");
    assert!(status.contains("\"source\": \"cmdline http://127.0.0.1:"), "{status}");
}

#[test]
fn base_and_user_data_are_one_run_and_no_stage_takes_the_others_files_away() {
    let server = Server::start(|_, _| {
        Answer::ok("#cloud-config\nhostname: top\nwrite_files: [{path: /etc/top, content: 1}]\n")
    });
    let machine = machine(&format!("cloud-config-url={}", server.url("/")));
    machine.file("/etc/slipway/cloudinit.conf", "SOURCE_SECONDS=60\n");
    let base = "#cloud-config\nhostname: base\nwrite_files: [{path: /etc/base, content: 1}]\n\
                coreos: {units: [{name: a.service, command: restart}]}\n";
    machine.file(OEM, base);
    let local = booted(&machine, "local");
    assert!(local.contains("run systemctl --no-block restart a.service"), "{local}");
    assert_eq!(machine.text("/etc/hostname"), "base\n");
    let network = booted(&machine, "network");
    assert!(!network.contains("restart a.service"), "told twice: {network}");
    assert_eq!(machine.text("/etc/hostname"), "top\n");
    for stage in ["local", "network"] {
        booted(&machine, stage);
        assert_eq!(
            machine.text("/etc/hostname"),
            "top\n",
            "{stage}: it changes back and forth with each start"
        );
        assert_eq!([machine.text("/etc/base"), machine.text("/etc/top")], ["1", "1"], "{stage}");
    }
    // What the base no longer lists goes when the whole is known.
    machine.file(OEM, "#cloud-config\n");
    booted(&machine, "local");
    assert_eq!(machine.text("/etc/base"), "1");
    booted(&machine, "network");
    assert!(!machine.path("/etc/base").exists() && machine.path("/etc/top").exists());
}

#[test]
fn a_local_source_is_applied_before_the_network_and_its_keys_are_fetched_after() {
    let server = Server::start(|_, _| Answer::ok(format!(r#"[{{"key": "{}"}}]"#, key('A'))));
    let machine = machine("");
    machine.file("/etc/slipway/cloudinit.conf", &format!("GITHUB_API={}\n", server.url("")));
    machine.file(&format!("{SEED}/meta-data"), &format!("public-keys: [\"{}\"]\n", key('B')));
    machine.file(
        &format!("{SEED}/user-data"),
        "#cloud-config\nhostname: a\nusers: [{name: core, coreos-ssh-import-github: x}]\n\
         coreos: {units: [{name: a.service, command: restart}]}\n",
    );
    let local = booted(&machine, "local");
    assert_eq!((machine.text("/etc/hostname").as_str(), server.asked().len()), ("a\n", 0));
    assert_eq!(machine.text(KEYS), format!("{}\n", key('B')));
    assert!(local.contains("restart a.service"), "{local}");
    let network = booted(&machine, "network");
    assert_eq!(
        network,
        format!("done: import keys of core: set github-x from {}\n", server.url("/users/x/keys"))
    );
    assert_eq!(machine.text(KEYS), format!("{}\n{}\n", key('A'), key('B')));
}

#[test]
fn a_base_takes_no_keys_away_while_the_source_of_the_others_is_in_trouble() {
    let server = Server::start(move |_, before| match before {
        0 => Answer::ok(format!("#cloud-config\nssh_authorized_keys: [\"{}\"]\n", key('B'))),
        _ => Answer::status(404),
    });
    let machine = machine(&format!("cloud-config-url={}", server.url("/")));
    machine.file(OEM, &format!("#cloud-config\nssh_authorized_keys: [\"{}\"]\n", key('A')));
    let both = format!("{}\n{}\n", key('A'), key('B'));
    booted(&machine, "local");
    assert_eq!(
        machine.text(KEYS),
        format!("{}\n", key('A')),
        "until the source answers the base is all there is"
    );
    booted(&machine, "network");
    assert_eq!(machine.text(KEYS), both);
    booted(&machine, "local");
    assert_eq!(machine.text(KEYS), both);
    assert_eq!(boot(&machine, "network").code, 1);
    assert_eq!(machine.text(KEYS), both);
}

#[test]
fn a_local_source_is_read_where_the_trusted_authorities_cannot_be() {
    let machine = machine("");
    machine.file("/etc/slipway/ca.d/a.pem", "no certificate");
    machine.file(&format!("{SEED}/user-data"), "#cloud-config\nhostname: a\n");
    booted(&machine, "local");
    assert_eq!(machine.text("/etc/hostname"), "a\n");
}

#[test]
fn wrong_user_data_changes_nothing_but_the_keys_of_the_metadata() {
    let machine = machine("");
    let user_data = format!("#cloud-config\nssh_authorized_keys: [\"{}\"]\nhostname: a\n", key('A'));
    machine.file(&format!("{SEED}/user-data"), &user_data);
    booted(&machine, "local");
    machine.file(&format!("{SEED}/user-data"), "#cloud-config\nhostname: [\n");
    machine.file(&format!("{SEED}/meta-data"), &format!("public-keys: [\"{}\"]\n", key('B')));
    let called = boot(&machine, "local");
    assert_eq!(called.code, 1, "{called:#?}");
    assert!(called.stderr.contains("nocloud /dev/disk/by-label/cidata:"), "{}", called.stderr);
    assert_eq!(machine.text(KEYS), format!("{}\n{}\n", key('A'), key('B')));
    assert_eq!(machine.text("/etc/hostname"), "a\n");
}

#[test]
fn a_source_that_is_gone_or_does_not_answer_takes_nothing_away_in_bounded_time() {
    let machine = machine("");
    machine.file(&format!("{SEED}/user-data"), "#cloud-config\nwrite_files: [{path: /etc/a, content: 1}]\n");
    booted(&machine, "local");
    std::fs::remove_dir_all(machine.path(SEED)).unwrap();
    machine.file(OEM, "#cloud-config\nwrite_files: [{path: /etc/base, content: 1}]\n");
    for stage in ["local", "network"] {
        booted(&machine, stage);
        assert_eq!([machine.text("/etc/a"), machine.text("/etc/base")], ["1", "1"], "{stage}");
    }
    machine.file("/proc/cmdline", &format!("cloud-config-url={}/\n", dead_url()));
    booted(&machine, "local");
    let begin = Instant::now();
    let called = boot(&machine, "network");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!((called.code, machine.text("/etc/a").as_str()), (1, "1"), "{called:#?}");
    assert!(called.stderr.contains("gives nothing"), "{}", called.stderr);
}

#[test]
fn a_machine_with_the_base_alone_follows_it() {
    let machine = machine("");
    assert_eq!(booted(&machine, "local"), "this machine has no source of user data\n");
    machine.file(OEM, "#cloud-config\nwrite_files: [{path: /etc/a, content: 1}]\n");
    booted(&machine, "local");
    assert_eq!(machine.text("/etc/a"), "1");
    machine.file(OEM, "#cloud-config\n");
    booted(&machine, "local");
    assert!(!machine.path("/etc/a").exists());
    machine.file(OEM, "#!/bin/sh\n");
    let called = boot(&machine, "local");
    assert_eq!(called.code, 1);
    assert!(
        called.stderr.contains("/oem/cloud-config.yml:1:1: error: a script is no base"),
        "{}",
        called.stderr
    );
}

#[test]
fn a_base_that_needs_addresses_waits_for_them() {
    let server = Server::start(|question, _| match question.line.as_str() {
        "GET /metadata/v1.json" => {
            Answer::ok(r#"{"interfaces": {"private": [{"ipv4": {"ip_address": "10.0.0.5"}}]}}"#)
        }
        _ => Answer::status(404),
    });
    let machine = Machine::new();
    let service = format!("-from-digitalocean-metadata={}", server.url("/"));
    let called = machine.original(&[&service]);
    assert_eq!(called.code, 0, "{called:#?}");
    assert!(machine.text("/etc/environment").contains("COREOS_PRIVATE_IPV4=10.0.0.5\n"));
    let machine = self::machine(&format!("cloud-config-url={}", server.url("/none")));
    machine.file(OEM, "#cloud-config\nwrite_files: [{path: /etc/a, content: $private_ipv4}]\n");
    let local = boot(&machine, "local");
    assert_eq!(local.code, 0, "{local:#?}");
    assert!(local.stdout.contains("waits for the network: its addresses may come with it"), "{local:#?}");
    assert_eq!(boot(&machine, "network").code, 1);
}
