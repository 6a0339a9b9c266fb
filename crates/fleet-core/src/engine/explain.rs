//! Why a unit is where it is, or nowhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::board::Board;
use super::choose::target;
use super::eligible::{conflict, metadata};
use super::pass::against;
use super::{Claim, Entry, Known, Objection, Seen, Snapshot, Unit, Verdict, Wait};
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
}

/// Explains one unit; none if the registry has no unit of this name.
pub fn explain(snapshot: &Snapshot, name: &UnitName, now: Moment) -> Option<Explanation> {
    let mut board = Board::new(snapshot, now);
    if let Some(unit) = snapshot.units.get(name) {
        let Unit::Known(unit) = unit else { return Some(frozen(name)) };
        let all = snapshot.machines.iter();
        let machines = all.map(|(id, seen)| (id.clone(), against(&board, name, unit, id, seen))).collect();
        return Some(Explanation { summary: summary(&mut board, name, unit), machines });
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
    Some(Explanation { summary, machines })
}

fn frozen(name: &UnitName) -> Explanation {
    let summary = format!("{name} cannot be read, so it stays where it is: submit it again with --replace");
    Explanation { summary, machines: BTreeMap::new() }
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

fn summary(board: &mut Board<'_>, name: &UnitName, unit: &Known) -> String {
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
    let entry = board.snapshot.entries.get(name).and_then(|entries| entries.get(machine));
    let Some(Entry::Known(place)) = entry else {
        return format!(
            "{name} stays on {machine}: its entry there cannot be read, remove its key below schedule/"
        );
    };
    let mut text = format!("{name} is on {machine}: {}", place.reason);
    let elsewhere = || target(board, name, unit, Some(machine)).is_some();
    let said = match (board.verdict(machine), board.snapshot.machines.get(machine)) {
        (Some(Verdict::Waiting { lost, left, why }), _) => {
            let why = match why {
                Wait::Grace => "it may come back",
                Wait::MassLoss => "many machines were lost at once, which is not believed",
            };
            let (lost, left) = (seconds(lost), seconds(left));
            write!(text, "; the machine is lost for {lost} s, {why}; {name} moves in {left} s")
        }
        (Some(Verdict::GivenUp { lost }), _) if !elsewhere() => {
            write!(text, "; the machine is lost for {} s, but no other takes {name}", seconds(lost))
        }
        (Some(Verdict::GivenUp { .. }), _) => {
            write!(text, "; the machine is lost, {name} moves with the engine's next pass")
        }
        (None, Some(Seen::Known(there))) if there.hold == Hold::Draining && !elsewhere() => {
            write!(text, "; the machine is draining, but no other takes {name}")
        }
        (None, Some(Seen::Frozen)) => {
            write!(text, "; the machine's values cannot be read, so {name} stays there")
        }
        _ => Ok(()),
    };
    // Writing to a String does not fail.
    debug_assert!(said.is_ok());
    text
}

fn claimed(board: &Board<'_>, name: &UnitName, machine: &MachineId) -> String {
    let wait = board.snapshot.settings.claim_wait();
    let lost = match board.snapshot.machines.contains_key(machine) {
        true => None,
        false => board.snapshot.losses.lost_for(machine, board.now),
    };
    match lost {
        None => format!("{name} is exclusive and waits until {machine} has stopped it"),
        Some(lost) => {
            let left = seconds(wait.saturating_sub(lost));
            format!("{name} is exclusive and waits {left} s until the lost {machine} has surely stopped it")
        }
    }
}

/// Whole seconds, rounded up: a wait that is not over never reads as none.
fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}
