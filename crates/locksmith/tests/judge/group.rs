//! What a group knows: versions that failed, machines that say how they are, holders that never come back.

use super::{KEY, holders, machine, one_member};

#[test]
fn a_version_that_failed_on_one_machine_is_refused_on_the_next() {
    let Some((_programs, member)) = one_member() else { return };
    let [m1, m2] = ["m1", "m2"].map(|id| machine(id, &member));
    // m1 tried 2.0.0 and fell back.
    let failed = r#"{"running_version":"1.0.0","good_version":"1.0.0","failed_versions":[
        {"version":"2.0.0","stage":"health-failed","reason":"docker: no answer","time":1700000000,"forgiven":false}]}"#;
    let mut first = m1.strategy("etcd-lock").says(failed).daemon(&[]);
    first.until_says("version 2.0.0 failed here: health-failed: docker: no answer");
    first.until("the group knows it", || m1.check(&["versions"], 0).0.contains("failed"));
    let (versions, _) = m1.check(&["versions"], 0);
    assert!(versions.contains("health-failed  docker: no answer"), "{versions}");

    let mut second = m2.strategy("etcd-lock").waits("2.0.0").daemon(&[]);
    second.until("m2 refuses it", || {
        m2.read("/agent-calls").contains("refuse 2.0.0 --reason failed on m1: health-failed")
    });
    second.until_says("idle: ");
    assert_eq!((m1.n_reboots(), m2.n_reboots()), (0, 0));
    assert!(holders(&m1).is_empty());

    second.stop();
    m1.check(&["forgive", "2.0.0"], 0);
    let (_, stderr) = m1.check(&["forgive", "3.0.0"], 1);
    assert_eq!(stderr, "Error forgiving: version 3.0.0 did not fail in this group\n");
    let mut second = m2.daemon(&[]);
    second.until("m2 may take it again", || m2.read("/agent-calls").contains("unhold 2.0.0 --failure"));
}

#[test]
fn machines_say_how_they_are_until_they_are_forgotten() {
    let Some((_programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.check(&["lock", "other"], 0);
    let mut daemon = m1.strategy("etcd-lock").waits("2.0.0").daemon(&[("LOCKSMITHD_GROUP", "")]);
    let machines = || m1.check(&["machines", "--json"], 0).0;
    daemon.until("m1 says that it waits", || machines().contains("semaphore is at 0"));
    let document: serde_json::Value = serde_json::from_str(&machines()).unwrap();
    let row = &document[0];
    assert_eq!((&row["id"], &row["phase"], &row["waiting"]), (&"m1".into(), &"lock".into(), &"2.0.0".into()));
    assert_eq!((&row["version"], &row["strategy"]), (&"1.0.0".into(), &"etcd-lock".into()));
    daemon.stop();
    let (table, _) = m1.check(&["machines"], 0);
    assert!(table.starts_with("MACHINE ID  VERSION  SLOT") && table.contains("m1          1.0.0"), "{table}");
    m1.check(&["forget", "m1"], 0);
    assert_eq!(machines().trim(), "[]");
    assert!(m1.check(&["forget", "m1"], 1).1.starts_with("Error forgetting: machine m1 says nothing"));
}

#[test]
fn a_holder_that_never_came_back_is_broken_only_if_that_is_wanted_and_fleet_does_not_see_it() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.strategy("etcd-lock").units("inactive", "active").waits("2.0.0");
    m1.tree.file("/machines.json", r#"[{"id":"m1"}]"#);
    let held = r#"{"semaphore":0,"max":1,"holders":["gone"],"slots":{"gone":{"since":"2026-01-01T00:00:00Z","boot":"b"}}}"#;
    programs.ctl(&member, &["put", KEY, held]);
    let mut daemon = m1.daemon(&[]);
    daemon.until_says("lock: semaphore is at 0");
    daemon.stop();
    assert_eq!(holders(&m1), ["gone"]);
    let mut daemon = m1.daemon(&[("LOCKSMITHD_BREAK_STALE", "6h")]);
    daemon.until("a reboot", || m1.n_reboots() == 1);
    assert!(daemon.log().contains("gone has held a slot since"), "{}", daemon.log());
    assert_eq!(holders(&m1), ["m1"]);
}
