//! How waits end: running, failed, out of attempts, interrupted.

use std::time::{Duration, Instant};

use fleet_core::model::State;

use super::lab::{HERE, Lab, SLEEP};

#[test]
fn a_unit_that_fails_is_an_error_with_its_last_lines() {
    let lab = Lab::new();
    lab.program("journalctl", "echo \"journalctl $*\"; echo 'boom: cannot start'");
    lab.here(HERE);
    lab.file("bad.service", "[Service]\nExecStart=/bin/false\n");
    let said = lab.ctl(&["start", "bad"]);
    assert_eq!(said.code, 1);
    let expected = "error: unit bad.service was started on e1cd2bcd.../172.17.8.101 and is failed (failed), \
                    not active\njournalctl --unit bad.service --no-pager -n 10\nboom: cannot start\n";
    assert_eq!(said.stderr, expected);
    assert_eq!(said.stdout, "Unit bad.service launched on e1cd2bcd.../172.17.8.101\n");
}

#[test]
fn a_oneshot_that_has_done_its_work_is_a_success() {
    let lab = Lab::new();
    lab.file("once.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    let said = lab.ctl(&["start", "once"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

#[test]
fn a_unit_that_never_becomes_active_uses_up_its_attempts() {
    let lab = Lab::new();
    lab.here(HERE);
    lab.program("journalctl", "echo 'still loading'");
    lab.file("slow.service", "[Service]\nType=notify\nExecStart=/bin/slow\n");
    let begin = Instant::now();
    let said = lab.ctl(&["start", "--block-attempts=1", "slow"]);
    assert!(begin.elapsed() >= Duration::from_secs(2));
    assert_eq!(said.code, 1);
    let expected = "timed out waiting for unit slow.service to report state active\nstill loading\n";
    assert_eq!(said.stderr, expected);
}

#[test]
fn a_unit_without_a_machine_is_explained_when_attempts_are_used_up() {
    let lab = Lab::new();
    lab.file("us.service", &format!("{SLEEP}[X-Fleet]\nMachineMetadata=region=us\n"));
    let said = lab.ctl(&["start", "--block-attempts=1", "us"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    let expected = "timed out waiting for unit us.service to report state launched\n\
                    us.service: on no machine: none is eligible\n";
    assert_eq!(said.stderr, expected);
    assert_eq!(lab.cluster.inner().units["us.service"].desired, State::Launched);
}

#[test]
fn destroy_waits_only_where_attempts_are_counted() {
    let lab = Lab::new();
    lab.cluster.unit("foo.service", SLEEP, State::Launched);
    let said = lab.ctl(&["destroy", "--block-attempts=2", "foo"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "Destroyed foo.service\n"));
}

#[test]
fn an_interrupt_ends_the_wait_and_nothing_else() {
    let lab = Lab::new();
    lab.file("us.service", &format!("{SLEEP}[X-Fleet]\nMachineMetadata=region=us\n"));
    let child = lab.spawn(&["start", "us"]);
    let begin = Instant::now();
    while lab.cluster.inner().changes.is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(30), "nothing was asked for");
        std::thread::sleep(Duration::from_millis(10));
    }
    let said = lab.interrupt(child);
    assert_eq!(said.code, 130, "{}", said.stderr);
    assert_eq!(lab.cluster.changes(), ["put us.service launched with content"]);
}

#[test]
fn a_unit_that_is_destroyed_meanwhile_ends_the_wait() {
    let lab = Lab::new();
    lab.file("us.service", &format!("{SLEEP}[X-Fleet]\nMachineMetadata=region=us\n"));
    let cluster = lab.cluster.clone();
    let hand = std::thread::spawn(move || {
        while cluster.inner().changes.is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        cluster.inner().units.clear();
    });
    let said = lab.ctl(&["start", "us"]);
    hand.join().unwrap();
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("destroyed by somebody else"), "{}", said.stderr);
}
