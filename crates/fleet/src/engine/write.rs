//! From a decision to what is written: conditions and operations of one transaction.

use etcd_rpc::{Compare, Op};
use fleet_core::engine::{Action, Decision};
use fleet_core::model::MachineId;
use fleet_core::name::UnitName;

use crate::registry::{EntryValue, Keys, PlaceValue, Sight, to_json};

/// A part of a transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Part {
    pub(super) conditions: Vec<Compare>,
    pub(super) operations: Vec<Op>,
}

impl Part {
    fn when(mut self, condition: Compare) -> Self {
        self.conditions.push(condition);
        self
    }

    fn then(mut self, operation: Op) -> Self {
        self.operations.push(operation);
        self
    }
}

/// Returns what a decision writes; none if the registry's value that it is made of is not known, which the next pass
/// knows about too.
pub(super) fn part(keys: &Keys, sight: &Sight, decision: &Decision) -> Option<Part> {
    let at = |key: &str, modification: i64| Compare::mod_revision(key, modification);
    let reason = decision.reason.to_string();
    Some(match &decision.action {
        Action::Place { unit, wanted, machine, unclaimed } => {
            let entry = new_entry(sight, unit, reason, None)?;
            let part = place(keys, sight, unit, machine)
                .when(at(&keys.unit(unit), *wanted))
                .when(Compare::absent(&keys.entry(machine, unit)))
                .then(Op::put(&keys.entry(machine, unit), to_json(&entry)));
            if *unclaimed { part.when(Compare::absent(&keys.claim(unit))) } else { part }
        }
        Action::Move { unit, wanted, from, entry, to, finished } => {
            let value = new_entry(sight, unit, reason, Some(from.clone()))?;
            let value = EntryValue { finished: *finished, ..value };
            place(keys, sight, unit, to)
                .when(at(&keys.unit(unit), *wanted))
                .when(at(&keys.entry(from, unit), *entry))
                .when(Compare::absent(&keys.entry(to, unit)))
                .then(Op::delete(&keys.entry(from, unit)))
                .then(Op::put(&keys.entry(to, unit), to_json(&value)))
        }
        Action::Change { unit, wanted, machine, entry, finished } => {
            let old = sight.entries.get(&(machine.clone(), unit.clone()))?;
            let value = new_entry(sight, unit, old.reason.clone(), old.from.clone())?;
            let value = EntryValue { finished: *finished, ..value };
            Part::default()
                .when(at(&keys.unit(unit), *wanted))
                .when(at(&keys.entry(machine, unit), *entry))
                .then(Op::put(&keys.entry(machine, unit), to_json(&value)))
        }
        Action::Remove { unit, wanted, machine, entry } => {
            let part = Part::default()
                .when(at(&keys.unit(unit), wanted.unwrap_or(0)))
                .when(at(&keys.entry(machine, unit), *entry))
                .when(at(&keys.place(unit), place_modification(sight, unit)))
                .then(Op::delete(&keys.entry(machine, unit)));
            // Another machine's entry may be the one that stays.
            match sight.places.get(unit) {
                Some((_, there)) if there.as_ref().is_none_or(|there| there == machine) => {
                    part.then(Op::delete(&keys.place(unit)))
                }
                _ => part,
            }
        }
        Action::Release { unit, machine, claim } => Part::default()
            .when(at(&keys.claim(unit), *claim))
            .when(Compare::absent(&keys.machine(machine)))
            .then(Op::delete(&keys.claim(unit))),
        Action::Rebalanced => Part::default().then(Op::delete(&keys.rebalance())),
    })
}

/// Puts a unit's place, on a machine that must be alive.
fn place(keys: &Keys, sight: &Sight, unit: &UnitName, machine: &MachineId) -> Part {
    let value = PlaceValue { machine: machine.clone() };
    Part::default()
        .when(Compare::mod_revision(&keys.place(unit), place_modification(sight, unit)))
        .when(Compare::exists(&keys.machine(machine)))
        .then(Op::put(&keys.place(unit), to_json(&value)))
}

fn place_modification(sight: &Sight, unit: &UnitName) -> i64 {
    sight.places.get(unit).map_or(0, |(modification, _)| *modification)
}

fn new_entry(sight: &Sight, unit: &UnitName, reason: String, from: Option<MachineId>) -> Option<EntryValue> {
    let unit = sight.units.get(unit)?;
    Some(EntryValue { content: unit.content.clone(), desired: unit.desired, finished: false, reason, from })
}
