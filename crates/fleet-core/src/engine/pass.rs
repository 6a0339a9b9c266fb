//! One pass of the engine, in its steps: repair, correct, place, rebalance, change.

use std::collections::BTreeSet;

use super::board::Board;
use super::choose::target;
use super::eligible::{Standing, unsuitable};
use super::rebalance::{even, is_even};
use super::{Action, Claim, Decision, Entry, Known, Objection, Place, Reason, Seen, Snapshot, Unit, Verdict};
use crate::model::{Hold, MachineId, State};
use crate::moment::Moment;
use crate::name::UnitName;

/// Decides what is to be written, in the order in which it is to be written: each decision holds after those before it.
///
/// A unit is in one decision at most, except that all surplus entries of one are removed. The result depends on the
/// snapshot and the time only. When all of it is written and machines do not come or go, a pass on what is then in the
/// registry may still have something to do for units that hang on those that moved, but passes come to an end; one
/// without changes since the last decides nothing.
pub fn pass(snapshot: &Snapshot, now: Moment) -> Vec<Decision> {
    let mut pass = Pass { board: Board::new(snapshot, now), decided: BTreeSet::new(), decisions: Vec::new() };
    pass.repair();
    pass.release();
    loop {
        let before = pass.decisions.len();
        pass.correct();
        pass.place();
        if pass.decisions.len() == before {
            break;
        }
    }
    pass.rebalance();
    pass.change();
    pass.decisions
}

struct Pass<'a> {
    board: Board<'a>,
    /// Units that are not to be looked at any more.
    decided: BTreeSet<&'a UnitName>,
    decisions: Vec<Decision>,
}

/// Why a unit is to leave its machine.
struct Leave {
    reason: Reason,
    force: Force,
}

/// What happens to a unit that is to leave and that no other machine takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Force {
    /// It stays: where it is, it harms nobody.
    No,
    /// It is removed: where it is, it must not be.
    Yes,
}

impl<'a> Pass<'a> {
    fn decide(&mut self, unit: &'a UnitName, action: Action, reason: Reason) {
        self.decided.insert(unit);
        self.decisions.push(Decision { action, reason });
    }

    fn remove(&mut self, unit: &'a UnitName, machine: &MachineId, place: &Place, reason: Reason) {
        let wanted = match self.board.snapshot.units.get(unit) {
            Some(Unit::Known(known)) => Some(known.modification),
            _ => None,
        };
        let (name, machine) = (unit.clone(), machine.clone());
        let action = Action::Remove { unit: name, wanted, machine, entry: place.modification };
        self.decide(unit, action, reason);
    }

    /// Removes entries of units that are not there, and all but one of those of one unit.
    fn repair(&mut self) {
        let snapshot = self.board.snapshot;
        for (unit, entries) in &snapshot.entries {
            let known: Option<Vec<(&MachineId, &Place)>> =
                entries.iter().map(|(machine, entry)| Some((machine, entry.known()?))).collect();
            let gone = !snapshot.units.contains_key(unit);
            match (known, snapshot.units.get(unit)) {
                (None, _) | (_, Some(Unit::Frozen)) => {
                    self.decided.insert(unit);
                }
                (Some(places), _) if gone => {
                    let reason = match snapshot.globals.contains_key(unit) {
                        true => Reason::Global,
                        false => Reason::Destroyed,
                    };
                    for (machine, place) in places {
                        self.remove(unit, machine, place, reason.clone());
                    }
                    self.board.take(unit);
                }
                (Some(places), _) if places.len() > 1 => self.keep_one(unit, &places),
                _ => {}
            }
        }
    }

    /// Of several entries, keeps that of a machine that runs the unit, or else of one that is there.
    fn keep_one(&mut self, unit: &'a UnitName, places: &[(&'a MachineId, &'a Place)]) {
        let snapshot = self.board.snapshot;
        let runs = |machine: &MachineId| {
            let reports = snapshot.reports.get(unit);
            reports.and_then(|reports| reports.get(machine)).is_some_and(|found| found.report.started)
        };
        let rank = |machine: &MachineId| (!runs(machine), !snapshot.machines.contains_key(machine));
        let Some((keeper, _)) = places.iter().min_by_key(|(machine, _)| rank(machine)) else { return };
        for (machine, place) in places.iter().filter(|(machine, _)| machine != keeper) {
            self.remove(unit, machine, place, Reason::Twice((*keeper).clone()));
        }
        self.board.put(unit, keeper);
    }

