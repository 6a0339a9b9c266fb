//! Both programs on a machine of files, without etcd: names, usage, settings, and strategies that need none.

#[path = "support/machine.rs"]
mod machines;

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use machines::Machine;

/// Where nobody answers: the discard port of this machine.
const NOBODY: &str = "http://127.0.0.1:9";

#[test]
fn the_name_decides_which_program_it_is() {
    let machine = Machine::new("m1", NOBODY);
    let version = |program: &str| {
        let out = Command::new(program).arg("-version").output().unwrap();
        assert!(out.status.success());
        String::from_utf8(out.stdout).unwrap()
    };
    let daemon = machine.tree.host.path("/bin/locksmithd");
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(version(daemon.to_str().unwrap()), format!("locksmithd version {number}\n"));
    assert_eq!(version(env!("CARGO_BIN_EXE_locksmithctl")), format!("locksmithctl version {number}\n"));
}

#[test]
fn help_and_completions_ask_nobody() {
    let machine = Machine::new("m1", NOBODY);
    for args in [&[][..], &["help"], &["help", "set-max"], &["completion", "bash"]] {
        let (stdout, stderr) = machine.check(args, 0);
        assert!(stdout.contains("locksmithctl") && stderr.is_empty(), "{args:?}: {stdout}{stderr}");
    }
    let help = machine.check(&[], 0).0;
    for word in ["status", "set-max", "forgive", "--endpoint", "--etcd-cafile"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn wrong_usage_is_named_with_a_code_of_its_own() {
    let machine = Machine::new("m1", NOBODY);
    let (_, stderr) = machine.check(&["explode"], 2);
    assert!(
        stderr.starts_with("locksmithctl: unknown subcommand: \"explode\"\nRun 'locksmithctl help'"),
        "{stderr}"
    );
    machine.check(&["status", "--what"], 2);
    machine.check(&["lock", "a", "b"], 2);
    machine.check(&["forgive", "v1"], 2);
}

#[test]
fn failures_have_the_originals_words_and_code_1() {
    let machine = Machine::new("m1", NOBODY);
    let line = |args: &[&str]| machine.check(args, 1).1;
    assert!(
        line(&["status"])
            .starts_with("Error initializing etcd client: cannot connect to etcd (http://127.0.0.1:9")
    );
    assert!(line(&["lock"]).starts_with("Error initializing etcd client: "));
    assert_eq!(line(&["set-max"]), "New maximum value must be set.\n");
    assert_eq!(line(&["set-max", "1", "2"]), "New maximum value must be set.\n");
    for word in ["x", "-1", "1.5", ""] {
        assert_eq!(line(&["set-max", word]), format!("Invalid maximum value: {word}\n"));
    }
    assert!(
        line(&["-endpoint", "etcd:2379", "status"])
            .starts_with("Error initializing etcd client: --endpoint: `etcd:2379` is no URL")
    );
    machine.tree.file("/etc/machine-id", "");
    assert_eq!(line(&["lock"]), "Cannot read machine-id\n");
    assert_eq!(line(&["unlock"]), "Cannot read machine-id\n");
    assert_eq!(line(&["reboot"]), "Cannot read machine-id\n");
}

#[test]
fn wrong_settings_end_the_daemon_at_its_start_and_are_named() {
    let rows = [
        ("LOCKSMITHD_REBOOT_WINDOW_START", "25:00", "is no start of a window"),
        ("REBOOT_WINDOW_START", "02:00", "is set and LOCKSMITHD_REBOOT_WINDOW_LENGTH is not"),
        ("LOCKSMITHD_BREAK_STALE", "1m", "write it as 10m, 1h30m or 90s"),
        ("LOCKSMITHD_ETCD_CERTFILE", "/c", "set both or neither"),
    ];
    for (name, value, remedy) in rows {
        let variables = if name == "LOCKSMITHD_REBOOT_WINDOW_START" {
            vec![(name, value), ("LOCKSMITHD_REBOOT_WINDOW_LENGTH", "1h")]
        } else {
            vec![(name, value)]
        };
        let machine = Machine::new("m1", NOBODY);
        let mut daemon = machine.daemon(&variables);
        assert_eq!(daemon.wait_end().code(), Some(1));
        let log = daemon.log();
        assert!(log.starts_with(&format!("error: {name}")) && log.contains(remedy), "{log}");
        assert_eq!(machine.n_reboots(), 0);
    }
    let machine = Machine::new("m1", NOBODY);
    let mut daemon = machine.strategy("sometimes").daemon(&[]);
    assert_eq!(daemon.wait_end().code(), Some(1));
    let log = daemon.log();
    assert!(
        log.contains("/etc/slipway/update.conf:1: REBOOT_STRATEGY=sometimes is no strategy; use"),
        "{log}"
    );
}

#[test]
fn off_ends_at_once_and_never_reboots() {
    let machine = Machine::new("m1", NOBODY);
    let mut daemon = machine.strategy("off").waits("2.0.0").daemon(&[]);
    assert_eq!(daemon.wait_end().code(), Some(0));
    assert_eq!(machine.n_reboots(), 0);
    assert_eq!(
        machine.read("/run/update-engine/coordinator.conf"),
        "NAME=locksmithd\nSTRATEGY=off\nSTATE=disabled\n"
    );
}

#[test]
fn reboot_and_best_effort_without_an_etcd_reboot_by_themselves() {
    for strategy in ["reboot", "best-effort"] {
        let machine = Machine::new("m1", NOBODY);
        let mut daemon = machine.strategy(strategy).daemon(&[]);
        daemon.until_says("idle: nothing waits for a reboot");
        assert_eq!(machine.n_reboots(), 0);
        machine.waits("2.0.0");
        daemon.until("a reboot", || machine.n_reboots() == 1);
        let state = machine.read("/run/update-engine/coordinator.conf");
        assert_eq!(state, format!("NAME=locksmithd\nSTRATEGY={strategy}\nSTATE=rebooting\n"));
        assert_eq!(daemon.stop().code(), Some(0));
        assert_eq!(machine.read("/fleet-calls"), "");
    }
}

#[test]
fn etcd_lock_without_an_etcd_waits() {
    let machine = Machine::new("m1", NOBODY);
    let mut daemon = machine.strategy("etcd-lock").waits("2.0.0").daemon(&[]);
    daemon.until_says("the semaphore cannot be read: cannot connect to etcd");
    sleep(Duration::from_secs(2));
    assert_eq!(machine.n_reboots(), 0);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn users_are_told_and_waited_for() {
    let machine = Machine::new("m1", NOBODY);
    machine
        .tree
        .file("/dev/pts/0", "")
        .file("/proc/77/cgroup", "0::/user.slice/user-500.slice/session-3.scope\n");
    machine.tree.file("/proc/77/stat", "77 (bash) S 1 77 77 34816 1 1");
    let session = r#"[{"session":"3","uid":500,"user":"core","seat":null,"leader":77,"class":"user","tty":null,"idle":false}]"#;
    machine.tree.file("/sessions.json", session);
    let mut daemon = machine.strategy("reboot").waits("2.0.0").daemon(&[]);
    daemon.until_says("1 terminals were told");
    let text = machine.read("/dev/pts/0");
    assert!(
        text.contains("Broadcast message from locksmithd at") && text.contains("System reboot in 5 minutes!"),
        "{text}"
    );
    assert_eq!(machine.n_reboots(), 0);
    // When nobody is left, nobody is waited for.
    machine.tree.file("/sessions.json", "[]");
    daemon.until("a reboot", || machine.n_reboots() == 1);
}

#[test]
fn a_window_that_is_closed_is_waited_for() {
    // A day that is neither today nor tomorrow nor yesterday.
    let day = (jiff::Timestamp::now().as_second() / 86_400 + 4 + 3) % 7;
    let names = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let start = format!("{} 12:00", names[usize::try_from(day).unwrap()]);
    let machine = Machine::new("m1", NOBODY);
    let window =
        [("LOCKSMITHD_REBOOT_WINDOW_START", start.as_str()), ("LOCKSMITHD_REBOOT_WINDOW_LENGTH", "1h")];
    let mut daemon = machine.strategy("reboot").waits("2.0.0").daemon(&window);
    daemon.until_says("version 2.0.0 waits for a reboot; the window opens at");
    sleep(Duration::from_secs(1));
    assert_eq!(machine.n_reboots(), 0);
}

#[test]
fn two_daemons_do_not_share_a_machine() {
    let machine = Machine::new("m1", NOBODY);
    let mut first = machine.strategy("reboot").daemon(&[]);
    first.until_says("idle: ");
    let mut second = machine.daemon(&[]);
    assert_eq!(second.wait_end().code(), Some(1));
    assert!(
        second.log().contains("locksmithd reboots this machine already; stop it first"),
        "{}",
        second.log()
    );
    assert_eq!(first.stop().code(), Some(0));
}

#[test]
fn an_update_agent_that_fails_reboots_nothing_and_is_named() {
    let machine = Machine::new("m1", NOBODY);
    machine.tree.program("/bin/slipway-update", "#!/bin/sh\necho 'error: no disk' >&2\nexit 1\n");
    let mut daemon = machine.strategy("reboot").waits("2.0.0").daemon(&[]);
    daemon.until_says(
        "the update agent does not answer: slipway-update status --json: exit code 1: error: no disk",
    );
    sleep(Duration::from_secs(1));
    assert_eq!(machine.n_reboots(), 0);
}

#[test]
fn a_version_that_is_taken_back_at_the_last_moment_reboots_nothing() {
    let machine = Machine::new("m1", NOBODY);
    // What waits is asked for twice: when the step is decided, and right before the reboot.
    let script = r#"#!/bin/sh
case "$1" in
status) cat "$LAB/status.json" ;;
*)
    [ -e "$LAB/asked" ] && { echo "no version waits for a reboot"; exit 1; }
    touch "$LAB/asked"
    echo 2.0.0 ;;
esac
"#;
    machine.tree.program("/bin/slipway-update", script);
    let mut daemon = machine.strategy("reboot").waits("2.0.0").daemon(&[]);
    daemon.until_says("nothing waits now, not version 2.0.0");
    sleep(Duration::from_secs(1));
    assert_eq!(machine.n_reboots(), 0);
}

#[test]
fn a_version_can_be_made_to_wait_for_a_test() {
    let machine = Machine::new("m1", NOBODY);
    machine.check(&["send-need-reboot"], 0);
    assert_eq!(machine.read("/run/slipway/reboot-required"), "1.0.0\n");
    let mut daemon = machine.strategy("reboot").daemon(&[]);
    daemon.until("a reboot", || machine.n_reboots() == 1);
}
