//! Whole lives of a machine: updates from slot to slot, going back, falling back, blessing.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../uki/tests/support/images.rs"]
mod images;
#[path = "support/machine.rs"]
mod machines;
#[path = "support/releases.rs"]
mod releases;
#[path = "support/server.rs"]
mod server;

use std::fs;

use agent_support::tries::{self, Stage, Try};
use machines::{Machine, limits, machine};
use payload::Extent;
use releases::{Release, channel, key, payload, release, sealed_channel, verity_device};
use server::Server;
use update_agent::command::print::Format;
use update_agent::command::{self, Exit, check};
use update_agent::{files, history, reboot};

fn publish(server: &Server, release: &Release, sequence: u64) {
    let (manifest, bytes) = payload(release, &[key(1)]);
    server.put(&format!("/p/{}.payload", release.version), bytes);
    server.put("/channels/stable.channel", sealed_channel(&channel(&manifest, sequence), &[key(1)]));
}

fn apply(machine: &Machine) -> anyhow::Result<Exit> {
    check::apply(&machine.tree.host, &limits(), None, Format::Text)
}

/// Slot of the n-th usr partition: what is in it.
#[track_caller]
fn check_slot(machine: &Machine, usr: u32, release: &Release) {
    assert!(machine.partition(usr).starts_with(&release.usr));
    assert!(machine.partition(usr + 1).starts_with(&verity_device(release)));
    let labels = machine.labels();
    let at = usize::try_from(usr).unwrap() - 1;
    let version = &release.version;
    assert_eq!(labels[at..at + 2], [format!("usr_{version}"), format!("usr_{version}_verity")]);
}

#[test]
fn from_slot_to_slot_and_back() {
    let [one, two, three, four] = [("1.0.0", 0..10), ("2.0.0", 5..15), ("3.0.0", 200..220), ("4.0.0", 0..3)]
        .map(|(v, r)| release(v, r));
    let all = [&one, &two, &three, &four];
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);

    publish(&server, &two, 1);
    apply(&machine).unwrap();
    check_slot(&machine, 2, &one);
    check_slot(&machine, 4, &two);
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi", "slipway_2.0.0+3.efi"]);
    let waiting = reboot::waiting(&machine.tree.host).unwrap();
    assert_eq!(waiting.map(|version| version.to_string()).as_deref(), Some("2.0.0"));
    assert_eq!(command::reboot_wanted(&machine.tree.host).unwrap(), Exit::Done);

    assert_eq!(machine.reboot(&all), "2.0.0");
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi", "slipway_2.0.0+2-1.efi"]);
    publish(&server, &three, 2);
    let err = format!("{:#}", apply(&machine).unwrap_err());
    assert!(err.contains("slipway_2.0.0+2-1.efi, is not blessed"), "{err}");
    check_slot(&machine, 2, &one);
    machine.bless();
    assert_eq!(machine.state().good.map(|version| version.to_string()).as_deref(), Some("2.0.0"));
    assert_eq!(machine.tree.host.list(files::DOWNLOAD_DIR).unwrap(), Vec::<String>::new());
    // A newer loader came with the version and is on the ESP once it is good.
    for path in update_agent::entries::LOADER_FILES {
        assert_eq!(fs::read(machine.tree.host.path(&format!("/efi/{path}"))).unwrap(), two.loader);
    }

    command::rollback::rollback(&machine.tree.host).unwrap();
    assert_eq!(machine.reboot(&all), "1.0.0");
    publish(&server, &two, 3);
    let err = format!("{:#}", apply(&machine).unwrap_err());
    assert!(err.contains("held: 2.0.0"), "{err}");

    publish(&server, &three, 4);
    apply(&machine).unwrap();
    check_slot(&machine, 2, &one);
    check_slot(&machine, 4, &three);
    assert_eq!(machine.reboot(&all), "3.0.0");
    machine.bless();
    publish(&server, &four, 5);
    apply(&machine).unwrap();
    check_slot(&machine, 2, &four);
    check_slot(&machine, 4, &three);
    assert_eq!(machine.entry_names(), ["slipway_3.0.0.efi", "slipway_4.0.0+3.efi"]);
    let whats: Vec<_> =
        history::load(&machine.tree.host).unwrap().into_iter().map(|event| event.what).collect();
    assert_eq!(whats.iter().filter(|what| *what == "written").count(), 3, "{whats:?}");
}

#[test]
fn what_the_boot_has_is_recorded_before_a_reboot_is_wanted() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..3));
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);
    let host = &machine.tree.host;
    let script = format!("#!/bin/sh\ntest ! -e $2{} && echo $3 > $2/said\n", files::REBOOT_FILE);
    machine.tree.program("/usr/bin/slipway", &script);
    publish(&server, &two, 1);
    apply(&machine).unwrap();
    assert_eq!(host.read("/said").unwrap().as_deref(), Some("last-good\n"));
    assert!(reboot::waiting(host).unwrap().is_some());
}

