//! Servers that know no ranges, break, stall, drip, lie or send elsewhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../uki/tests/support/images.rs"]
mod images;
#[path = "support/machine.rs"]
mod machines;
#[path = "support/releases.rs"]
mod releases;
#[path = "support/server.rs"]
mod server;

use std::time::Duration;

use machines::{Machine, limits, machine};
use releases::{channel, key, payload, release, sealed_channel};
use server::{Manner, Server};
use update_agent::command::print::Format;
use update_agent::command::{check, refuse};
use update_agent::source::Limits;

/// A machine with version 1, and a server with version 2, which shares nothing with it.
fn setup() -> (Machine, Server, Vec<u8>) {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..300));
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);
    let (manifest, bytes) = payload(&two, &[key(1)]);
    server.put("/p/2.0.0.payload", bytes);
    server.put("/channels/stable.channel", sealed_channel(&channel(&manifest, 1), &[key(1)]));
    (machine, server, two.usr)
}

fn apply(machine: &Machine) -> anyhow::Result<()> {
    apply_within(machine, &limits())
}

fn apply_within(machine: &Machine, limits: &Limits) -> anyhow::Result<()> {
    check::apply(&machine.tree.host, limits, None, Format::Text).map(drop)
}

/// Gives a server up that is silent for `stall`, or nearly so.
fn hasty(stall: Duration) -> Limits {
    Limits { stall, drip_window: stall, drip_bytes: 4000, ..limits() }
}

#[track_caller]
fn check_taken(manner: Manner) {
    let (machine, server, usr) = setup();
    server.manner(manner);
    apply(&machine).unwrap();
    assert!(machine.partition(4).starts_with(&usr));
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi", "slipway_2.0.0+3.efi"]);
}

#[track_caller]
fn check_refused(manner: Manner, expected: &str) {
    check_refused_within(&limits(), manner, expected);
}

#[track_caller]
fn check_refused_within(limits: &Limits, manner: Manner, expected: &str) {
    let (machine, server, _) = setup();
    let before = machine.running_side();
    server.manner(manner);
    let err = format!("{:#}", apply_within(&machine, limits).unwrap_err());
    assert!(err.contains(expected), "{err}");
    assert!(machine.running_side() == before);
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi"]);
    assert_eq!(machine.state().last_error, err);
}

#[test]
fn a_server_without_ranges_is_read_once_from_the_start() {
    for says_length in [true, false] {
        let (machine, server, usr) = setup();
        server.manner(Manner::NoRanges { says_length });
        apply(&machine).unwrap();
        assert!(machine.partition(4).starts_with(&usr));
        let (requests, _) = server.take_log();
        assert_eq!(requests.len(), 2, "{requests:?}");
    }
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    check_taken(Manner::Cuts { after: 100_000, times: 1000 });
    let (machine, server, _) = setup();
    server.manner(Manner::Cuts { after: 100_000, times: 1000 });
    apply(&machine).unwrap();
    let (_, bytes) = server.take_log();
    let figures = machine.state().figures.unwrap();
    assert!(u64::try_from(bytes).unwrap() < figures.payload + 100_000, "{bytes} {figures:?}");
}

#[test]
fn redirects_are_followed_a_few_times() {
    check_taken(Manner::RedirectOnce);
    check_refused(Manner::RedirectLoop, "redirects: expected at most 5, found more");
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let one = release("1.0.0", 0..0);
    for died_at in [20_000, 200_000, 700_000] {
        let (machine, server, usr) = setup();
        server.manner(Manner::Dies { left: died_at });
        let err = format!("{:#}", apply(&machine).unwrap_err());
        assert!(err.contains("trying 3 times"), "{err}");
        let (_, first) = server.take_log();
        assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi"]);
        machine.reboot(&[&one]);
        server.manner(Manner::Good);
        apply(&machine).unwrap();
        let (_, second) = server.take_log();
        assert!(machine.partition(4).starts_with(&usr));
        let payload = usize::try_from(machine.state().figures.unwrap().payload).unwrap();
        // Asked twice: channel, head, what a buffer or a section held when the connection died.
        assert!(first + second < payload + 80_000, "{first} then {second} of {payload}");
    }
}

#[test]
fn a_server_that_stalls_or_drips_is_given_up() {
    let limits = hasty(Duration::from_millis(400));
    check_refused_within(&limits, Manner::Stalls { after: 100 }, "trying 3 times");
    check_refused_within(&limits, Manner::Drips, "drips");
}

#[test]
fn a_server_that_lies_is_refused_by_header() {
    check_refused(Manner::WrongPlace, "Content-Range: expected bytes 0-4095/<length>, found bytes 1-4095/");
    check_refused(Manner::WrongTotal, "length of the payload: expected");
    check_refused(Manner::TooLong, "length of the answer");
    check_refused(Manner::Html, "length of the payload");
    check_refused(Manner::Status(404), "status: expected 206 or 200, found 404");
    check_refused(Manner::Status(503), "the server answers with status 503");
}

#[test]
fn an_error_page_in_place_of_the_channel_file_is_told() {
    let (machine, server, _) = setup();
    server.channel_manner(Manner::Html);
    let err = format!("{:#}", apply(&machine).unwrap_err());
    assert!(err.contains("this is no channel file: it starts with `<html>no`"), "{err}");
}

#[test]
fn an_unreachable_server_is_an_error_of_the_network() {
    let (machine, server, _) = setup();
    let port = server.url.rsplit(':').next().unwrap();
    assert_ne!(port, "9");
    machine.use_server("http://127.0.0.1:9");
    let err = format!("{:#}", apply(&machine).unwrap_err());
    assert!(err.contains("fetching http://127.0.0.1:9/channels/stable.channel: asking"), "{err}");
}

#[test]
fn a_version_that_fails_elsewhere_during_the_download_is_not_made_bootable() {
    let (machine, server, _) = setup();
    let machine = &machine;
    server.manner(Manner::Stalls { after: 100_000 });
    let err = std::thread::scope(|scope| {
        let limits = hasty(Duration::from_secs(2));
        let taking = scope.spawn(move || apply_within(machine, &limits).unwrap_err());
        while machine.state().fetching.is_none() {
            assert!(!taking.is_finished(), "it ended before it began to fetch");
            std::thread::sleep(Duration::from_millis(5));
        }
        refuse::refuse(&machine.tree.host, &"2.0.0".parse().unwrap(), "failed on m1").unwrap();
        server.manner(Manner::Good);
        taking.join().unwrap()
    });
    let err = format!("{err:#}");
    assert!(err.contains("refused: 2.0.0 failed in this machine's group: failed on m1"), "{err}");
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi"]);
}
