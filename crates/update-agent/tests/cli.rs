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
    check(&machine, &["reboot-wanted"], 0);
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
