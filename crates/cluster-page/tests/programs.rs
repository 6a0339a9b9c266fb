//! The program with stand-ins for those that it asks: good ones, and ones that print too much, nothing or nonsense.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/machine.rs"]
mod machine;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use machine::{Answer, Machine, PATIENCE};
use serde_json::Value;

fn show(machine: &Machine, args: &[&str]) -> (Option<i32>, String, String) {
    let out = machine.command().arg("show").args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

fn document(machine: &Machine) -> Value {
    let (code, stdout, stderr) = show(machine, &["--json"]);
    assert_eq!(code, Some(0), "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn one_look_is_tables_or_a_document() {
    let machine = Machine::new();
    let (code, text, _) = show(&machine, &[]);
    assert_eq!(code, Some(0));
    assert!(
        text.starts_with("In order: 2 machines, all on 0.1.1, etcd has its quorum, no slot is held.\n"),
        "{text}"
    );
    for word in ["MACHINE", "web.service", "leader", "version 0.1.1 is good in the default group"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let found = document(&machine);
    assert_eq!((&found["format"], &found["stands"]), (&1.into(), &"well".into()));
    assert_eq!(found["machines"].as_array().unwrap().len(), 2);
    assert_eq!(found["missing"].as_array().unwrap().len(), 0);
}

#[test]
fn each_program_is_asked_as_the_documents_say() {
    let machine = Machine::new();
    machine.says("locksmithctl", "machines --json", r#"[{"id": "m1", "group": "web server"}]"#);
    machine.says(
        "locksmithctl",
        "status --json --group=web server",
        r#"{"max": 2, "available": 2, "holders": []}"#,
    );
    machine.says("locksmithctl", "versions --json --group=web server", "[]");
    let found = document(&machine);
    assert_eq!(found["groups"][1]["name"], "web server");
    assert_eq!(found["groups"][1]["max"], 2);
    let mut calls: Vec<_> = machine.calls().lines().map(str::to_owned).collect();
    calls.sort();
    let expected = [
        "etcdctl endpoint status --write-out=json",
        "etcdctl member list --write-out=json",
        "fleetctl list-machines --json",
        "fleetctl list-unit-files --json",
        "fleetctl list-units --json",
        "locksmithctl machines --json",
        "locksmithctl status --json",
        "locksmithctl status --json --group=web server",
        "locksmithctl versions --json",
        "locksmithctl versions --json --group=web server",
    ];
    assert_eq!(calls, expected);
    // Each member is asked where it says that clients reach it, also where an operator set flags of etcdctl's.
    assert_eq!(machine.read("endpoints"), "http://10.7.0.1:2379,http://10.7.0.2:2379\n");
}

#[test]
fn a_machine_where_nothing_answers_says_so() {
    let machine = Machine::empty();
    let (code, text, stderr) = show(&machine, &[]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("Not known: Nothing answers on this machine.\n"), "{text}");
    assert!(text.contains("fleetctl list-units: this machine has no such program\n"), "{text}");
    assert!(stderr.starts_with("error: no program answered"), "{stderr}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let machine = Machine::empty();
    for args in [&["srve"][..], &["serve", "--listen", "localhost"], &["serve", "--every", "5"], &[]] {
        let out = machine.command().args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}");
    }
    let help = machine.command().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("Usage: slipway cluster <COMMAND>"), "{help}");
}

#[test]
fn a_page_and_a_document_are_served_until_it_is_told_to_end() {
    let machine = Machine::new();
    let mut server = machine.serve(&["--every", "1s"]);
    let page = server.until_seen("In order");
    assert!(
        page.headers.contains("content-security-policy: default-src 'none'; style-src 'sha256-"),
        "{page:?}"
    );
    assert!(page.headers.contains("cache-control: no-store"), "{page:?}");
    assert!(page.body.contains("<title>In order: 2 machines</title>"), "{page:?}");
    let document: Value = serde_json::from_str(&server.get("/status.json").body).unwrap();
    assert_eq!(document["stands"], "well");
    let head = server.ask("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(server.ask("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").status, 405);
    assert_eq!(server.get("/etc/passwd").status, 404);
    assert_eq!(server.ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 421);
    assert_eq!(server.ask("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 421);
    assert_eq!(server.ask("GET / HTTP/1.1\r\n\r\n").status, 400);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn what_happens_while_it_runs_is_told() {
    let machine = Machine::new();
    let server = machine.serve(&["--every", "1s"]);
    server.until_seen("In order");
    let failed = r#"[{"version": "0.1.2", "state": "failed", "by": "m2", "at": "2026-11-29T02:40:00Z",
        "stage": "kernel-panic", "reason": "it panicked"}]"#;
    machine.says("locksmithctl", "versions --json", failed);
    let page = server.until_seen("Needs a look");
    let sentence = "<span id=\"summary\">version 0.1.2 failed on m2: kernel-panic: it panicked</span>";
    assert!(page.body.contains(sentence), "{page:?}");
    machine.fails("fleetctl", "list-units --json", "fleetd does not answer");
    let page = server.until_seen("fleetctl list-units stopped answering: fleetd does not answer");
    // What was known is still there.
    assert!(page.body.contains("<code>web.service</code>"), "{page:?}");
    assert!(page.body.contains("what it said at <time"), "{page:?}");
    let document: Value = serde_json::from_str(&server.get("/status.json").body).unwrap();
    let kinds: Vec<_> =
        document["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["source-lost", "version-failed", "version-good"]);
}

#[test]
fn a_program_that_hangs_and_one_that_never_stops_printing_spoil_nothing() {
    let machine = Machine::new();
    machine.runs("fleetctl", "list-units --json", "exec yes");
    machine.runs("locksmithctl", "status --json", "sleep 600");
    machine.says("locksmithctl", "versions --json", "[{");
    machine.says("fleetctl", "list-machines --json", r#"{"id": 7, "x": [[[[[]]]]]}"#);
    let begin = Instant::now();
    let found = document(&machine);
    assert!(begin.elapsed() < PATIENCE);
    let reasons: Vec<_> =
        found["missing"].as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons[0], "no answer within 20 s");
    assert!(reasons[1].starts_with("what it printed is no JSON: "), "{reasons:?}");
    assert_eq!(reasons[2], "it printed more than 8 MiB");
    assert_eq!((reasons.len(), found["machines"].as_array().unwrap().len()), (3, 2));
    assert_eq!(found["etcd"]["quorum"], true);
}

#[test]
fn a_member_that_is_silent_is_shown_beside_those_that_answer() {
    let machine = Machine::new();
    let status =
        r#"[{"Endpoint":"http://10.7.0.1:2379","Status":{"header":{"member_id":101},"leader":101}}]"#;
    machine.runs(
        "etcdctl",
        "endpoint status --write-out=json",
        &format!("echo '{status}'; echo 'Failed to get the status of endpoint http://10.7.0.2:2379 (context deadline exceeded)' >&2; exit 1"),
    );
    let found = document(&machine);
    assert_eq!(found["etcd"]["members"][0]["role"], "leader");
    assert_eq!(found["etcd"]["members"][1]["role"], "silent");
    assert_eq!(found["etcd"]["members"][1]["reason"], "context deadline exceeded");
    assert_eq!(found["missing"].as_array().unwrap().len(), 0);
}

#[test]
fn names_that_are_markup_are_text() {
    let machine = Machine::new();
    let name = "<script>alert(1)</script>.service";
    machine.says(
        "fleetctl",
        "list-units --json",
        &format!(r#"[{{"name": "{name}", "machineID": "m1", "systemdActiveState": "failed"}}]"#),
    );
    let server = machine.serve(&[]);
    let page = server.until_seen("Needs a look");
    assert!(!page.body.contains("<script"), "{page:?}");
    assert!(
        page.body.contains("unit &lt;script&gt;alert(1)&lt;/script&gt;.service failed on m1"),
        "{page:?}"
    );
}

#[test]
fn a_port_in_use_is_an_error_with_a_remedy() {
    let machine = Machine::new();
    let server = machine.serve(&[]);
    let out = machine.command().args(["serve", "--listen", &server.address.to_string()]).output().unwrap();
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr.starts_with(&format!("error: listening at {}: Address already in use", server.address)),
        "{stderr}"
    );
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let machine = Machine::new();
    let server = machine.serve_at("0.0.0.0:0", &[]);
    assert!(server.log().starts_with("warning: whoever reaches 0.0.0.0:"), "{}", server.log());
    let Answer { status, .. } = server.get("/healthz");
    assert_eq!(status, 200);
}

#[test]
fn clients_that_send_nothing_or_too_much_keep_nobody_away() {
    let machine = Machine::new();
    let mut server = machine.serve(&[]);
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The server may close before all is written.
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(server.get("/healthz").status, 200);
    // They are not waited for at its end.
    let begin = Instant::now();
    assert_eq!(server.end(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(20));
    drop(silent);
}

#[test]
fn ctrl_c_ends_it_and_what_it_asks() {
    let machine = Machine::new();
    machine.runs("fleetctl", "list-units --json", "echo $$ > \"$LAB/hangs\"; exec sleep 600");
    let mut server = machine.serve(&[]);
    let begin = Instant::now();
    while machine.read("hangs").trim().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "it was never asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.end_by(rustix::process::Signal::INT), Some(0));
    let stat = format!("/proc/{}/stat", machine.read("hangs").trim());
    let is_gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    while !is_gone() {
        assert!(begin.elapsed() < PATIENCE, "fleetctl lives");
        std::thread::sleep(Duration::from_millis(20));
    }
}
