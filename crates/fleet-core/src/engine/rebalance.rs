//! Which units move to even the load out, when one asks for it.

use std::collections::BTreeSet;

use super::board::Board;
use super::eligible::{Standing, closed, unsuitable};
use super::{Entry, Seen, Snapshot, Unit};
use crate::model::MachineId;
use crate::moment::Moment;
use crate::name::UnitName;

/// A move that evens the load out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Unit.
    pub unit: UnitName,
    /// Machine that it leaves.
    pub from: MachineId,
    /// Machine that it goes to.
    pub to: MachineId,
}

/// Returns the fewest moves after which loads differ by one at most, as far as requirements permit.
///
/// Each goes from a machine with more units than average to one with fewer. Exclusive units stay, because moving one is
/// an interruption; units that others hang on by `MachineOf=` stay, because those would have to follow; and no move
/// makes a template's instances less spread.
pub fn rebalance(snapshot: &Snapshot, now: Moment) -> Vec<Move> {
    let mut board = Board::new(snapshot, now);
    let shifts = even(&mut board, &BTreeSet::new());
    let owned =
        |shift: Shift<'_>| Move { unit: shift.unit.clone(), from: shift.from.clone(), to: shift.to.clone() };
    shifts.into_iter().map(owned).collect()
}

/// A move, with the loads of both machines before it.
pub(super) struct Shift<'a> {
    pub(super) unit: &'a UnitName,
    pub(super) from: &'a MachineId,
    pub(super) to: &'a MachineId,
    pub(super) loads: (usize, usize),
}

/// Whether there is no move to make.
pub(super) fn is_even(board: &Board<'_>) -> bool {
    next(board, &BTreeSet::new()).is_none()
}

/// Makes all moves on the board; units in `settled` stay, and none moves twice.
pub(super) fn even<'a>(board: &mut Board<'a>, settled: &BTreeSet<&'a UnitName>) -> Vec<Shift<'a>> {
    let mut settled = settled.clone();
    let mut shifts = Vec::new();
    while let Some(shift) = next(board, &settled) {
        board.put(shift.unit, shift.to);
        settled.insert(shift.unit);
        shifts.push(shift);
    }
    shifts
}

/// Returns the next move: from the most to the least loaded machine between which a unit can move.
fn next<'a>(board: &Board<'a>, settled: &BTreeSet<&'a UnitName>) -> Option<Shift<'a>> {
    let open = board.snapshot.machines.keys().filter(|id| closed(board, id).is_none());
    let mut loads: Vec<(usize, &'a MachineId)> = open.map(|id| (board.load(id), id)).collect();
    loads.sort();
    for &(most, from) in loads.iter().rev() {
        for &(least, to) in loads.iter().take_while(|(least, _)| least + 1 < most) {
            let mut units = board.units_on(from).filter(|unit| !settled.contains(unit));
            if let Some(unit) = units.find(|unit| can_move(board, unit, from, to)) {
                return Some(Shift { unit, from, to, loads: (most, least) });
            }
        }
    }
    None
}

fn can_move(board: &Board<'_>, name: &UnitName, from: &MachineId, to: &MachineId) -> bool {
    let snapshot = board.snapshot;
    let entry = snapshot.entries.get(name).and_then(|entries| entries.get(from));
    let (Some(Unit::Known(unit)), Some(Entry::Known(_))) = (snapshot.units.get(name), entry) else {
        return false;
    };
    let (Some(Seen::Known(old)), Some(Seen::Known(new))) =
        (snapshot.machines.get(from), snapshot.machines.get(to))
    else {
        return false;
    };
    let wants = &unit.requirements;
    !wants.exclusive
        && !board.is_hung_on(name)
        && board.crowd(name, wants, new) <= board.crowd(name, wants, old)
        && unsuitable(board, name, wants, new, Standing::Newcomer).is_empty()
}
