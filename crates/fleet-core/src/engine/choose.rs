//! Which machine a unit goes to.

use super::board::Board;
use super::eligible::{Standing, closed, unsuitable};
use super::{Known, Seen};
use crate::model::MachineId;
use crate::name::UnitName;

/// Returns the best machine for a unit other than `leaves`, and how many units that has: the one where the fewest
/// instances of its template share the value that they are spread by, of those the least loaded, of those the first by
/// id.
///
/// Spread comes before load: it is asked for by name, and after the load it would decide among equals only.
pub(super) fn target<'a>(
    board: &Board<'a>,
    name: &UnitName,
    unit: &Known,
    leaves: Option<&MachineId>,
) -> Option<(&'a MachineId, usize)> {
    let mut best: Option<((usize, usize), &'a MachineId)> = None;
    for (id, seen) in &board.snapshot.machines {
        let Seen::Known(machine) = seen else { continue };
        if Some(id) == leaves || closed(board, id).is_some() {
            continue;
        }
        let rank = (board.crowd(name, &unit.requirements, machine), board.load(id));
        // Machines come by id, so one that is no better loses; that is found out before what costs more.
        if best.is_some_and(|(first, _)| first <= rank) {
            continue;
        }
        if unsuitable(board, name, &unit.requirements, machine, Standing::Newcomer).is_empty() {
            best = Some((rank, id));
        }
    }
    best.map(|((_, load), id)| (id, load))
}
