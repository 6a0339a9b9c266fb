//! What an agent goes by: what the registry wants of its machine, and what the machine has.

use std::collections::BTreeMap;

use crate::model::{Machine, Report, State};
use crate::moment::Moment;
use crate::name::UnitName;
use crate::requirements::Requirements;

/// What the registry wants of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// How much of it was read.
    pub reading: Reading,
    /// This machine with its metadata and hold; none if one of them cannot be read.
    pub machine: Option<Machine>,
    /// `schedule/<machine>/`.
    pub entries: BTreeMap<UnitName, Wish>,
    /// `global/`.
    pub globals: BTreeMap<UnitName, Wish>,
}

/// How much was read since the connection to the store last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Not all parts: they are at different revisions, so nothing follows from what is missing.
    Partial,
    /// All parts, but the registry has no marker: it is another one or an empty one, so nothing is taken away.
    Unmarked,
    /// All parts.
    Whole,
}

/// What is wanted of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// One that is understood.
    Known(KnownWish),
    /// One whose value cannot be read: the unit stays as it is.
    Frozen,
}

/// What is wanted of one unit, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownWish {
    /// The key's modification.
    pub modification: i64,
    /// Hash of the unit's file.
    pub hash: String,
    /// How far it is to be.
    pub desired: State,
    /// Whether it has finished and is not started again.
    pub finished: bool,
    /// What it asks of machines.
    pub requirements: Requirements,
}

/// What this machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// Boot-time clock.
    pub now: Moment,
    /// Whether the lease surely lives.
    pub lease: Lease,
    /// Units of fleet: those with a file in its folder.
    pub units: BTreeMap<UnitName, Local>,
    /// Where surplus units are now, as far as it was looked up.
    pub elsewhere: BTreeMap<UnitName, Elsewhere>,
}

/// Whether the machine's lease surely lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It does: [`super::exclusive::until`] is to come.
    Alive,
    /// It could not be renewed in time: no exclusive unit may run.
    Overdue,
}

/// A unit on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Hash of its file.
    pub hash: String,
    /// LOAD.
    pub load: String,
    /// ACTIVE.
    pub active: String,
    /// SUB.
    pub sub: String,
    /// What the service manager is about to do with it.
    pub job: Job,
}

/// What the service manager is about to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Nothing.
    None,
    /// Something: its state is not what it will be.
    Pending,
}

/// Where a unit is that this machine has and is not to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nowhere: it was stopped or destroyed.
    Nowhere,
    /// On a machine that does not report it as active.
    Coming,
    /// On a machine where it is active.
    Active,
}

impl Elsewhere {
    /// Says where a unit is, by the report of the machine that has the entry, if one has.
    pub fn of(entry: Option<Option<&Report>>) -> Self {
        match entry {
            None => Self::Nowhere,
            Some(Some(report)) if report.active == "active" => Self::Active,
            Some(_) => Self::Coming,
        }
    }
}

impl Local {
    /// Whether none of its processes runs and none is about to.
    pub fn is_stopped(&self) -> bool {
        self.job == Job::None && matches!(self.active.as_str(), "inactive" | "failed")
    }
}
