//! `locksmithctl` on a semaphore: what it prints, what it refuses, and several at once.

use std::thread;

use super::{KEY, machine, one_member};

#[test]
fn a_fresh_store_has_one_slot_and_asking_writes_nothing() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    assert_eq!(m1.check(&["status"], 0).0, "Available: 1\nMax: 1\n");
    assert_eq!(programs.ctl(&member, &["get", "--prefix", "--keys-only", ""]), "");
    assert_eq!(m1.check(&["lock", "m1"], 0), (String::new(), String::new()));
    assert_eq!(m1.check(&["status"], 0).0, "Available: 0\nMax: 1\n\nMACHINE ID\nm1\n");
    let value = programs.ctl(&member, &["get", "--print-value-only", KEY]);
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert_eq!(
        (&value["semaphore"], &value["max"], &value["holders"]),
        (&0.into(), &1.into(), &["m1"].as_slice().into())
    );
}

#[test]
fn a_slot_that_is_taken_is_refused_until_there_are_more() {
    let Some((_programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.check(&["lock", "m1"], 0);
    assert_eq!(m1.check(&["lock", "m2"], 1).1, "Error locking: semaphore is at 0\n");
    assert_eq!(m1.check(&["unlock", "m2"], 1).1, "Error unlocking: holder does not exist\n");
    assert_eq!(m1.check(&["set-max", "2"], 0).0, "Old-Max: 1\nMax: 2\n");
    m1.check(&["lock", "m2"], 0);
    m1.check(&["set-max", "0"], 0);
    assert_eq!(m1.check(&["status"], 0).0, "Available: -2\nMax: 0\n\nMACHINE ID\nm1\nm2\n");
    assert_eq!(m1.check(&["lock", "m3"], 1).1, "Error locking: semaphore is at -2\n");
    m1.check(&["unlock"], 0);
    m1.check(&["unlock", "m2"], 0);
    assert_eq!(m1.check(&["status"], 0).0, "Available: 0\nMax: 0\n");
}

#[test]
fn a_holder_that_locks_again_changes_nothing() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.check(&["lock"], 0);
    let value = || programs.ctl(&member, &["get", "--write-out=json", KEY]);
    let before: serde_json::Value = serde_json::from_str(&value()).unwrap();
    assert_eq!(m1.check(&["lock", "m1"], 0), (String::new(), String::new()));
    let after: serde_json::Value = serde_json::from_str(&value()).unwrap();
    assert_eq!(after["kvs"], before["kvs"], "not even the revision");
}

#[test]
fn groups_have_semaphores_of_their_own() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.check(&["-group", "etcd", "lock", "m1"], 0);
    m1.check(&["-group", "db east", "lock", "m2"], 0);
    assert_eq!(m1.check(&["status"], 0).0, "Available: 1\nMax: 1\n");
    assert_eq!(m1.check(&["-group=etcd", "status"], 0).0, "Available: 0\nMax: 1\n\nMACHINE ID\nm1\n");
    let keys = programs.ctl(&member, &["get", "--prefix", "--keys-only", "/coreos.com/"]);
    assert!(keys.contains("/coreos.com/updateengine/rebootlock/groups/db+east/semaphore\n"), "{keys}");
}

#[test]
fn what_others_wrote_is_understood_and_kept() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    programs.ctl(&member, &["put", KEY, r#"{"semaphore":1,"max":2,"holders":["z"],"ours":{"x":1}}"#]);
    m1.check(&["lock", "a"], 0);
    let value = programs.ctl(&member, &["get", "--print-value-only", KEY]);
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert_eq!((&value["holders"], &value["ours"]["x"]), (&["a", "z"].as_slice().into(), &1.into()));
    programs.ctl(&member, &["put", KEY, "no JSON"]);
    let (_, stderr) = m1.check(&["status"], 1);
    assert!(
        stderr.starts_with("Error initializing etcd client: ") && stderr.contains("is not JSON"),
        "{stderr}"
    );
}

#[test]
fn writers_that_collide_all_get_their_slot() {
    let Some((_programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.check(&["set-max", "4"], 0);
    let machines: Vec<_> = (1..=4).map(|n| machine(&format!("m{n}"), &member)).collect();
    let codes: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> =
            machines.iter().map(|machine| scope.spawn(|| machine.ctl(&["lock"]).status.code())).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(codes, [Some(0); 4]);
    assert_eq!(m1.check(&["status"], 0).0, "Available: 0\nMax: 4\n\nMACHINE ID\nm1\nm2\nm3\nm4\n");
}

#[test]
fn details_tell_the_age_of_a_slot_and_whether_fleet_sees_the_machine() {
    let Some((_programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    m1.tree.file("/machines.json", r#"[{"id":"m1"}]"#);
    m1.check(&["set-max", "2"], 0);
    for id in ["m1", "m2"] {
        m1.check(&["lock", id], 0);
    }
    let document: serde_json::Value = serde_json::from_str(&m1.check(&["status", "--json"], 0).0).unwrap();
    let holders = document["holders"].as_array().unwrap();
    assert_eq!((&holders[0]["alive"], &holders[1]["alive"]), (&true.into(), &false.into()));
    assert!(holders[0]["age_secs"].as_u64().unwrap() < 60, "{document}");
    let verbose = m1.check(&["status", "--verbose"], 0).0;
    assert!(verbose.starts_with("Available: 0\nMax: 2\n\nMACHINE ID  SINCE"), "{verbose}");
    m1.tree.program("/bin/fleetctl", "#!/bin/sh\nexit 1\n");
    let document: serde_json::Value = serde_json::from_str(&m1.check(&["status", "--json"], 0).0).unwrap();
    assert_eq!(document["holders"][0]["alive"], serde_json::Value::Null);
}

#[test]
fn a_machine_that_loses_its_slot_while_it_is_drained_is_remembered() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    let held = r#"{"semaphore":0,"max":1,"holders":["m2"],"slots":{"m2":{"since":"2026-01-01T00:00:00Z","boot":"b","drained":true}}}"#;
    programs.ctl(&member, &["put", KEY, held]);
    m1.check(&["unlock", "m2"], 0);
    assert_eq!(m1.check(&["status"], 0).0, "Available: 1\nMax: 1\n");
    let value = programs.ctl(&member, &["get", "--print-value-only", KEY]);
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert_eq!(value["undrain"], serde_json::json!(["m2"]), "{value}");
}
