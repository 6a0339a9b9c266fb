//! A cluster for tests, and texts of strangers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::known::{Answer, Known};
use crate::source::Source;
use crate::view::{View, view};

/// When the tests' looks are.
pub const NOW: &str = "2026-11-29T03:00:00Z";

/// The id of a machine.
pub fn id(number: u8) -> String {
    format!("{number}{}", "a".repeat(31))
}

/// What three machines say that are well: all of one version, etcd with a leader, two units.
pub fn answers() -> BTreeMap<Source, Value> {
    let report = |n: u8| {
        json!({ "id": id(n), "version": "0.1.1", "slot": "A", "strategy": "etcd-lock", "group": "", "phase": "idle",
            "why": "nothing waits for a reboot", "waiting": null, "boot": "b", "at": "2026-11-29T02:00:00Z" })
    };
    let machine = |n: u8| json!({ "id": id(n), "primaryIP": format!("10.7.0.{n}"), "hold": null });
    let member = |n: u8| json!({ "ID": 100 + u64::from(n), "name": id(n), "peerURLs": [], "clientURLs": [format!("http://10.7.0.{n}:2379")] });
    let endpoint = |n: u8| {
        json!({ "Endpoint": format!("http://10.7.0.{n}:2379"),
            "Status": { "header": { "member_id": 100 + u64::from(n) }, "leader": 101, "version": "3.5.16" } })
    };
    let unit = |name: &str, n: u8| {
        json!({ "name": name, "machineID": id(n), "systemdLoadState": "loaded", "systemdActiveState": "active",
            "systemdSubState": "running" })
    };
    let file = |name: &str, n: u8| json!({ "name": name, "desiredState": "launched", "currentState": "launched", "machineID": id(n), "global": false });
    BTreeMap::from([
        (Source::Machines, json!([report(1), report(2), report(3)])),
        (Source::Locks(String::new()), json!({ "group": "", "available": 1, "max": 1, "holders": [] })),
        (
            Source::Versions(String::new()),
            json!([{ "version": "0.1.1", "state": "good", "by": id(1), "at": "2026-11-29T01:30:00Z",
                "stage": null, "reason": null }]),
        ),
        (Source::FleetMachines, json!([machine(1), machine(2), machine(3)])),
        (Source::Units, json!([unit("web.service", 1), unit("db.service", 2)])),
        (Source::UnitFiles, json!([file("web.service", 1), file("db.service", 2)])),
        (Source::Members, json!({ "members": [member(1), member(2), member(3)] })),
        (Source::Endpoints, json!([endpoint(1), endpoint(2), endpoint(3)])),
    ])
}

/// What is known after a change of what they say. Without a document a source does not answer.
pub fn known(change: impl FnOnce(&mut BTreeMap<Source, Option<Value>>)) -> Known {
    let mut all = answers().into_iter().map(|(source, value)| (source, Some(value))).collect();
    change(&mut all);
    let mut known = Known::default();
    let answer = |document: Option<Value>| Answer {
        missing: document.is_none().then(|| "no answer within 20 s".to_owned()),
        document,
        silent: BTreeMap::new(),
    };
    known.take(all.into_iter().map(|(source, document)| (source, answer(document))).collect(), now());
    known
}

/// The view of that.
pub fn seen(change: impl FnOnce(&mut BTreeMap<Source, Option<Value>>)) -> View {
    view(&known(change), now())
}

/// Changes one document.
pub fn edit(all: &mut BTreeMap<Source, Option<Value>>, source: Source, change: impl FnOnce(&mut Value)) {
    change(all.get_mut(&source).unwrap().as_mut().unwrap());
}

/// A look where version 0.1.2 failed on the second machine, and a slot is held.
pub fn after_a_bad_version(all: &mut BTreeMap<Source, Option<Value>>) {
    edit(all, Source::Versions(String::new()), |value| {
        let failed = json!({ "version": "0.1.2", "state": "failed", "by": id(2), "at": "2026-11-29T02:40:00Z",
            "stage": "kernel-panic", "reason": "Kernel panic - not syncing: sysrq triggered crash" });
        value.as_array_mut().unwrap().insert(0, failed);
    });
    edit(all, Source::Locks(String::new()), |value| {
        *value = json!({ "group": "", "available": 0, "max": 1, "holders": [{ "id": id(3),
            "since": "2026-11-29T02:55:00Z", "version": "0.1.1", "member": "67", "drained": true }] });
    });
}

/// [`NOW`].
pub fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Any JSON, with names that are looked for.
pub fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("failed")),
        Just(Value::from("0.1.2")),
    ];
    let keys = "id|name|version|state|holders|members|max|available|ID|clientURLs|Status|header|member_id|leader|Endpoint\
        |machineID|systemdActiveState|desiredState|group|at|since|hold|[a-z]{1,4}";
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..6)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}
