//! A decision as a transaction, with all that it compares.

use fleet_core::engine::{Action, Decision};

use crate::ether::Ether;
use crate::flaw::Flaw;
use crate::store::{Author, Compare, Key, Op, Txn, Value};

/// Makes a decision a transaction, with all that it compares.
pub(super) fn transaction(decision: &Decision, term: i64, ether: &Ether) -> Txn {
    let unit_of = |name| ether.cast.unit(name);
    let machine_of = |id| ether.cast.machine(id);
    let modification = Compare::Modification;
    let mut compares = match ether.has(Flaw::NoFence) {
        true => vec![],
        false => vec![Compare::Create(Key::Engine, term)],
    };
    let place = |unit: usize, finished: bool| match ether.value(Key::Unit(unit)) {
        Some(Value::Wish { content, desired }) => Value::Place { content, desired, finished },
        _ => Value::Garbage,
    };
    let ops = match &decision.action {
        Action::Place { unit, wanted, machine, unclaimed } => {
            let (unit, machine) = (unit_of(unit), machine_of(machine));
            compares.push(modification(Key::Unit(unit), *wanted));
            compares.push(modification(Key::Entry(machine, unit), 0));
            if *unclaimed {
                compares.push(modification(Key::Claim(unit), 0));
            }
            vec![Op::Put(Key::Entry(machine, unit), place(unit, false))]
        }
        Action::Move { unit, wanted, from, entry, to, finished } => {
            let (unit, from, to) = (unit_of(unit), machine_of(from), machine_of(to));
            compares.push(modification(Key::Unit(unit), *wanted));
            compares.push(modification(Key::Entry(from, unit), *entry));
            compares.push(modification(Key::Entry(to, unit), 0));
            vec![Op::Delete(Key::Entry(from, unit)), Op::Put(Key::Entry(to, unit), place(unit, *finished))]
        }
        Action::Change { unit, wanted, machine, entry, finished } => {
            let key = Key::Entry(machine_of(machine), unit_of(unit));
            compares.push(modification(Key::Unit(unit_of(unit)), *wanted));
            compares.push(modification(key, *entry));
            vec![Op::Put(key, place(unit_of(unit), *finished))]
        }
        Action::Remove { unit, wanted, machine, entry } => {
            let key = Key::Entry(machine_of(machine), unit_of(unit));
            compares.push(modification(Key::Unit(unit_of(unit)), wanted.unwrap_or(0)));
            compares.push(modification(key, *entry));
            vec![Op::Delete(key)]
        }
        Action::Release { unit, machine, claim } => {
            if !ether.has(Flaw::BlindRelease) {
                compares.push(Compare::Create(Key::Machine(machine_of(machine)), 0));
            }
            compares.push(modification(Key::Claim(unit_of(unit)), *claim));
            vec![Op::Delete(Key::Claim(unit_of(unit)))]
        }
        Action::Rebalanced => vec![Op::Delete(Key::Rebalance)],
    };
    Txn { compares, ops, author: Author::Engine(term) }
}