    /// Removes the claims that lost machines have for units that are not theirs any more.
    fn release(&mut self) {
        let snapshot = self.board.snapshot;
        for (unit, claim) in &snapshot.claims {
            let Claim::Known { machine, modification } = claim else { continue };
            let lost = match snapshot.machines.contains_key(machine) {
                true => None,
                false => snapshot.losses.lost_for(machine, self.board.now),
            };
            let Some(lost) = lost.filter(|lost| *lost >= snapshot.settings.claim_wait()) else { continue };
            if self.board.place(unit) == Some(machine) {
                continue;
            }
            let action =
                Action::Release { unit: unit.clone(), machine: machine.clone(), claim: *modification };
            self.decide(unit, action, Reason::ClaimVoid(machine.clone(), lost));
        }
    }

    /// Moves or removes units that are not to be where they are, until none is left.
    fn correct(&mut self) {
        let snapshot = self.board.snapshot;
        loop {
            let before = self.decisions.len();
            for (name, unit) in &snapshot.units {
                let Unit::Known(unit) = unit else { continue };
                if self.decided.contains(name) {
                    continue;
                }
                let Some((machine, place)) = self.board.residence(name) else { continue };
                if let Some(leave) = self.leave(name, unit, machine) {
                    self.carry_out(name, unit, machine, place, leave);
                }
            }
            if self.decisions.len() == before {
                return;
            }
        }
    }

    /// Returns why a unit is to leave its machine, if it is.
    fn leave(&self, name: &UnitName, unit: &Known, machine: &MachineId) -> Option<Leave> {
        if unit.desired == State::Inactive {
            return Some(Leave { reason: Reason::NotWanted, force: Force::Yes });
        }
        match (self.board.verdict(machine), self.board.snapshot.machines.get(machine)) {
            (Some(Verdict::GivenUp { lost }), _) => {
                Some(Leave { reason: Reason::Lost(machine.clone(), lost), force: Force::No })
            }
            (Some(Verdict::Waiting { .. }), _) | (None, None | Some(Seen::Frozen)) => None,
            (None, Some(Seen::Known(there))) => {
                let wants = &unit.requirements;
                let why = unsuitable(&self.board, name, wants, there, Standing::Resident).into_iter().next();
                match why {
                    Some(why) => {
                        Some(Leave { reason: Reason::Unsuitable(machine.clone(), why), force: Force::Yes })
                    }
                    None if there.hold == Hold::Draining => {
                        Some(Leave { reason: Reason::Draining(machine.clone()), force: Force::No })
                    }
                    None => None,
                }
            }
        }
    }

    fn carry_out(
        &mut self,
        name: &'a UnitName,
        unit: &Known,
        machine: &'a MachineId,
        place: &Place,
        leave: Leave,
    ) {
        let to = match unit.desired {
            State::Inactive => None,
            State::Loaded | State::Launched => target(&self.board, name, unit, Some(machine)),
        };
        match (to, leave.force) {
            (None, Force::No) => {}
            (Some((to, _)), _) if !unit.requirements.exclusive => {
                let finished = place.finished && place.hash == unit.hash && place.desired == unit.desired;
                let action = Action::Move {
                    unit: name.clone(),
                    wanted: unit.modification,
                    from: machine.clone(),
                    entry: place.modification,
                    to: to.clone(),
                    finished,
                };
                self.board.put(name, to);
                self.decide(name, action, leave.reason);
            }
            // An exclusive unit is removed first and placed when its claim is gone.
            (Some(_), _) | (None, Force::Yes) => {
                self.board.take(name);
                self.remove(name, machine, place, leave.reason);
            }
        }
    }

