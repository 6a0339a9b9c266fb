//! What a pass decides, and why.

use std::fmt;
use std::time::Duration;

use super::Objection;
use crate::model::MachineId;
use crate::name::UnitName;

/// One write of the engine. It is one transaction, that compares `engine`'s create revision and all that is said here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is written.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// What is written. A modification that is `None` is that of a key that must not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Puts `schedule/<machine>/<unit>`, which must not be there, with the unit's content and desired state. That
    /// `machines/<machine>` is there may be compared too.
    Place {
        /// Unit.
        unit: UnitName,
        /// The modification of `units/<unit>`.
        wanted: i64,
        /// Where it goes.
        machine: MachineId,
        /// Whether `claim/<unit>` must not be there: the unit is exclusive.
        unclaimed: bool,
    },
    /// Removes the entry at one machine and puts one at another, in one transaction.
    Move {
        /// Unit.
        unit: UnitName,
        /// The modification of `units/<unit>`.
        wanted: i64,
        /// What it leaves; the new entry says so.
        from: MachineId,
        /// The modification of the entry there.
        entry: i64,
        /// Where it goes, where no entry may be.
        to: MachineId,
        /// Whether the new entry says that the unit has finished.
        finished: bool,
    },
    /// Puts an entry anew with the unit's content and desired state.
    Change {
        /// Unit.
        unit: UnitName,
        /// The modification of `units/<unit>`.
        wanted: i64,
        /// Where it is.
        machine: MachineId,
        /// The modification of the entry.
        entry: i64,
        /// Whether the entry says that the unit has finished.
        finished: bool,
    },
    /// Removes an entry.
    Remove {
        /// Unit.
        unit: UnitName,
        /// The modification of `units/<unit>`.
        wanted: Option<i64>,
        /// Where it was.
        machine: MachineId,
        /// The modification of the entry.
        entry: i64,
    },
    /// Removes the claim of a machine that is lost, if `machines/<machine>` is still not there: one that is back has read
    /// that it has the claim.
    Release {
        /// Unit.
        unit: UnitName,
        /// Whose claim it was.
        machine: MachineId,
        /// The modification of the claim.
        claim: i64,
    },
    /// Removes `rebalance`: its moves are all made.
    Rebalanced,
}

/// Why something is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is wanted and was nowhere; the machine has so many units.
    LeastLoaded(usize),
    /// Its machine is lost for so long.
    Lost(MachineId, Duration),
    /// Its machine is draining.
    Draining(MachineId),
    /// Its machine no longer suits.
    Unsuitable(MachineId, Objection),
    /// One asked for even load: units of the machine that it leaves and of that it goes to.
    Uneven(usize, usize),
    /// Its target state is inactive.
    NotWanted,
    /// It is in the registry no more.
    Destroyed,
    /// It has become a global unit.
    Global,
    /// It has an entry for another machine, which stays.
    Twice(MachineId),
    /// Its entry says something else than the registry.
    Stale,
    /// It has finished.
    Finished,
    /// Its machine is lost for so long that it has surely stopped the unit.
    ClaimVoid(MachineId, Duration),
    /// All is even, as far as it can be.
    Even,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeastLoaded(load) => write!(f, "least loaded of those that suit, with {load} other units"),
            Self::Lost(machine, for_) => write!(f, "machine {machine} is lost for {} s", for_.as_secs()),
            Self::Draining(machine) => write!(f, "machine {machine} is draining"),
            Self::Unsuitable(machine, why) => write!(f, "machine {machine} no longer suits: {why}"),
            Self::Uneven(from, to) => write!(f, "rebalance was asked for: {from} units there, {to} here"),
            Self::NotWanted => f.write_str("target state is inactive"),
            Self::Destroyed => f.write_str("unit was destroyed"),
            Self::Global => f.write_str("unit has become a global one"),
            Self::Twice(machine) => write!(f, "unit had two entries; that for machine {machine} stays"),
            Self::Stale => f.write_str("entry was not what the registry wants"),
            Self::Finished => f.write_str("unit has finished and runs once"),
            Self::ClaimVoid(machine, for_) => {
                let seconds = for_.as_secs();
                write!(f, "machine {machine} is lost for {seconds} s and has stopped the unit by then")
            }
            Self::Even => f.write_str("load is as even as requirements permit"),
        }
    }
}
