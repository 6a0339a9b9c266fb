//! The agent is killed again and again: whatever it leaves, the next run goes on from.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../uki/tests/support/images.rs"]
mod images;
#[path = "support/machine.rs"]
mod machines;
#[path = "support/releases.rs"]
mod releases;

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use machines::{Machine, machine};
use releases::{Release, key, payload, release, verity_device};

/// Starts an update and kills it after `delay`, unless it ended. Returns whether it was done.
fn run(machine: &Machine, path: &str, delay: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slipway-update"))
        .arg("--root")
        .arg(machine.tree.host.path("/"))
        .args(["apply", "--payload", path])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    sleep(delay);
    if let Some(status) = child.try_wait().unwrap() {
        assert!(status.success());
        return true;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

/// Every entry that the loader can see is whole, and so is its slot.
#[track_caller]
fn check_bootable(machine: &Machine, one: &Release, two: &Release) {
    let labels = machine.labels();
    assert_eq!(labels[1..3], ["usr_1.0.0", "usr_1.0.0_verity"]);
    for name in machine.entry_names().into_iter().filter(|name| name.ends_with(".efi")) {
        let entry = std::fs::read(machine.tree.host.path(&format!("/efi/EFI/Linux/{name}"))).unwrap();
        let (release, usr) = if name.contains("1.0.0") { (one, 2) } else { (two, 4) };
        assert!(entry == release.uki, "{name}");
        assert!(machine.partition(usr).starts_with(&release.usr), "{name}");
        assert!(machine.partition(usr + 1).starts_with(&verity_device(release)), "{name}");
    }
    if labels[3] != "_empty" {
        assert!(machine.partition(4).starts_with(&two.usr));
        assert!(machine.partition(5).starts_with(&verity_device(two)));
    }
}

#[test]
fn a_killed_agent_leaves_a_machine_that_starts() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..300));
    let machine = machine(&one);
    machine.tree.file("/tmp/two.payload", payload(&two, &[key(1)]).1);
    let path = machine.tree.host.path("/tmp/two.payload");
    let mut delay = Duration::from_millis(1);
    while !run(&machine, path.to_str().unwrap(), delay) {
        check_bootable(&machine, &one, &two);
        delay += Duration::from_millis(1);
    }
    check_bootable(&machine, &one, &two);
    let names = machine.entry_names();
    assert_eq!(names, ["slipway_1.0.0.efi", "slipway_2.0.0+3.efi"]);
    assert_eq!(machine.reboot(&[&one, &two]), "2.0.0");
    machine.bless();
}
