//! A case for each kind of event, and for what is none.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Kind, events};
use crate::source::Source;
use crate::testing::{after_a_bad_version, edit, id, seen};

type All = BTreeMap<Source, Option<Value>>;

/// What happens between the cluster that is well, changed by `before`, and the one changed by `after`.
fn between(before: impl FnOnce(&mut All), after: impl FnOnce(&mut All)) -> Vec<(Kind, String)> {
    let found = events(Some(&seen(before)), &seen(after));
    found.into_iter().map(|event| (event.kind, event.text)).collect()
}

#[track_caller]
fn check(before: impl FnOnce(&mut All), after: impl FnOnce(&mut All), expected: &[(Kind, &str)]) {
    let found = between(before, after);
    let found: Vec<_> = found.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
    assert_eq!(found, expected);
}

fn well(_: &mut All) {}

fn pop(value: &mut Value) {
    value.as_array_mut().unwrap().pop();
}

fn locks(holders: Value) -> impl FnOnce(&mut All) {
    move |all| edit(all, Source::Locks(String::new()), |value| value["holders"] = holders)
}

fn version(state: &'static str) -> impl FnOnce(&mut All) {
    move |all| {
        edit(all, Source::Versions(String::new()), |value| {
            let row = json!({ "version": "0.1.2", "state": state, "by": id(2), "at": "2026-11-29T02:40:00Z",
                "stage": "health-failed", "reason": "docker: no answer" });
            value.as_array_mut().unwrap().push(row);
        });
    }
}

fn unit(change: impl FnOnce(&mut Value)) -> impl FnOnce(&mut All) {
    |all| edit(all, Source::Units, |value| change(&mut value[0]))
}

fn leader(leader: u64) -> impl FnOnce(&mut All) {
    move |all| {
        edit(all, Source::Endpoints, |value| {
            for row in value.as_array_mut().unwrap() {
                row["Status"]["leader"] = json!(leader);
            }
        });
    }
}

#[test]
fn nothing_happens_where_nothing_differs() {
    check(well, well, &[]);
    check(after_a_bad_version, after_a_bad_version, &[]);
}

#[test]
fn machines_come_and_go() {
    let without = |all: &mut All| edit(all, Source::FleetMachines, pop);
    check(without, well, &[(Kind::MachineCame, "machine 3aaaaaaa… came")]);
    check(well, without, &[(Kind::MachineWent, "machine 3aaaaaaa… went")]);
}

#[test]
fn without_fleet_machines_come_by_their_reports() {
    let no_fleet = |all: &mut All| drop(all.insert(Source::FleetMachines, None));
    let fewer = |all: &mut All| {
        no_fleet(all);
        edit(all, Source::Machines, pop);
    };
    check(fewer, no_fleet, &[(Kind::MachineCame, "machine 3aaaaaaa… came")]);
}

#[test]
fn a_machine_changes_its_version() {
    let newer = |all: &mut All| edit(all, Source::Machines, |value| value[0]["version"] = json!("0.1.2"));
    check(well, newer, &[(Kind::VersionChanged, "machine 1aaaaaaa… went from 0.1.1 to 0.1.2")]);
}

#[test]
fn slots_are_taken_and_given_back() {
    let held = || locks(json!([{ "id": id(3), "since": "2026-11-29T02:55:00Z", "version": "0.1.2" }]));
    let by_hand = locks(json!([{ "id": id(3), "since": null }]));
    check(well, held(), &[(Kind::SlotTaken, "machine 3aaaaaaa… took a slot of the default group for 0.1.2")]);
    check(well, by_hand, &[(Kind::SlotTaken, "machine 3aaaaaaa… took a slot of the default group")]);
    let back = "the slot of machine 3aaaaaaa… in the default group was given back";
    check(held(), well, &[(Kind::SlotGivenBack, back)]);
    // Given back and taken again between two looks.
    let again = locks(json!([{ "id": id(3), "since": "2026-11-29T02:58:00Z" }]));
    assert_eq!(between(held(), again).len(), 2);
}

#[test]
fn versions_become_good_failed_and_forgiven() {
    let good = "version 0.1.2 is good in the default group, says 2aaaaaaa…";
    check(well, version("good"), &[(Kind::VersionGood, good)]);
    let failed = "version 0.1.2 failed on 2aaaaaaa…: health-failed: docker: no answer";
    check(well, version("failed"), &[(Kind::VersionFailed, failed)]);
    let forgiven = "version 0.1.2 may be tried again in the default group";
    check(version("failed"), version("forgiven"), &[(Kind::VersionForgiven, forgiven)]);
    check(well, version("a later state"), &[]);
}

#[test]
fn etcd_changes_loses_and_finds_its_leader() {
    check(well, leader(102), &[(Kind::LeaderChanged, "member 2aaaaaaa… leads etcd")]);
    check(well, leader(0), &[(Kind::LeaderLost, "etcd has no leader")]);
    check(leader(0), well, &[(Kind::LeaderChanged, "member 1aaaaaaa… leads etcd")]);
}

