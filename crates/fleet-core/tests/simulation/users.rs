//! What users do, as the API writes it: the unit and its entry in one transaction that compares both.

use fleet_core::model::{Hold, State};

use crate::ether::Ether;
use crate::store::{Author, Compare, Key, Op, Txn, Value};

/// Submits and starts most units.
pub fn begin(ether: &mut Ether) {
    for unit in 0..ether.cast.units.len() {
        if ether.rng.percent(80) {
            put(unit, 0, State::Launched, ether);
        }
    }
}

/// Does one thing.
pub fn act(ether: &mut Ether) {
    if ether.now < ether.leaderless || ether.wiped.is_some() {
        return;
    }
    let unit = ether.rng.index(ether.cast.units.len());
    let machine = ether.rng.index(ether.cast.machines.len());
    let known = match ether.value(key_of(unit, ether)) {
        Some(Value::Wish { content, desired }) => Some((content, desired)),
        _ => None,
    };
    match (ether.rng.index(14), known) {
        (0, _) => hold(machine, Some(Hold::Draining), ether),
        (1, _) => hold(machine, Some(Hold::Cordoned), ether),
        (2 | 3, _) => hold(machine, None, ether),
        (4, _) => write(vec![], vec![Op::Put(Key::Rebalance, Value::Mark)], ether),
        (5, Some(_)) => destroy(unit, ether),
        (6, Some((content, _))) => put(unit, content, State::Loaded, ether),
        (7, Some((content, _))) => put(unit, content, State::Inactive, ether),
        (8 | 9, Some((content, desired))) => put(unit, 1 - content, desired, ether),
        (10, Some(_)) if !ether.cast.units[unit].is_global() => {
            write(vec![], vec![Op::Put(Key::Unit(unit), Value::Garbage)], ether);
        }
        (_, Some((content, _))) => put(unit, content, State::Launched, ether),
        (_, None) => put(unit, ether.rng.index(2), State::Launched, ether),
    }
}

fn key_of(unit: usize, ether: &Ether) -> Key {
    match ether.cast.units[unit].is_global() {
        true => Key::Global(unit),
        false => Key::Unit(unit),
    }
}

fn put(unit: usize, content: usize, desired: State, ether: &mut Ether) {
    let key = key_of(unit, ether);
    let mut compares = vec![ether.unchanged(key)];
    let mut ops = vec![Op::Put(key, Value::Wish { content, desired })];
    for machine in 0..ether.cast.machines.len() {
        let entry = Key::Entry(machine, unit);
        if ether.value(entry).is_some() {
            compares.push(ether.unchanged(entry));
            ops.push(Op::Put(entry, Value::Place { content, desired, finished: false }));
        }
    }
    write(compares, ops, ether);
}

fn destroy(unit: usize, ether: &mut Ether) {
    let key = key_of(unit, ether);
    let compares = vec![ether.unchanged(key)];
    let mut ops = vec![Op::Delete(key)];
    // Half of the time the entry is left to the engine.
    if ether.rng.percent(50) {
        let machines = 0..ether.cast.machines.len();
        ops.extend(machines.map(|machine| Op::Delete(Key::Entry(machine, unit))));
    }
    write(compares, ops, ether);
}

fn hold(machine: usize, hold: Option<Hold>, ether: &mut Ether) {
    let key = Key::Hold(machine);
    let op = match hold {
        Some(hold) => Op::Put(key, Value::Hold(hold)),
        None => Op::Delete(key),
    };
    write(vec![], vec![op], ether);
}

fn write(compares: Vec<Compare>, ops: Vec<Op>, ether: &mut Ether) {
    ether.apply(&Txn { compares, ops, author: Author::Other });
}
