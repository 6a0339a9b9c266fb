//! Payloads and channel files that must not be taken: each is refused by the name of the check, before anything of
//! the running side changes.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../uki/tests/support/images.rs"]
mod images;
#[path = "support/machine.rs"]
mod machines;
#[path = "support/releases.rs"]
mod releases;

use machines::{Machine, limits, machine};
use payload::{Manifest, SecretKey};
use releases::{Release, key, payload, payload_for, release};
use update_agent::command::check;
use update_agent::command::print::Format;
use update_agent::state;

fn versions() -> (Release, Release) {
    (release("2.0.0", 0..0), release("3.0.0", 0..40))
}

fn apply(machine: &Machine, bytes: &[u8]) -> anyhow::Result<()> {
    machine.tree.file("/tmp/p.payload", bytes);
    let path = machine.tree.host.path("/tmp/p.payload");
    check::apply(&machine.tree.host, &limits(), Some(path.to_str().unwrap()), Format::Text).map(drop)
}

#[track_caller]
fn check_refused(machine: &Machine, bytes: &[u8], expected: &str) {
    let before = machine.running_side();
    let err = format!("{:#}", apply(machine, bytes).unwrap_err());
    assert!(err.contains(expected), "{err}");
    assert!(machine.running_side() == before);
    assert_eq!(machine.entry_names(), ["slipway_2.0.0.efi"]);
}

/// A good payload with one change.
#[track_caller]
fn check_changed(change: impl FnOnce(&Manifest, &mut Vec<u8>), expected: &str) {
    let (two, three) = versions();
    let (manifest, mut bytes) = payload(&three, &[key(1)]);
    change(&manifest, &mut bytes);
    check_refused(&machine(&two), &bytes, expected);
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

#[test]
fn signatures_have_to_suffice() {
    let (two, three) = versions();
    let machine = machine(&two);
    let signed = |keys: &[SecretKey]| payload(&three, keys).1;
    check_refused(
        &machine,
        &signed(&[key(9)]),
        "checking the signatures of the payload: no trusted key signed it",
    );
    check_refused(&machine, &signed(&[key(1), key(1)]), "two signatures name the key");
    let mut broken = signed(&[key(9), key(1)]);
    let len = payload::Envelope::len_from_prefix(payload::Kind::Payload, &broken).unwrap();
    broken[len - 1] ^= 1;
    check_refused(&machine, &broken, "does not verify");
    let mut changed = signed(&[key(1)]);
    changed[40] ^= 1;
    check_refused(&machine, &changed, "does not verify");
    let mut none = signed(&[key(1)]);
    none[16] = 0;
    check_refused(&machine, &none, "field `number of signatures` is 0");
    none[16] = 9;
    check_refused(&machine, &none, "field `number of signatures` is 9");
}

#[test]
fn every_section_is_checked_by_name() {
    check_changed(
        |m, bytes| bytes[at(m.layout.uki_blocks.offset) + 10] ^= 1,
        "section `uki_blocks`: expected SHA-256",
    );
    check_changed(|m, bytes| bytes[at(m.layout.uki.offset) + 6000] ^= 1, "of `uki`: expected hash");
    check_changed(
        |m, bytes| bytes[at(m.layout.loader.offset) + 1] ^= 1,
        "section `loader`: expected SHA-256",
    );
    check_changed(
        |m, bytes| bytes[at(m.layout.tree_blocks.offset) + 40] ^= 1,
        "section `tree_blocks`: expected SHA-256",
    );
    check_changed(|m, bytes| bytes[at(m.layout.tree.offset) + 5000] ^= 1, "of `tree`: expected hash");
    check_changed(
        |m, bytes| bytes[at(m.layout.usr.offset) + 4096 * 7] ^= 1,
        "block 7 of `usr`: expected hash",
    );
}

#[test]
fn all_padding_is_zero() {
    for idx in 0..6 {
        let (two, three) = versions();
        let (manifest, mut bytes) = payload(&three, &[key(1)]);
        let len = payload::Envelope::len_from_prefix(payload::Kind::Payload, &bytes).unwrap();
        let padding = manifest.layout.padding(u64::try_from(len).unwrap());
        let Some(extent) = padding.get(idx) else { continue };
        bytes[at(extent.end()) - 1] = 1;
        check_refused(&machine(&two), &bytes, "padding: expected zero");
    }
}

#[test]
fn the_length_is_exact() {
    check_changed(|_, bytes| bytes.push(0), "length of the payload: expected");
    for share in [1, 10, 500, 999] {
        check_changed(
            |_, bytes| bytes.truncate(bytes.len() * share / 1000),
            "length of the payload: expected",
        );
    }
    check_changed(
        |_, bytes| {
            bytes.pop();
        },
        "length of the payload: expected",
    );
}

#[test]
fn lengths_of_the_head_have_limits() {
    check_changed(
        |_, bytes| bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes()),
        "field `length of the body`",
    );
    check_changed(|_, bytes| bytes[20] = 1, "the reserved bytes of the header are not zero");
    check_changed(|_, bytes| bytes[8] = 2, "update payload of format 2");
    check_changed(|_, bytes| bytes[0] = b'X', "this is no update payload");
}

