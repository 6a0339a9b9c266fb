//! The page judged by others: a real browser, by what it makes of it, refuses and asks for, and the etcd that we ship.
//!
//! Runs with the tools tree `browser` and the image's programs, which `cargo xtask test judge` makes.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "judge/browser.rs"]
mod browser;
#[path = "judge/etcd.rs"]
mod etcd;
#[path = "support/machine.rs"]
mod machine;

use browser::{Browser, Look, Scheme};
use machine::{Machine, Server};

/// A name that would be markup where it was not text.
const HOSTILE: &str = "<img src=x onerror=alert(1)></td><script>document.title='taken'</script>.service";

/// A cluster after a bad version, with a unit of a hostile name, and the browser; `None` without one.
fn lab() -> Option<(Browser, Machine)> {
    let browser = Browser::found()?;
    let machine = Machine::new();
    let failed = r#"[{"version": "0.1.2", "state": "failed", "by": "m2", "at": "2026-11-29T02:40:00Z",
        "stage": "kernel-panic", "reason": "sysrq triggered <b>crash</b>"}]"#;
    machine.says("locksmithctl", "versions --json", failed);
    let unit = format!(r#"[{{"name": "{HOSTILE}", "machineID": "m1", "systemdActiveState": "failed"}}]"#);
    machine.says("fleetctl", "list-units --json", &unit);
    Some((browser, machine))
}

/// Serves the page so that it is not loaded anew while it is judged.
fn serve(machine: &Machine) -> Server {
    let server = machine.serve(&["--every", "10m", "--debug"]);
    server.until_seen("Needs a look");
    server
}

/// Requests that the server has answered.
fn requests(server: &Server) -> Vec<String> {
    server.log().lines().filter(|line| line.starts_with("GET ")).map(str::to_owned).collect()
}

#[test]
fn the_browser_reads_what_was_written() {
    let Some((browser, machine)) = lab() else { return };
    let server = serve(&machine);
    let dom = browser.dom(&format!("http://{}/", server.address)).text;
    assert!(dom.contains("<title>Needs a look: 2 machines</title>"), "{dom}");
    let sentence = "<span id=\"summary\">version 0.1.2 failed on m2: kernel-panic: sysrq triggered &lt;b&gt;crash&lt;/b&gt;</span>";
    assert!(dom.contains(sentence), "{dom}");
    // The names of columns above each of six tables; machines, units, a version, members, a group, an event.
    let rows = dom.matches("<tr role=\"row\">").count();
    assert_eq!(rows, 6 + 2 + 2 + 1 + 2 + 1 + 1, "{dom}");
    assert_eq!(dom.matches("<caption>").count(), 6, "{dom}");
    assert!(!dom.contains("<script") && !dom.contains("<img") && !dom.contains("taken</title>"), "{dom}");
    assert!(dom.contains("&lt;img src=x onerror=alert(1)&gt;&lt;/td&gt;&lt;script&gt;"), "{dom}");
}

#[test]
fn the_policy_allows_the_style_and_the_browser_asks_for_nothing_else() {
    let Some((browser, machine)) = lab() else { return };
    let server = serve(&machine);
    let before = requests(&server).len();
    let url = format!("http://{}/", server.address);
    let look = browser.dom(&url);
    assert_eq!(look.complaints(), [""; 0]);
    assert_eq!(look.requested, [url], "{look:?}");
    assert_eq!(requests(&server)[before..], ["GET / 200"]);
}

#[test]
fn a_style_that_the_policy_does_not_know_would_be_told() {
    let Some((browser, machine)) = lab() else { return };
    let server = serve(&machine);
    let page = server.get("/").body.replace("</style>", " </style>");
    // The policy in the page, as the server gives it in its header.
    let policy = server
        .get("/")
        .headers
        .lines()
        .find_map(|line| line.strip_prefix("content-security-policy: ").map(str::to_owned));
    let policy = policy.unwrap().replace("; frame-ancestors 'none'", "");
    let page = page.replace(
        "<style>",
        &format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\"><style>"),
    );
    let file = browser.file("changed.html", &page);
    let complaints = browser.dom(&file).complaints();
    assert!(complaints.iter().any(|line| line.contains("style")), "{complaints:?}");
}

#[test]
fn it_looks_as_it_should_in_light_and_dark_and_on_a_narrow_screen() {
    let Some((browser, machine)) = lab() else { return };
    let server = serve(&machine);
    let url = format!("http://{}/", server.address);
    let shot = |width: u32, scheme: Scheme| {
        let Look { picture, .. } = browser.picture(&url, width, scheme);
        assert!(picture.len() > 20_000, "a picture of {} bytes shows nothing", picture.len());
        picture
    };
    let (light, dark, narrow) =
        (shot(1200, Scheme::Light), shot(1200, Scheme::Dark), shot(400, Scheme::Light));
    assert_eq!(light, shot(1200, Scheme::Light), "two pictures of one page differ");
    // Without its style the page is the same in both.
    assert!(light != dark && light != narrow);
}

#[test]
fn a_site_that_points_its_name_here_reads_nothing() {
    let Some((browser, machine)) = lab() else { return };
    let server = serve(&machine);
    let dom = browser.dom(&format!("http://evil.example:{}/", server.address.port())).text;
    assert!(dom.contains("served under localhost") && !dom.contains("0.1.2"), "{dom}");
    assert_eq!(requests(&server).last().unwrap(), "GET / 421");
}
