//! What `status` says of machines in different states.

use super::*;
use crate::files;
use agent_support::testing::Tree;

fn tree() -> Tree {
    let tree = Tree::new();
    tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi")
        .file("/usr/lib/os-release", "IMAGE_VERSION=1.0.0\n")
        .file("/efi/EFI/Linux/slipway_1.0.0.efi", "x");
    tree
}

#[test]
fn a_fresh_machine_is_idle() {
    let tree = tree();
    expect_test::expect![[r#"
        LAST_CHECKED_TIME=0
        PROGRESS=0.000000
        CURRENT_OP=UPDATE_STATUS_IDLE
        NEW_VERSION=0.0.0
        NEW_SIZE=0

        running       1.0.0
        waiting       -
        channel       stable (no server: never checks by itself)
        reboot        reboot
        last check    never
    "#]]
    .assert_eq(&text(&collect(&tree.host)));
}

#[test]
fn everything_that_is_known_is_shown() {
    let tree = tree();
    tree.file("/efi/EFI/Linux/slipway_3.0.0+0-3.efi", "x")
        .file("/etc/slipway/update.conf", "SERVER=https://u.example\nREBOOT_STRATEGY=off\n")
        .file(files::STATUS_FILE, r#"{"format":1,"current_op":"UPDATE_STATUS_DOWNLOADING","new_version":"2.0.0","new_size":9,"progress":0.5,"reused":1,"fetched":2,"requests":3}"#);
    state::edit(&tree.host, |state| {
        state.last_check = 1_700_000_000;
        state.last_error = "no answer".to_owned();
        state.figures = Some(state::Figures {
            version: "1.0.0".parse().unwrap(),
            payload: 1000 << 20,
            reused: 990 << 20,
            fetched: 10 << 20,
            requests: 40,
        });
        state.hold.versions.insert("4.0.0".parse().unwrap());
    })
    .unwrap();
    reboot::want(&tree.host, &"2.0.0".parse().unwrap()).unwrap();
    expect_test::expect![[r#"
        LAST_CHECKED_TIME=1700000000
        PROGRESS=0.500000
        CURRENT_OP=UPDATE_STATUS_UPDATED_NEED_REBOOT
        NEW_VERSION=2.0.0
        NEW_SIZE=9

        running       1.0.0
        waiting       2.0.0
        channel       stable (https://u.example)
        reboot        off
        last check    2023-11-14 22:13:20
        last error    no answer
        last update   1.0.0: 990 MiB (99.0 %) had, 10 MiB (1.0 %) fetched in 40 requests, of 1000 MiB
        held          4.0.0
        failed        3.0.0: stage loader: it left no record of its last try
    "#]]
    .assert_eq(&text(&collect(&tree.host)));
}

#[test]
fn what_cannot_be_learned_is_a_warning() {
    let tree = Tree::new();
    tree.file("/etc/slipway/update.conf", "nonsense\n");
    let document = collect(&tree.host);
    assert_eq!(document.warnings.len(), 3, "{:?}", document.warnings);
    assert!(document.warnings[0].contains("/etc/slipway/update.conf:1"), "{:?}", document.warnings);
}