#[test]
fn other_products_and_versions_are_refused() {
    let (two, three) = versions();
    let machine = machine(&two);
    let other = payload_for(&three, "other", "0.1.0", &[key(1)]).1;
    check_refused(&machine, &other, "product: expected `slipway`, found `other`");
    let from = payload_for(&three, "slipway", "2.0.1", &[key(1)]).1;
    check_refused(&machine, &from, "min_from: it can be taken from 2.0.1 on, 2.0.0 runs");
    let older = payload(&release("1.9.9", 0..40), &[key(1)]).1;
    check_refused(&machine, &older, "version: 1.9.9 is older than 2.0.0");
    // What runs already is nothing to do, whatever it is called.
    let same = Release { version: "3.0.0".to_owned(), ..two.clone() };
    check_refused(&machine, &payload(&same, &[key(1)]).1, "has the root hash that runs already");
    apply(&machine, &payload(&two, &[key(1)]).1).unwrap();
    assert_eq!(machine.entry_names(), ["slipway_2.0.0.efi"]);
}

#[test]
fn another_architecture_is_refused() {
    let (two, three) = versions();
    let (manifest, _) = payload(&three, &[key(1)]);
    let text = String::from_utf8(manifest.to_json()).unwrap().replace("x86-64", "arm64");
    let mut bytes = payload::seal(payload::Kind::Payload, text.as_bytes(), &[key(1)]).unwrap();
    bytes.resize(4096, 0);
    check_refused(&machine(&two), &bytes, "field `architecture`: expected x86-64, found `arm64`");
}

#[test]
fn a_retired_key_stays_retired_after_a_rollback() {
    let (two, three) = versions();
    let machine = machine(&two);
    let four = release("4.0.0", 0..40);
    machine.put_usr(&two, &[key(1), key(2)], "");
    // Version 3 lists key 1 as retired, and is found good.
    apply(&machine, &payload(&three, &[key(2)]).1).unwrap();
    machine.reboot(&[&two, &three]);
    machine.put_usr(&three, &[key(2)], &format!("# lost\n{}\n", key(1).public().id()));
    machine.bless();
    update_agent::command::rollback::rollback(&machine.tree.host).unwrap();
    assert_eq!(machine.reboot(&[&two, &three]), "2.0.0");
    machine.put_usr(&two, &[key(1), key(2)], "");
    let err = format!("{:#}", apply(&machine, &payload(&four, &[key(1)]).1).unwrap_err());
    assert!(err.contains("is retired, and no trusted key signed beside it"), "{err}");
    apply(&machine, &payload(&four, &[key(2)]).1).unwrap();
}

#[test]
fn a_lying_tree_of_the_running_slot_costs_bytes_only() {
    let (two, three) = versions();
    let machine = machine(&two);
    // Blocks that the running slot's tree promises are something else.
    machine.damage(2, 4096 * 100, &[1; 4096 * 3]);
    apply(&machine, &payload(&three, &[key(1)]).1).unwrap();
    assert!(machine.partition(4).starts_with(&three.usr));
}

#[test]
fn a_tree_of_another_image_is_refused_whoever_signed_it() {
    let (two, mut three) = versions();
    three.tree = release("3.1.0", 0..41).tree;
    check_refused(&machine(&two), &payload(&three, &[key(1)]).1, "checking the hash tree");
}

#[test]
fn a_running_tree_that_cannot_be_read_costs_bytes_only() {
    let (two, three) = versions();
    let machine = machine(&two);
    machine.damage(3, 0, &[0; 4096 * 3]);
    apply(&machine, &payload(&three, &[key(1)]).1).unwrap();
    assert!(machine.partition(4).starts_with(&three.usr));
}

#[test]
fn what_the_running_slot_is_not_is_refused() {
    let (two, three) = versions();
    let machine = machine(&two);
    machine.tree.file("/proc/cmdline", format!("usrhash={}\n", three.root));
    let bytes = payload(&release("4.0.0", 0..3), &[key(1)]).1;
    check_refused(&machine, &bytes, "partition 2, which /usr is on, has the UUID");
}

#[test]
fn a_partition_that_is_too_small_is_named() {
    let (two, _) = versions();
    let mut large = release("3.0.0", 0..40);
    large.loader = vec![0; 300];
    let machine = machine(&two);
    state::edit(&machine.tree.host, |_| ()).unwrap();
    // The image of 1.2 MiB fits the partition of 4 MiB; one that does not fit is refused by the policy's own tests.
    apply(&machine, &payload(&large, &[key(1)]).1).unwrap();
    assert!(machine.state().loader.is_none());
}
