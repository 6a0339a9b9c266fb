//! Keys that are elsewhere, fetched from servers of the test.

use std::time::{Duration, Instant};

use http_get::testing::{Answer, Server, dead_url};

use super::machine::Machine;

const TALK: &str = include_str!("../data/talk.yml");
const KEYS: &str = "/home/core/.ssh/authorized_keys";

fn key(n: char) -> String {
    format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA{n}AA")
}

fn settings(machine: &Machine, github: &str, seconds: u32) {
    let text = format!("GITHUB_API={github}\nIMPORT_SECONDS={seconds}\n");
    machine.file("/etc/slipway/cloudinit.conf", &text);
}

#[test]
fn b01_the_example_of_the_talk_gives_core_the_keys_of_philips_and_takes_them_back() {
    let server = Server::start(|question, before| match (question.line.as_str(), before) {
        ("GET /users/philips/keys", 0) => {
            Answer::ok(format!(r#"[{{"id": 1, "key": "{}"}}, {{"id": 2, "key": "{}"}}]"#, key('A'), key('B')))
        }
        ("GET /users/philips/keys", _) => Answer::ok(format!(r#"[{{"id": 2, "key": "{}"}}]"#, key('B'))),
        _ => Answer::status(400),
    });
    let machine = Machine::new();
    settings(&machine, &server.url(""), 20);
    let called = machine.applied(TALK, &["--fetch-keys"]);
    assert!(called.stdout.contains("done: import keys of core: set github-philips"), "{}", called.stdout);
    assert_eq!(machine.text(KEYS), format!("{}\n{}\n", key('A'), key('B')));
    assert!(server.asked()[0].headers.contains("user-agent: slipway-cloudinit/"));
    machine.applied(TALK, &["--fetch-keys"]);
    assert_eq!(machine.text(KEYS), format!("{}\n", key('B')));
}

#[test]
fn b11_without_an_answer_of_github_the_rest_is_done_and_earlier_keys_stay() {
    let machine = Machine::new();
    let server = Server::start(|_, _| Answer::ok(format!(r#"[{{"id": 1, "key": "{}"}}]"#, key('A'))));
    settings(&machine, &server.url(""), 20);
    machine.applied(TALK, &["--fetch-keys"]);
    settings(&machine, &dead_url(), 1);
    let begin = Instant::now();
    let called = machine.apply(TALK, &["--fetch-keys"]);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(called.code, 1, "{called:#?}");
    assert!(called.stdout.contains("failed: import keys of core: set github-philips"), "{}", called.stdout);
    let start = "run systemctl --no-block start slipway-cloudinit-start.target";
    let place = |text: &str| called.stdout.find(text).unwrap_or_else(|| panic!("{text}: {}", called.stdout));
    assert!(place(start) < place("failed: import"), "{}", called.stdout);
    assert_eq!(machine.text(KEYS), format!("{}\n", key('A')));
    let status = machine.text("/var/lib/slipway/cloudinit/status.json");
    assert!(status.contains("import keys of core") && status.contains("\"failed\""), "{status}");
    // The kept set is still the configuration's own: a later file without it takes it back.
    machine.applied("#cloud-config\n", &[]);
    assert_eq!(machine.text(KEYS), "");
}

#[test]
fn a_url_may_give_plain_text_and_a_page_of_a_portal_is_no_key() {
    let server = Server::start(|question, _| match question.line.as_str() {
        "GET /keys" => Answer::ok(format!("# mine\n{}\n", key('A'))),
        _ => Answer::ok("<html>Please log in.</html>"),
    });
    let config = |path: &str| {
        format!("#cloud-config\nusers: [{{name: core, coreos-ssh-import-url: \"{}\"}}]\n", server.url(path))
    };
    let machine = Machine::new();
    machine.applied(config("/keys"), &["--fetch-keys"]);
    assert_eq!(machine.text(KEYS), format!("{}\n", key('A')));
    let called = machine.apply(config("/portal"), &["--fetch-keys"]);
    assert!(called.stdout.contains("number 1 is no key"), "{}", called.stdout);
    assert_eq!((called.code, machine.text(KEYS)), (1, format!("{}\n", key('A'))));
}
