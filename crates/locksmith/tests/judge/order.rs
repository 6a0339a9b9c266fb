//! The order of a reboot, with daemons: slots over a boot, users' wishes, drains, an etcd that is away.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{KEY, holders, machine, one_member};

/// How soon a slot is to be free after the boot was found good.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn machines_reboot_one_after_the_other_and_end_without_a_slot() {
    let Some((_programs, member)) = one_member() else { return };
    let machines = ["m1", "m2", "m3"].map(|id| machine(id, &member));
    let mut daemons = machines.each_ref().map(|it| it.strategy("etcd-lock").waits("2.0.0").daemon(&[]));
    let n_reboots = || machines.iter().map(|machine| machine.n_reboots()).sum::<usize>();
    let mut left = vec![0, 1, 2];
    while !left.is_empty() {
        let n_before = 3 - left.len();
        daemons[left[0]].until("one more reboots", || n_reboots() > n_before);
        sleep(Duration::from_secs(2));
        assert_eq!(n_reboots(), n_before + 1, "never two at once");
        let place = left.iter().position(|machine| machines[*machine].n_reboots() == 1).unwrap();
        let away = left.remove(place);
        let (machine, others) = (&machines[away], left.clone());
        assert_eq!(holders(machine), [machine.id.as_str()]);

        assert_eq!(daemons[away].stop().code(), Some(0));
        machine.runs("2.0.0", "1.0.0").begin_boot();
        daemons[away] = machine.daemon(&[]);
        daemons[away].until_says("release: this boot's version is not blessed yet");
        assert_eq!(holders(machine), [machine.id.as_str()], "not before the version is good");
        if n_before == 0 {
            for other in others {
                daemons[other].until_says(&format!("version 2.0.0 is tried by {} first", machine.id));
            }
        }
        machine.complete_boot().runs("2.0.0", "2.0.0");
        daemons[away].until_says("release: the machine is back");
    }
    daemons[0].until("all are unlocked", || holders(&machines[0]).is_empty());
    let (versions, _) = machines[0].check(&["versions"], 0);
    assert!(versions.lines().nth(1).is_some_and(|line| line.starts_with("2.0.0    good   ")), "{versions}");
    assert_eq!(n_reboots(), 3);
}

#[test]
fn a_slot_held_over_the_boot_is_free_soon_although_another_version_waits_outside_the_window() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    programs.ctl(&member, &["put", KEY, r#"{"semaphore":0,"max":1,"holders":["m1"],"slots":{"m1":{"since":"2026-01-01T00:00:00Z","boot":"before"}}}"#]);
    let day = (jiff::Timestamp::now().as_second() / 86_400 + 4 + 3) % 7;
    let start = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][usize::try_from(day).unwrap()];
    let start = format!("{start} 12:00");
    let window =
        [("LOCKSMITHD_REBOOT_WINDOW_START", start.as_str()), ("LOCKSMITHD_REBOOT_WINDOW_LENGTH", "1h")];
    let begin = Instant::now();
    let mut daemon = m1.strategy("etcd-lock").waits("3.0.0").daemon(&window);
    daemon.until("the slot is free", || holders(&m1).is_empty());
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    daemon.until_says("window: version 3.0.0 waits for a reboot");
    assert_eq!(m1.n_reboots(), 0);
}

