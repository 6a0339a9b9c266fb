//! Channel files: which are believed, and when a machine takes what they offer.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../uki/tests/support/images.rs"]
mod images;
#[path = "support/machine.rs"]
mod machines;
#[path = "support/releases.rs"]
mod releases;
#[path = "support/server.rs"]
mod server;

use machines::{Machine, limits, machine};
use payload::channel::Wave;
use payload::{Channel, SecretKey};
use releases::{channel, key, payload, release, sealed_channel};
use server::{Manner, Server};
use update_agent::command::check;
use update_agent::command::print::Format;
use update_agent::driver::{self, Origin};
use update_agent::files;
use update_agent::machine::{Aim, Phase};
use update_agent::status::Words;

struct Setup {
    machine: Machine,
    server: Server,
    channel: Channel,
}

fn setup() -> Setup {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..3));
    let (machine, server) = (machine(&one), Server::start());
    machine.use_server(&server.url);
    let (manifest, bytes) = payload(&two, &[key(1)]);
    server.put("/p/2.0.0.payload", bytes);
    Setup { machine, server, channel: channel(&manifest, 5) }
}

impl Setup {
    fn offer(&self, change: impl FnOnce(&mut Channel), keys: &[SecretKey]) -> anyhow::Result<()> {
        let mut channel = self.channel.clone();
        change(&mut channel);
        self.server.put("/channels/stable.channel", sealed_channel(&channel, keys));
        check::apply(&self.machine.tree.host, &limits(), None, Format::Text).map(drop)
    }

    #[track_caller]
    fn check_refused(&self, change: impl FnOnce(&mut Channel), expected: &str) {
        let before = self.machine.running_side();
        let err = format!("{:#}", self.offer(change, &[key(1)]).unwrap_err());
        assert!(err.contains(expected), "{err}");
        assert!(self.machine.running_side() == before);
        assert_eq!(self.machine.entry_names(), ["slipway_1.0.0.efi"]);
    }
}

#[test]
fn what_is_not_believed_is_refused_by_name() {
    let setup = setup();
    setup.check_refused(|c| c.expires = c.issued + 1, "expired");
    setup.check_refused(|c| c.product = "other".to_owned(), "product: expected `slipway`, found `other`");
    setup.check_refused(|c| c.channel = "beta".to_owned(), "channel: expected `stable`, found `beta`");
    setup.check_refused(|c| c.version = "0.9.0".to_owned(), "version: 0.9.0 is older than 1.0.0");
    let err = format!("{:#}", setup.offer(|_| (), &[key(2)]).unwrap_err());
    assert!(err.contains("checking the signatures: no trusted key signed it"), "{err}");
    let mut longer = sealed_channel(&setup.channel, &[key(1)]);
    longer.push(b'\n');
    setup.server.put("/channels/stable.channel", longer);
    let err = check::check(&setup.machine.tree.host, &limits(), Format::Text).unwrap_err();
    assert!(format!("{err:#}").contains("something follows"), "{err:#}");
}

#[test]
fn a_file_from_the_future_is_told_by_a_synchronized_clock_only() {
    let setup = setup();
    let ahead = |c: &mut Channel| (c.issued, c.expires) = (c.issued + 100_000, c.expires + 100_000);
    setup.machine.tree.file(files::SYNCHRONIZED_FILE, "");
    setup.check_refused(ahead, "ahead of this machine's synchronized clock");
    std::fs::remove_file(setup.machine.tree.host.path(files::SYNCHRONIZED_FILE)).unwrap();
    setup.offer(ahead, &[key(1)]).unwrap();
}

#[test]
fn a_replayed_file_is_refused() {
    let setup = setup();
    setup.server.put("/channels/stable.channel", sealed_channel(&setup.channel, &[key(1)]));
    check::check(&setup.machine.tree.host, &limits(), Format::Text).unwrap();
    setup.check_refused(|c| c.sequence = 4, "replayed: its sequence is 4, 5 was seen before");
    setup.offer(|_| (), &[key(1)]).unwrap();
}

#[test]
fn the_payload_has_to_be_the_one_on_offer() {
    let setup = setup();
    setup.check_refused(
        |c| c.manifest_sha256 = payload::Digest([0; 32]),
        "manifest_sha256: the channel file offers",
    );
    setup.check_refused(|c| c.payload_len += 4096, "length of the payload: expected");
    setup.check_refused(|c| c.version = "2.0.1".to_owned(), "version: the channel file offers `2.0.1`");
    setup
        .check_refused(|c| c.locations = vec!["file:///etc/passwd".to_owned()], "no http:// or https:// URL");
}

#[test]
fn the_next_place_is_tried() {
    let setup = setup();
    let places = ["nowhere.payload", "http://127.0.0.1:9/x", "../p/2.0.0.payload"].map(str::to_owned);
    setup.offer(|c| c.locations = places.to_vec(), &[key(1)]).unwrap();
    assert_eq!(setup.machine.entry_names().len(), 2);
}

#[test]
fn a_machine_waits_for_its_place_in_a_rollout() {
    let setup = setup();
    let late = |c: &mut Channel| c.waves = vec![Wave { start: 50_000, duration: 1000, percent: 100 }];
    let mut channel = setup.channel.clone();
    late(&mut channel);
    setup.server.put("/channels/stable.channel", sealed_channel(&channel, &[key(1)]));
    let host = &setup.machine.tree.host;
    let outcome = driver::run(host, &limits(), &Origin::Channel, Aim::TakeWhenDue, Words::Stdout).unwrap();
    assert!(matches!(outcome.phase, Phase::Available(_)) && outcome.error.is_none());
    assert!(channel.issued + 50_000 <= outcome.due.unwrap());
    assert_eq!(setup.machine.entry_names().len(), 1);
    // An operator does not wait.
    setup.offer(late, &[key(1)]).unwrap();
    assert_eq!(setup.machine.entry_names().len(), 2);
}

#[test]
fn a_server_with_troubles_makes_checks_rarer_and_a_missing_network_does_not() {
    let setup = setup();
    let host = &setup.machine.tree.host;
    setup.server.channel_manner(Manner::Status(503));
    let run = || driver::run(host, &limits(), &Origin::Channel, Aim::TakeWhenDue, Words::Stdout).unwrap();
    assert!(run().calls_for_patience());
    setup.machine.use_server("http://127.0.0.1:9");
    assert!(!run().calls_for_patience());
}
