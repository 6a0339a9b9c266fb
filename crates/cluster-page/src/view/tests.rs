//! The document for a cluster that is well, and for one of which little is known.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::known::Answer;
use crate::testing::{after_a_bad_version, edit, id, json_value, known, now, seen};

#[test]
fn the_document_has_the_documented_shape() {
    let view = seen(after_a_bad_version);
    let text = serde_json::to_string_pretty(&view).unwrap();
    expect_test::expect_file!["../../tests/data/status.json"].assert_eq(&format!("{text}\n"));
}

#[test]
fn what_was_known_is_shown_with_its_age() {
    let mut known = known(|_| {});
    let later = "2026-11-29T03:12:00Z".parse().unwrap();
    let silent = |source: &Source| {
        (source.clone(), Answer { missing: Some("no answer".to_owned()), ..Answer::default() })
    };
    let answers: BTreeMap<_, _> = known.sources.keys().map(silent).collect();
    known.take(answers, later);
    let view = view(&known, later);
    assert_eq!(view.machines, seen(|_| {}).machines);
    assert_eq!(view.missing.len(), 8);
    assert_eq!(
        (view.missing[0].age_secs, view.missing[0].known_at.as_deref()),
        (Some(720), Some(crate::testing::NOW))
    );
}

#[test]
fn a_machine_that_only_fleet_or_only_locksmith_knows_has_a_row() {
    let view = seen(|all| {
        edit(all, Source::Machines, |value| *value = json!([{ "id": "locksmith-only", "version": "0.1.0" }]));
        edit(all, Source::FleetMachines, |value| {
            *value = json!([{ "id": "fleet-only", "primaryIP": "10.0.0.9" }])
        });
    });
    let found: Vec<_> = view.machines.iter().map(|machine| (machine.id.as_str(), machine.alive)).collect();
    assert_eq!(found, [("fleet-only", Some(true)), ("locksmith-only", Some(false))]);
    let without_fleet = seen(|all| drop(all.insert(Source::FleetMachines, None)));
    assert!(without_fleet.machines.iter().all(|machine| machine.alive.is_none()));
}

#[test]
fn members_of_etcd_are_found_by_name_by_address_and_by_what_locksmith_says() {
    let nameless = |all: &mut BTreeMap<Source, Option<serde_json::Value>>| {
        edit(all, Source::Members, |value| {
            for n in 0..3 {
                value["members"][n]["name"] = json!(format!("etcd{n}"));
            }
            value["members"][2]["clientURLs"] = json!(["http://192.168.0.3:2379"]);
        });
    };
    let view = seen(nameless);
    let etcd: Vec<_> = view.machines.iter().map(|machine| machine.etcd).collect();
    assert_eq!(etcd, [Some(Role::Leader), Some(Role::Follower), None]);
    assert_eq!(view.etcd.as_ref().unwrap().members[2].machine, None);
    let held = seen(|all| {
        nameless(all);
        edit(all, Source::Locks(String::new()), |value| {
            value["holders"] = json!([{ "id": id(3), "member": "67" }])
        });
    });
    assert_eq!(held.machines[2].etcd, Some(Role::Follower));
}

#[test]
fn a_learner_has_no_vote_and_a_member_without_a_leader_is_not_healthy() {
    let view = seen(|all| {
        edit(all, Source::Members, |value| value["members"][2]["isLearner"] = json!(true));
        edit(all, Source::Endpoints, |value| value[1]["Status"]["leader"] = json!(0));
    });
    let etcd = view.etcd.unwrap();
    assert_eq!((etcd.voting, etcd.healthy, etcd.quorum), (2, 1, false));
    let roles: Vec<_> = etcd.members.iter().map(|member| member.role).collect();
    assert_eq!(roles, [Role::Leader, Role::NoLeader, Role::Learner]);
}

#[test]
fn without_a_list_of_members_those_that_answer_are_shown() {
    let view = seen(|all| {
        all.insert(Source::Members, None);
        edit(all, Source::Endpoints, |value| value.as_array_mut().unwrap().truncate(1));
    });
    let etcd = view.etcd.unwrap();
    assert_eq!(
        (etcd.members.len(), etcd.members[0].id.as_str(), etcd.leader.as_deref()),
        (1, "65", Some("65"))
    );
    assert_eq!(view.machines[0].etcd, Some(Role::Leader));
}

#[test]
fn a_unit_that_is_wanted_and_nowhere_has_a_row() {
    let view = seen(|all| {
        edit(all, Source::UnitFiles, |value| {
            *value = json!([
                { "name": "lost.service", "desiredState": "launched" },
                { "name": "stored.service", "desiredState": "inactive" },
                { "name": "global.service", "desiredState": "launched", "global": true },
                { "name": "new.service", "desiredState": "launched", "machineID": id(1) },
            ]);
        });
        edit(all, Source::Units, |value| *value = json!([]));
    });
    let units = view.units.unwrap();
    let found: Vec<_> = units.iter().map(|unit| (unit.name.as_str(), unit.is_nowhere())).collect();
    assert_eq!(found, [("lost.service", true), ("new.service", false)]);
}

#[test]
fn a_time_that_is_none_is_not_shown() {
    let view = seen(|all| {
        edit(all, Source::Machines, |value| {
            value[0]["at"] = json!("<b>today</b>");
            value[1]["at"] = json!("2026-11-29T03:00:00.123456789+01:00");
        });
    });
    assert_eq!(view.machines[0].reported_at, None);
    assert_eq!(view.machines[1].reported_at.as_deref(), Some("2026-11-29T02:00:00Z"));
}

#[test]
fn rows_that_are_not_taken_are_counted() {
    let view = seen(|all| {
        let many: Vec<_> = (0..documents::ROWS_MAX + 7)
            .map(|n| json!({ "name": n.to_string(), "machineID": "a" }))
            .collect();
        all.insert(Source::Units, Some(serde_json::Value::Array(many)));
    });
    assert_eq!(view.missing.len(), 1);
    assert_eq!(view.missing[0].reason, "the first 5000 rows are shown, and 7 more are not");
}

proptest! {
    #[test]
    fn no_documents_break_the_view(values in prop::collection::vec(json_value(), 8), more in json_value()) {
        let sources: Vec<Source> = crate::testing::answers().into_keys().collect();
        let look = |values: Vec<serde_json::Value>| {
            let answer = |value| Answer { document: Some(value), ..Answer::default() };
            let mut known = Known::default();
            known.take(sources.iter().cloned().zip(values.into_iter().map(answer)).collect(), now());
            view(&known, now())
        };
        let mut changed = values.clone();
        changed[0] = more;
        let (before, after) = (look(values), look(changed));
        crate::events::events(Some(&before), &after);
        crate::events::events(None, &after);
        crate::table::render(&after);
        crate::page::render(&after, 5);
    }
}