    /// Places units that are wanted and nowhere, until none is left that can be.
    fn place(&mut self) {
        let snapshot = self.board.snapshot;
        loop {
            let before = self.decisions.len();
            for (name, unit) in &snapshot.units {
                let Unit::Known(unit) = unit else { continue };
                let placed = self.board.place(name).is_some() || self.decided.contains(name);
                if placed || unit.desired == State::Inactive {
                    continue;
                }
                // Not only of exclusive ones: a claim outlives a change of the unit into a plain one.
                if snapshot.claims.contains_key(name) {
                    continue;
                }
                let Some((machine, load)) = target(&self.board, name, unit, None) else { continue };
                let action = Action::Place {
                    unit: name.clone(),
                    wanted: unit.modification,
                    machine: machine.clone(),
                    unclaimed: unit.requirements.exclusive,
                };
                self.board.put(name, machine);
                self.decide(name, action, Reason::LeastLoaded(load));
            }
            if self.decisions.len() == before {
                return;
            }
        }
    }

    /// Makes the moves that were asked for. The wish is removed by a pass that finds none left to make, so that the
    /// next engine goes on where this one was stopped.
    fn rebalance(&mut self) {
        if !self.board.snapshot.rebalance {
            return;
        }
        if self.decisions.is_empty() && is_even(&self.board) {
            self.decisions.push(Decision { action: Action::Rebalanced, reason: Reason::Even });
            return;
        }
        for shift in even(&mut self.board, &self.decided) {
            let Some(Unit::Known(unit)) = self.board.snapshot.units.get(shift.unit) else { continue };
            let entries = self.board.snapshot.entries.get(shift.unit);
            let entry = entries.and_then(|entries| entries.get(shift.from));
            let Some(Entry::Known(place)) = entry else { continue };
            let action = Action::Move {
                unit: shift.unit.clone(),
                wanted: unit.modification,
                from: shift.from.clone(),
                entry: place.modification,
                to: shift.to.clone(),
                finished: place.finished && place.hash == unit.hash && place.desired == unit.desired,
            };
            self.decide(shift.unit, action, Reason::Uneven(shift.loads.0, shift.loads.1));
        }
    }

    /// Brings entries that stay up to date, and writes down which units have finished.
    fn change(&mut self) {
        let snapshot = self.board.snapshot;
        for (name, unit) in &snapshot.units {
            let Unit::Known(unit) = unit else { continue };
            if self.decided.contains(name) {
                continue;
            }
            let Some((machine, place)) = self.board.residence(name) else { continue };
            let stale = place.hash != unit.hash || place.desired != unit.desired;
            let finished = !stale && (place.finished || has_finished(snapshot, name, unit, machine, place));
            let reason = match (stale, finished == place.finished) {
                (true, _) => Reason::Stale,
                (false, false) => Reason::Finished,
                (false, true) => continue,
            };
            let action = Action::Change {
                unit: name.clone(),
                wanted: unit.modification,
                machine: machine.clone(),
                entry: place.modification,
                finished,
            };
            self.decide(name, action, reason);
        }
    }
}

/// Whether the machine reports of just this entry that the unit, a oneshot, was started and has ended well.
fn has_finished(
    snapshot: &Snapshot,
    name: &UnitName,
    unit: &Known,
    machine: &MachineId,
    place: &Place,
) -> bool {
    let found = snapshot.reports.get(name).and_then(|reports| reports.get(machine));
    let Some(found) = found.filter(|_| unit.runs_once() && place.desired == State::Launched) else {
        return false;
    };
    let report = &found.report;
    let ended =
        matches!((report.active.as_str(), report.sub.as_str()), ("inactive", "dead") | ("active", "exited"));
    found.entry == place.modification && report.started && report.hash == place.hash && ended
}

/// Returns the first objection of each machine that is there against the unit as a newcomer.
pub(super) fn against(
    board: &Board<'_>,
    name: &UnitName,
    unit: &Known,
    id: &MachineId,
    seen: &Seen,
) -> Vec<Objection> {
    let mut found: Vec<Objection> = super::eligible::closed(board, id).into_iter().collect();
    if let Seen::Known(machine) = seen {
        let standing = match board.place(name) == Some(id) {
            true => Standing::Resident,
            false => Standing::Newcomer,
        };
        found.extend(unsuitable(board, name, &unit.requirements, machine, standing));
    }
    found
}