#[test]
fn off_gives_the_slot_back_and_ends() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    programs.ctl(&member, &["put", KEY, r#"{"semaphore":0,"max":1,"holders":["m1"]}"#]);
    let mut daemon = m1.strategy("off").waits("3.0.0").daemon(&[]);
    assert_eq!(daemon.wait_end().code(), Some(0), "{}", daemon.log());
    assert!(holders(&m1).is_empty());
    assert_eq!(m1.n_reboots(), 0);
}

#[test]
fn best_effort_takes_a_slot_where_an_etcd_answers() {
    let Some((_programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.check(&["lock", "other"], 0);
    let mut daemon = m1.strategy("best-effort").waits("2.0.0").daemon(&[]);
    daemon.until_says("lock: semaphore is at 0");
    assert_eq!(m1.n_reboots(), 0);
    m1.check(&["unlock", "other"], 0);
    daemon.until("a reboot", || m1.n_reboots() == 1);
    assert_eq!(holders(&m1), ["m1"]);
}

#[test]
fn units_leave_the_machine_before_it_reboots_and_may_come_back_after() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.units("inactive", "active").tree.file("/machines.json", r#"[{"id":"m1"}]"#);
    m1.tree.file("/unit-files.json", r#"[{"name":"a.service","global":false,"machineID":"m1"}]"#);
    let mut daemon = m1.strategy("etcd-lock").waits("2.0.0").daemon(&[("LOCKSMITHD_DRAIN_TIMEOUT", "60s")]);
    daemon.until("a reboot", || m1.n_reboots() == 1);
    let calls = m1.read("/fleet-calls");
    assert!(
        calls.lines().any(|line| line.starts_with("drain m1 --timeout ") && line.ends_with(" --json")),
        "{calls}"
    );
    let value = programs.ctl(&member, &["get", "--print-value-only", KEY]);
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert_eq!(value["slots"]["m1"]["drained"], true);

    daemon.stop();
    m1.begin_boot().complete_boot().runs("2.0.0", "2.0.0");
    let mut daemon = m1.daemon(&[]);
    daemon.until("the slot is free", || holders(&m1).is_empty());
    assert!(m1.read("/fleet-calls").lines().any(|line| line == "undrain m1 --json"));
}

#[test]
fn an_operators_reboot_takes_a_slot_whatever_the_strategy_and_gives_it_back() {
    let Some((_programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.strategy("reboot").check(&["lock", "other"], 0);
    assert_eq!(m1.check(&["reboot"], 1).1, "Error locking: semaphore is at 0\n");
    assert_eq!(m1.read("/systemctl-calls"), "");
    m1.check(&["unlock", "other"], 0);
    assert_eq!(m1.check(&["reboot"], 0), (String::new(), String::new()));
    assert_eq!(m1.systemctl_calls(), "--no-block start -- locksmithd.service\n");
    let mut daemon = m1.daemon(&[]);
    daemon.until("a reboot", || m1.n_reboots() == 1);
    assert_eq!(holders(&m1), ["m1"]);
    daemon.stop();
    m1.begin_boot().complete_boot();
    let mut daemon = m1.daemon(&[]);
    daemon.until("the slot is free", || holders(&m1).is_empty());
    daemon.until_says("idle: nothing waits");
    assert_eq!(m1.n_reboots(), 1, "the wish ended with the boot");
}

#[test]
fn a_wish_that_is_withdrawn_reboots_nothing() {
    let Some((_programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.check(&["reboot"], 0);
    m1.check(&["reboot", "--cancel"], 0);
    let (_, stderr) = m1.check(&["reboot", "--cancel"], 1);
    assert_eq!(stderr, "Error initiating reboot: no reboot is wished for\n");
    let mut daemon = m1.strategy("etcd-lock").daemon(&[]);
    daemon.until_says("idle: nothing waits");
    assert_eq!(m1.n_reboots(), 0);
}

#[test]
fn an_etcd_that_is_away_is_waited_for() {
    let Some((_programs, mut member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    member.kill();
    let mut daemon = m1.strategy("etcd-lock").waits("2.0.0").daemon(&[]);
    daemon.until_says("the semaphore cannot be read");
    assert_eq!(m1.n_reboots(), 0);
    let row = member.row();
    member.start(&["--initial-cluster", &row]);
    member.wait_healthy();
    daemon.until("a reboot", || m1.n_reboots() == 1);
}

#[test]
fn a_daemon_that_is_killed_after_it_took_the_slot_goes_on_where_it_was() {
    let Some((_programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.units("inactive", "active").tree.file("/machines.json", r#"[{"id":"m1"}]"#);
    m1.tree.file("/unit-files.json", r#"[{"name":"a.service","global":false,"machineID":"m1"}]"#);
    let fleetctl = m1.read("/bin/fleetctl");
    m1.tree.program("/bin/fleetctl", &fleetctl.replace("drain)\n", "drain)\n    sleep 600\n"));
    let mut daemon = m1.strategy("etcd-lock").waits("2.0.0").daemon(&[]);
    daemon.until("the drain begins", || m1.read("/fleet-calls").contains("drain m1"));
    assert_eq!(daemon.stop().code(), Some(0), "while a program runs");
    assert_eq!(holders(&m1), ["m1"], "the slot stays");
    m1.tree.program("/bin/fleetctl", &fleetctl);
    let mut daemon = m1.daemon(&[]);
    daemon.until("a reboot", || m1.n_reboots() == 1);
    assert_eq!(holders(&m1), ["m1"]);
}
