//! Places that are not where the entries are: what somebody's hand in the store left.

use std::collections::BTreeMap;

use etcd_rpc::{Compare, Op};
use fleet_core::model::MachineId;
use fleet_core::name::UnitName;

use super::write::Part;
use crate::registry::{Keys, PlaceValue, Sight, to_json};

/// Returns what makes each place say where the unit's only entry is, and removes those of units without one.
pub(super) fn repairs(keys: &Keys, sight: &Sight) -> Vec<Part> {
    let entries = &sight.snapshot.entries;
    let only = |unit: &UnitName| -> Option<&MachineId> {
        let machines = entries.get(unit)?;
        if machines.len() == 1 { machines.keys().next() } else { None }
    };
    let mut wanted: BTreeMap<&UnitName, Option<&MachineId>> = BTreeMap::new();
    for (unit, (_, there)) in &sight.places {
        match only(unit) {
            Some(machine) if there.as_ref() != Some(machine) => drop(wanted.insert(unit, Some(machine))),
            None if !entries.contains_key(unit) => drop(wanted.insert(unit, None)),
            _ => {}
        }
    }
    for unit in entries.keys().filter(|unit| !sight.places.contains_key(*unit)) {
        if let Some(machine) = only(unit) {
            wanted.insert(unit, Some(machine));
        }
    }
    let part = |(unit, machine): (&UnitName, Option<&MachineId>)| {
        let modification = sight.places.get(unit).map_or(0, |(modification, _)| *modification);
        let key = keys.place(unit);
        let operation = match machine {
            Some(machine) => Op::put(&key, to_json(&PlaceValue { machine: machine.clone() })),
            None => Op::delete(&key),
        };
        Part { conditions: vec![Compare::mod_revision(&key, modification)], operations: vec![operation] }
    };
    wanted.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use etcd_rpc::KeyValue;
    use fleet_core::engine::Settings;

    use super::*;

    #[test]
    fn places_follow_entries() {
        let keys = Keys::new("/f");
        let mut sight = Sight::new(keys.clone(), Settings::default());
        let entry = r#"{"content":"[Service]\nA=b\n","desired":"loaded","reason":"r"}"#;
        let rows = [
            ("schedule/m/right.service", entry),
            ("place/right.service", r#"{"machine":"m"}"#),
            ("schedule/m/elsewhere.service", entry),
            ("place/elsewhere.service", r#"{"machine":"n"}"#),
            ("schedule/m/without.service", entry),
            ("place/stray.service", r#"{"machine":"m"}"#),
            ("schedule/m/twice.service", entry),
            ("schedule/n/twice.service", entry),
            ("place/twice.service", r#"{"machine":"n"}"#),
        ];
        let kvs: Vec<KeyValue> = (2..)
            .zip(rows)
            .map(|(mod_revision, (key, value))| KeyValue {
                key: format!("/f/{key}"),
                value: value.into(),
                create_revision: mod_revision,
                mod_revision,
                version: 1,
                lease: 0,
            })
            .collect();
        sight.replace(&kvs, 20);
        let at = |unit: &str, modification| Compare::mod_revision(&format!("/f/place/{unit}"), modification);
        let put = |unit: &str| Op::put(&format!("/f/place/{unit}"), r#"{"machine":"m"}"#);
        let expected = [
            (at("elsewhere.service", 5), put("elsewhere.service")),
            (at("stray.service", 7), Op::delete("/f/place/stray.service")),
            (at("without.service", 0), put("without.service")),
        ];
        let expected = expected
            .map(|(condition, operation)| Part { conditions: vec![condition], operations: vec![operation] });
        assert_eq!(repairs(&keys, &sight), expected);
    }
}
