//! The program itself: exit codes, and what goes to which stream.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../uki/tests/support/images.rs"]
mod images;
#[path = "support/machine.rs"]
mod machines;
#[path = "support/releases.rs"]
mod releases;

use std::process::{Command, Output};

use machines::{Machine, machine};
use releases::{key, payload, release};

fn slipway_update(machine: &Machine, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-update"));
    command.arg("--root").arg(machine.tree.host.path("/")).args(args).output().unwrap()
}

#[track_caller]
fn check(machine: &Machine, args: &[&str], code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = slipway_update(machine, args);
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "{stdout}{stderr}");
    (stdout, stderr)
}

#[test]
fn a_whole_update_by_command() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..3));
    let machine = machine(&one);
    machine.tree.file("/tmp/two.payload", payload(&two, &[key(1)]).1);
    let path = machine.tree.host.path("/tmp/two.payload");
    check(&machine, &["reboot-wanted"], 1);
    let (stdout, stderr) = check(&machine, &["apply", "--json", "--payload", path.to_str().unwrap()], 0);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["current_op"], "UPDATE_STATUS_UPDATED_NEED_REBOOT");
    assert!(stderr.contains("writing version 2.0.0 to slot B"), "{stderr}");
    assert_eq!(check(&machine, &["reboot-wanted"], 0).0, "2.0.0\n");
    let (stdout, _) = check(&machine, &["apply", "--payload", path.to_str().unwrap()], 0);
    assert!(stdout.contains("version 2.0.0 waits for a reboot already"), "{stdout}");
    check(&machine, &["reset-status"], 0);
    let (_, stderr) = check(&machine, &["reset-status"], 1);
    assert!(stderr.starts_with("error: no version waits for a reboot"), "{stderr}");
    check(&machine, &["rollback"], 0);
    let (stdout, _) = check(&machine, &["history", "--json"], 0);
    let events: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let whats: Vec<_> =
        events.as_array().unwrap().iter().map(|event| event["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["started", "written", "reset", "rolled-back"]);
}

#[test]
fn a_version_that_failed_elsewhere_is_taken_back_and_allowed_again_by_command() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..3));
    let machine = machine(&one);
    machine.tree.file("/tmp/two.payload", payload(&two, &[key(1)]).1);
    let path = machine.tree.host.path("/tmp/two.payload");
    let apply = ["apply", "--payload", path.to_str().unwrap()];
    check(&machine, &apply, 0);
    let refuse = ["refuse", "2.0.0", "--reason", "health-failed on m1: docker: no answer"];
    let (stdout, _) = check(&machine, &refuse, 0);
    assert!(stdout.starts_with("version 2.0.0 is refused and taken back: health-failed on m1"), "{stdout}");
    let (stdout, _) = check(&machine, &refuse, 0);
    assert!(stdout.starts_with("version 2.0.0 is refused: "), "{stdout}");
    assert_eq!(check(&machine, &["reboot-wanted"], 1).0, "no version waits for a reboot\n");
    assert_eq!(machine.reboot(&[&one, &two]), "1.0.0");
    let (_, stderr) = check(&machine, &apply, 1);
    assert!(
        stderr.contains("refused: 2.0.0 failed in this machine's group: health-failed on m1"),
        "{stderr}"
    );
    let (stdout, _) = check(&machine, &["status", "--json"], 0);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["failed_versions"][0]["stage"], "group");
    check(&machine, &["unhold", "2.0.0", "--failure"], 0);
    check(&machine, &apply, 0);
    assert_eq!(machine.reboot(&[&one, &two]), "2.0.0");
    check(&machine, &["unhold", "--failure"], 2);
    check(&machine, &["refuse", "3.0.0"], 2);
}

#[test]
fn errors_are_one_line_and_wrong_usage_is_told_apart() {
    let machine = machine(&release("1.0.0", 0..0));
    let (_, stderr) = check(&machine, &["check"], 1);
    assert!(stderr.starts_with("error: no SERVER is set") && stderr.lines().count() == 1, "{stderr}");
    let (_, stderr) = check(&machine, &["apply", "--payload", "/no/such/file"], 1);
    assert!(stderr.starts_with("error: opening /no/such/file: "), "{stderr}");
    check(&machine, &["hold", "v1"], 2);
    check(&machine, &["nonsense"], 2);
}

#[test]
fn the_status_document_has_the_documented_fields() {
    let machine = machine(&release("1.0.0", 0..0));
    let (stdout, _) = check(&machine, &["status", "--json"], 0);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let page = include_str!("../../../docs/operating/updates.md");
    for field in document.as_object().unwrap().keys().filter(|field| *field != "format") {
        assert!(page.contains(&format!("`{field}`")), "{field}");
    }
    assert_eq!(document["warnings"], serde_json::json!([]));
}