#[test]
fn members_of_etcd_are_lost_and_come_back() {
    let silent = |all: &mut All| edit(all, Source::Endpoints, pop);
    check(well, silent, &[(Kind::MemberLost, "member 3aaaaaaa… of etcd does not answer")]);
    check(silent, well, &[(Kind::MemberBack, "member 3aaaaaaa… of etcd answers again")]);
}

#[test]
fn members_of_etcd_are_added_and_removed() {
    let fewer = |all: &mut All| edit(all, Source::Members, |value| pop(&mut value["members"]));
    check(fewer, well, &[(Kind::MemberAdded, "member 3aaaaaaa… was added to etcd")]);
    check(well, fewer, &[(Kind::MemberRemoved, "member 3aaaaaaa… was removed from etcd")]);
}

#[test]
fn units_are_placed_moved_failed_and_gone() {
    let absent = |all: &mut All| {
        edit(all, Source::Units, |value| drop(value.as_array_mut().unwrap().remove(0)));
        edit(all, Source::UnitFiles, |value| drop(value.as_array_mut().unwrap().remove(0)));
    };
    check(absent, well, &[(Kind::UnitPlaced, "unit web.service is on 1aaaaaaa…")]);
    check(well, absent, &[(Kind::UnitGone, "unit web.service left 1aaaaaaa…")]);
    let moved = unit(|row| row["machineID"] = json!(id(3)));
    check(well, moved, &[(Kind::UnitMoved, "unit web.service moved from 1aaaaaaa… to 3aaaaaaa…")]);
    let failed = || unit(|row| row["systemdActiveState"] = json!("failed"));
    check(well, failed(), &[(Kind::UnitFailed, "unit web.service failed on 1aaaaaaa…")]);
    check(failed(), failed(), &[]);
}

#[test]
fn a_global_unit_comes_to_one_more_machine() {
    let more = |all: &mut All| {
        edit(all, Source::Units, |value| {
            let row = json!({ "name": "web.service", "machineID": id(3), "systemdActiveState": "active" });
            value.as_array_mut().unwrap().push(row);
        });
    };
    check(well, more, &[(Kind::UnitPlaced, "unit web.service is on 3aaaaaaa…")]);
}

#[test]
fn holds_change() {
    let hold = |all: &mut All| edit(all, Source::FleetMachines, |value| value[0]["hold"] = json!("draining"));
    check(well, hold, &[(Kind::HoldChanged, "machine 1aaaaaaa… is draining")]);
    check(hold, well, &[(Kind::HoldChanged, "machine 1aaaaaaa… takes units again")]);
}

#[test]
fn sources_stop_answering_and_answer_again() {
    // What was known is kept, as it is between two looks.
    let mut after = seen(well);
    after.missing = seen(|all| drop(all.insert(Source::Units, None))).missing;
    let lost = events(Some(&seen(well)), &after);
    assert_eq!((lost.len(), lost[0].kind), (1, Kind::SourceLost));
    assert_eq!(lost[0].text, "fleetctl list-units stopped answering: no answer within 20 s");
    let back = events(Some(&after), &seen(well));
    assert_eq!((back.len(), back[0].kind), (1, Kind::SourceBack));
    assert_eq!(back[0].text, "fleetctl list-units answers again");
}

#[test]
fn what_is_heard_for_the_first_time_is_no_event() {
    let nothing = |all: &mut All| all.values_mut().for_each(|document| *document = None);
    let found = between(nothing, well);
    let dated = [Kind::VersionGood, Kind::SourceBack];
    assert!(found.iter().all(|(kind, _)| dated.contains(kind)), "{found:?}");
}

#[test]
fn the_first_look_tells_what_has_its_own_time() {
    let found = events(None, &seen(after_a_bad_version));
    let found: Vec<_> = found.iter().map(|event| (event.at.as_str(), event.kind)).collect();
    let expected = [
        ("2026-11-29T01:30:00Z", Kind::VersionGood),
        ("2026-11-29T02:40:00Z", Kind::VersionFailed),
        ("2026-11-29T02:55:00Z", Kind::SlotTaken),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_group_says_which_one_it_is() {
    let group = |all: &mut All| {
        let locks = json!({ "group": "web", "max": 1, "available": 0, "holders": [{ "id": id(1), "since": "2026-11-29T02:00:00Z" }] });
        all.insert(Source::Locks("web".to_owned()), Some(locks));
        let failed = json!([{ "version": "0.1.2", "state": "failed", "at": "2026-11-29T02:01:00Z", "stage": "initrd" }]);
        all.insert(Source::Versions("web".to_owned()), Some(failed));
    };
    let expected = [
        (Kind::SlotTaken, "machine 1aaaaaaa… took a slot of group web"),
        (Kind::VersionFailed, "version 0.1.2 failed: initrd (group web)"),
    ];
    check(well, group, &expected);
}
