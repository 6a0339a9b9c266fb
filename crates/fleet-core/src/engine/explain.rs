//! Why a unit is where it is, or nowhere.

use std::collections::BTreeMap;

use super::board::Board;
use super::choose::target;
use super::eligible::{conflict, metadata};
use super::pass::against;
use super::{Claim, Known, Objection, Seen, Snapshot, Told, Unit};
use crate::model::{Hold, MachineId, State};
use crate::moment::Moment;
use crate::name::UnitName;

/// Why a unit is where it is, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// One line.
    pub summary: String,
    /// Each machine with what speaks against it.
    pub machines: BTreeMap<MachineId, Vec<Objection>>,
    /// The unit's machine, or that which has its claim, if it is lost and an engine has told of it.
    pub lost: Option<(MachineId, Told)>,
}

/// Explains one unit; none if the registry has no unit of this name. What becomes of lost machines is the engine's to
/// say: it goes by what [`Snapshot::told`] has of them.
pub fn explain(snapshot: &Snapshot, name: &UnitName, now: Moment) -> Option<Explanation> {
    let board = Board::new(snapshot, now);
    if let Some(unit) = snapshot.units.get(name) {
        let Unit::Known(unit) = unit else { return Some(frozen(name)) };
        let all = snapshot.machines.iter();
        let machines = all.map(|(id, seen)| (id.clone(), against(&board, name, unit, id, seen))).collect();
        let lost = keeper(&board, name).filter(|machine| !snapshot.machines.contains_key(machine));
        let lost = lost.and_then(|machine| Some((machine.clone(), *snapshot.told.get(machine)?)));
        return Some(Explanation { summary: summary(&board, name, unit), machines, lost });
    }
    let Unit::Known(unit) = snapshot.globals.get(name)? else { return Some(frozen(name)) };
    let all = snapshot.machines.iter();
    let machines: BTreeMap<_, _> =
        all.map(|(id, seen)| (id.clone(), against_global(&board, name, unit, seen))).collect();
    let takers = machines.values().filter(|found| found.is_empty()).count();
    let summary = match unit.desired {
        State::Inactive => format!("{name} is a global unit whose target state is inactive"),
        _ => format!("{name} is a global unit: {takers} of {} machines take it", machines.len()),
    };
    Some(Explanation { summary, machines, lost: None })
}

fn frozen(name: &UnitName) -> Explanation {
    let summary = format!("{name} cannot be read, so it stays where it is: submit it again with --replace");
    Explanation { summary, machines: BTreeMap::new(), lost: None }
}

/// The machine that has a unit, or its claim.
fn keeper<'a>(board: &Board<'a>, name: &UnitName) -> Option<&'a MachineId> {
    board.place(name).or_else(|| match board.snapshot.claims.get(name)? {
        Claim::Known { machine, .. } => Some(machine),
        Claim::Frozen => None,
    })
}

fn against_global(board: &Board<'_>, name: &UnitName, unit: &Known, seen: &Seen) -> Vec<Objection> {
    let Seen::Known(machine) = seen else { return vec![Objection::Frozen] };
    let mut found: Vec<Objection> = metadata(&unit.requirements, machine).collect();
    if machine.hold != Hold::None {
        found.push(Objection::Held(machine.hold));
    }
    let before = board.globals_on(&machine.id);
    for other in board.units_on(&machine.id).chain(before.into_iter().filter(|other| *other < name)) {
        if let Some(pattern) = conflict(name, &unit.requirements, other, board.wants(other)) {
            found.push(Objection::Conflict { with: other.clone(), pattern: pattern.to_owned() });
        }
    }
    found
}

fn summary(board: &Board<'_>, name: &UnitName, unit: &Known) -> String {
    if let Some(machine) = board.place(name) {
        return placed(board, name, unit, machine);
    }
    if unit.desired == State::Inactive {
        return format!("{name} is on no machine: its target state is inactive, fleetctl start starts it");
    }
    match board.snapshot.claims.get(name) {
        Some(Claim::Known { machine, .. }) => return claimed(board, name, machine),
        Some(Claim::Frozen) => {
            return format!("{name} waits: who runs it cannot be read, remove its key below claim/");
        }
        None => {}
    }
    match target(board, name, unit, None) {
        Some((machine, load)) => {
            format!("{name} goes to {machine} with the engine's next pass: it has {load} other units")
        }
        None if board.snapshot.machines.is_empty() => format!("{name} is on no machine: there is none"),
        None => format!("{name} is on no machine: something speaks against each"),
    }
}

fn placed(board: &Board<'_>, name: &UnitName, unit: &Known, machine: &MachineId) -> String {
    let Some((_, place)) = board.residence(name) else {
        return format!(
            "{name} stays on {machine}: its entry there cannot be read, remove its key below schedule/"
        );
    };
    let text = format!("{name} is on {machine}: {}", place.reason);
    let elsewhere = || target(board, name, unit, Some(machine)).is_some();
    let more = match board.snapshot.machines.get(machine) {
        None => lost(board, name, board.snapshot.told.get(machine), elsewhere),
        Some(Seen::Known(there)) if there.hold == Hold::Draining && !elsewhere() => {
            format!("draining, but no other takes {name}")
        }
        Some(Seen::Frozen) => {
            return format!("{text}; the machine's values cannot be read, so {name} stays there");
        }
        Some(Seen::Known(_)) => return text,
    };
    format!("{text}; the machine is {more}")
}

/// What a lost machine is and what becomes of its unit.
fn lost(board: &Board<'_>, name: &UnitName, told: Option<&Told>, elsewhere: impl Fn() -> bool) -> String {
    match told {
        None => {
            let grace = board.snapshot.settings.grace.as_secs();
            format!("lost, but no engine has seen that yet: its units move {grace} s after one has")
        }
        Some(Told { since, moves: Some(moves), mass: false }) => {
            format!("lost since {since}, its units move at {moves}")
        }
        Some(Told { since, moves: Some(moves), mass: true }) => format!(
            "lost since {since} with more than a third of the machines, which is not believed until {moves}"
        ),
        Some(Told { since, moves: None, .. }) if !elsewhere() => {
            format!("lost since {since}, but no other takes {name}")
        }
        Some(Told { since, moves: None, .. }) => {
            format!("lost since {since}, {name} moves with the engine's next pass")
        }
    }
}

fn claimed(board: &Board<'_>, name: &UnitName, machine: &MachineId) -> String {
    let wait = board.snapshot.settings.claim_wait();
    if board.snapshot.machines.contains_key(machine) {
        return format!("{name} is exclusive and waits until {machine} has stopped it");
    }
    let until = match board.snapshot.told.get(machine) {
        Some(told) => format!("at least until {}", told.since.plus(wait)),
        None => format!("for {} s after an engine has seen that", wait.as_secs()),
    };
    format!(
        "{name} is exclusive and its machine {machine} is lost: it waits {until}, to be sure that it has stopped there"
    )
}