/// Sums up what lies within `section` of the ranges that were asked for.
fn fetched_within(requests: &[String], section: Extent) -> u64 {
    let range = |request: &String| -> Option<(u64, u64)> {
        let (from, to) = request.split_once("Some((")?.1.strip_suffix("))")?.split_once(", ")?;
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    let within =
        |(from, to): (u64, u64)| (to + 1).min(section.end()).saturating_sub(from.max(section.offset));
    requests.iter().filter_map(range).map(within).sum()
}

#[test]
fn only_what_the_machine_has_not_is_fetched() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 100..103));
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);
    publish(&server, &two, 1);
    apply(&machine).unwrap();
    check_slot(&machine, 4, &two);
    let figures = machine.state().figures.unwrap();
    let (requests, bytes) = server.take_log();
    assert_eq!(u64::try_from(requests.len()).unwrap(), figures.requests);
    assert_eq!(u64::try_from(bytes).unwrap(), figures.fetched);
    // Channel, head, block lists, parts of the tree, three blocks of usr, the kernel's cmdline: no more than a tenth.
    assert!(figures.fetched * 10 < figures.payload, "{figures:?}");
    assert!(1_200_000 < figures.reused, "{figures:?}");
    assert!(requests.len() < 12, "{requests:#?}");
    let tree = payload(&two, &[key(1)]).0.layout.tree;
    let of_tree = fetched_within(&requests, tree);
    assert!((1..tree.len * 3 / 4).contains(&of_tree), "{of_tree} of {} bytes of the tree", tree.len);
}

#[test]
fn what_is_on_offer_is_told_and_nothing_taken() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..3));
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);
    publish(&server, &two, 1);
    check::check(&machine.tree.host, &limits(), Format::Json).unwrap();
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi"]);
    publish(&server, &one, 2);
    check::check(&machine.tree.host, &limits(), Format::Text).unwrap();
    assert_ne!(machine.state().last_check, 0);
}

#[test]
fn a_payload_file_needs_no_server() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..300));
    let machine = machine(&one);
    let path = machine.tree.host.path("/tmp/two.payload");
    machine.tree.file("/tmp/two.payload", payload(&two, &[key(1)]).1);
    check::apply(&machine.tree.host, &limits(), Some(path.to_str().unwrap()), Format::Text).unwrap();
    check_slot(&machine, 4, &two);
    assert_eq!(machine.state().figures.unwrap().requests, 0);
}

#[test]
fn a_failed_version_is_not_taken_again_even_without_state() {
    let (one, two, three) = (release("1.0.0", 0..0), release("2.0.0", 0..3), release("3.0.0", 0..3));
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);
    publish(&server, &two, 1);
    apply(&machine).unwrap();
    for _ in 0..3 {
        assert_eq!(machine.reboot(&[&one, &two]), "2.0.0");
    }
    let record =
        Try { number: 3, stage: Stage::HealthFailed, reason: "docker: no answer".to_owned(), time: 5 };
    tries::store(&machine.tree.host.path("/efi/slipway/tries"), "2.0.0", record).unwrap();
    assert_eq!(machine.reboot(&[&one, &two]), "1.0.0");
    fs::remove_dir_all(machine.tree.host.path(files::STATE_DIR)).unwrap();
    let err = format!("{:#}", apply(&machine).unwrap_err());
    assert!(err.contains("failed before: 2.0.0 reached stage health-failed: docker: no answer"), "{err}");
    publish(&server, &three, 2);
    apply(&machine).unwrap();
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi", "slipway_3.0.0+3.efi"]);
    // Its entry is gone; that it failed is still known.
    assert!(machine.state().failed.contains_key(&"2.0.0".parse().unwrap()));
}

#[test]
fn an_operator_may_allow_a_failed_version_again() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..3));
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);
    publish(&server, &two, 1);
    apply(&machine).unwrap();
    let tries_dir = machine.tree.host.path("/efi/slipway/tries");
    let record = Try { number: 3, stage: Stage::Userspace, reason: "panic".to_owned(), time: 5 };
    tries::store(&tries_dir, "2.0.0", record).unwrap();
    for expected in ["2.0.0", "2.0.0", "2.0.0", "1.0.0"] {
        assert_eq!(machine.reboot(&[&one, &two]), expected);
    }
    apply(&machine).unwrap_err();
    command::hold::unhold(&machine.tree.host, Some(&"2.0.0".parse().unwrap())).unwrap();
    server.take_log();
    apply(&machine).unwrap();
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi", "slipway_2.0.0+3.efi"]);
    // Its new tries are judged by themselves, and nothing was fetched again but channel file and head.
    assert_eq!(tries::load(&tries_dir, "2.0.0").unwrap(), []);
    assert_eq!(server.take_log().0.len(), 2);
}

#[test]
fn a_version_held_during_the_download_is_not_made_bootable() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..3));
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);
    publish(&server, &two, 1);
    command::hold::hold(&machine.tree.host, None).unwrap();
    let err = format!("{:#}", apply(&machine).unwrap_err());
    assert!(err.contains("held: 2.0.0"), "{err}");
    command::hold::unhold(&machine.tree.host, None).unwrap();
    apply(&machine).unwrap();
    command::hold::hold(&machine.tree.host, Some(&"2.0.0".parse().unwrap())).unwrap();
    assert_eq!(command::reboot_wanted(&machine.tree.host).unwrap(), Exit::No);
}
