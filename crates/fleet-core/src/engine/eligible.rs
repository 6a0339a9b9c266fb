//! Whether a machine suits a unit, and what speaks against it.

use std::collections::BTreeSet;
use std::fmt;

use super::board::Board;
use super::{Seen, Unit};
use crate::model::{Hold, Machine, MachineId};
use crate::name::{UnitName, matches};
use crate::requirements::Requirements;

/// What speaks against a machine for a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It has no key.
    Lost,
    /// It takes no units.
    Held(Hold),
    /// Its key, metadata or hold cannot be read.
    Frozen,
    /// The unit wants the machine with this id.
    OtherMachine(String),
    /// The unit wants one of these values of a key; the machine has this one.
    Metadata {
        /// Key.
        key: String,
        /// Values of which one would do.
        wanted: BTreeSet<String>,
        /// What the machine has.
        has: Option<String>,
    },
    /// The unit wants to be where this one is.
    Without(String),
    /// One of the two units has a pattern of conflicts that matches the other.
    Conflict {
        /// Unit that is there.
        with: UnitName,
        /// Pattern.
        pattern: String,
    },
    /// A unit there replaces it.
    Replaced(UnitName),
}

/// From which side a machine is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The unit is there: it yields only to conflicting ones that come before it by name or cannot be moved.
    Resident,
    /// It would come: all that is there stays.
    Newcomer,
}

/// Returns what speaks against the machine as one that takes units.
pub(super) fn closed(board: &Board<'_>, id: &MachineId) -> Option<Objection> {
    match board.snapshot.machines.get(id) {
        None => Some(Objection::Lost),
        Some(Seen::Frozen) => Some(Objection::Frozen),
        Some(Seen::Known(machine)) => (machine.hold != Hold::None).then_some(Objection::Held(machine.hold)),
    }
}

/// Returns what of the unit's requirements, and of those of units that are there, speaks against the machine.
pub(super) fn unsuitable(
    board: &Board<'_>,
    name: &UnitName,
    wants: &Requirements,
    machine: &Machine,
    standing: Standing,
) -> Vec<Objection> {
    let mut found = Vec::new();
    found.extend(other_machine(wants, machine));
    found.extend(metadata(wants, machine));
    for target in &wants.machine_of {
        if board.place_of(target) != Some(&machine.id) {
            found.push(Objection::Without(target.clone()));
        }
    }
    if board.restricted() || !wants.conflicts.is_empty() {
        found.extend(conflicts(board, name, wants, &machine.id, standing));
    }
    if board.replacing() {
        let replaced = board.units_on(&machine.id).find(|other| board.replaces(other, name));
        found.extend(replaced.map(|by| Objection::Replaced(by.clone())));
    }
    found
}

fn other_machine(wants: &Requirements, machine: &Machine) -> Option<Objection> {
    let wanted = wants.machine_id.as_ref()?;
    let short = wanted.len() == 8 && machine.id.0.starts_with(wanted.as_str());
    (machine.id.0 != *wanted && !short).then(|| Objection::OtherMachine(wanted.clone()))
}

/// Returns each key of which the machine has none of the wanted values.
pub(crate) fn metadata<'a>(
    wants: &'a Requirements,
    machine: &'a Machine,
) -> impl Iterator<Item = Objection> + 'a {
    wants.metadata.iter().filter_map(|(key, wanted)| {
        let has = machine.metadata.get(key);
        let suits = has.is_some_and(|has| wanted.contains(has));
        (!suits).then(|| Objection::Metadata { key: key.clone(), wanted: wanted.clone(), has: has.cloned() })
    })
}

fn conflicts<'b>(
    board: &'b Board<'_>,
    name: &'b UnitName,
    wants: &'b Requirements,
    machine: &'b MachineId,
    standing: Standing,
) -> impl Iterator<Item = Objection> + 'b {
    let stays = move |other: &UnitName| match standing {
        Standing::Newcomer => true,
        Standing::Resident => other < name || board.is_frozen(other),
    };
    let placed = board.units_on(machine).filter(move |other| stays(other));
    // A global unit makes way for one that is placed, but while it runs no newcomer that it conflicts with is placed.
    let global = match standing {
        Standing::Newcomer => board.globals_on(machine),
        Standing::Resident => Vec::new(),
    };
    placed.chain(global).filter_map(move |other| {
        let pattern = conflict(name, wants, other, board.wants(other))?;
        Some(Objection::Conflict { with: other.clone(), pattern: pattern.to_owned() })
    })
}

/// Returns the pattern of one of the two that matches the other; none of a unit whose requirements are not known.
pub(crate) fn conflict<'a>(
    a: &UnitName,
    of_a: &'a Requirements,
    b: &UnitName,
    of_b: Option<&'a Requirements>,
) -> Option<&'a str> {
    if a == b {
        return None;
    }
    let hit = |patterns: &'a [String], name: &UnitName| {
        patterns.iter().find(|pattern| matches(pattern, name.as_str())).map(String::as_str)
    };
    hit(&of_a.conflicts, b).or_else(|| hit(&of_b?.conflicts, a))
}

/// Returns the requirements of a unit if they are known.
pub(super) fn wants_of(unit: Option<&Unit>) -> Option<&Requirements> {
    unit?.known().map(|known| &known.requirements)
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("is lost"),
            Self::Held(Hold::Draining) => f.write_str("is draining; fleetctl undrain lets units come"),
            Self::Held(_) => f.write_str("is cordoned; fleetctl uncordon lets units come"),
            Self::Frozen => {
                f.write_str("its entry in the registry cannot be read, so nothing is changed there")
            }
            Self::OtherMachine(wanted) => write!(f, "MachineID={wanted} names another"),
            Self::Metadata { key, wanted, has } => {
                let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
                write!(f, "MachineMetadata wants {key}={}", wanted.join(&format!(" or {key}=")))?;
                match has {
                    Some(has) => write!(f, ", it has {key}={has}"),
                    None => write!(f, ", it has no {key}"),
                }
            }
            Self::Without(target) => write!(f, "MachineOf={target}, which is not there"),
            Self::Conflict { with, pattern } => write!(f, "conflict with {with} (Conflicts={pattern})"),
            Self::Replaced(by) => write!(f, "{by} is there and replaces it"),
        }
    }
}
