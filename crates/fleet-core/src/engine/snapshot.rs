//! What the engine knows: the registry as its follower has it, and which machines are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Losses, Settings, Told};
use crate::model::{Machine, MachineId, Report, State};
use crate::moment::Moment;
use crate::name::UnitName;
use crate::requirements::Requirements;

/// What the engine knows at one revision of the registry.
///
/// A value that cannot be read is `Frozen`: it is there, so nothing may be done as if it were not.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Spans of time to go by.
    pub settings: Settings,
    /// `units/`.
    pub units: BTreeMap<UnitName, Unit>,
    /// `global/`.
    pub globals: BTreeMap<UnitName, Unit>,
    /// `machines/`, with `meta/` and `hold/` in it.
    pub machines: BTreeMap<MachineId, Seen>,
    /// `schedule/`, by unit: more than one machine is a fault that a pass repairs.
    pub entries: BTreeMap<UnitName, BTreeMap<MachineId, Entry>>,
    /// `claim/`.
    pub claims: BTreeMap<UnitName, Claim>,
    /// `state/`, by unit.
    pub reports: BTreeMap<UnitName, BTreeMap<MachineId, Reported>>,
    /// Whether `rebalance` is there.
    pub rebalance: bool,
    /// Which machines are lost, since when; `observe` keeps it up.
    pub losses: Losses,
    /// `lost/`: what an engine tells of lost machines. Explanations go by it, and no decision.
    pub told: BTreeMap<MachineId, Told>,
}

/// A unit that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// One that is understood.
    Known(Known),
    /// One whose value cannot be read: it stays where it is.
    Frozen,
}

/// A unit that is wanted and understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its key's modification, which writes about it compare.
    pub modification: i64,
    /// Hash of its file.
    pub hash: String,
    /// How far it is wanted to be.
    pub desired: State,
    /// What it asks of machines.
    pub requirements: Requirements,
    /// Whether it is `Type=oneshot`.
    pub oneshot: bool,
}

/// A machine whose key is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// One that is understood.
    Known(Machine),
    /// One whose key, metadata or hold cannot be read: it takes nothing and loses nothing.
    Frozen,
}

/// A unit's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// One that is understood.
    Known(Place),
    /// One whose value cannot be read: it stays.
    Frozen,
}

/// A unit's place that is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its key's modification, which writes about it compare.
    pub modification: i64,
    /// Hash of the unit's file as the machine is told.
    pub hash: String,
    /// How far it is wanted to be, as the machine is told.
    pub desired: State,
    /// Whether the unit, a oneshot that runs once, has finished: then it is not started again.
    pub finished: bool,
    /// Why it was placed there.
    pub reason: String,
}

/// Who may run an exclusive unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// One that is understood.
    Known {
        /// Machine that may.
        machine: MachineId,
        /// The key's modification, which its removal compares.
        modification: i64,
    },
    /// One whose value cannot be read: the unit is not placed.
    Frozen,
}

/// What a machine reports of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The report.
    pub report: Report,
    /// Modification of the entry that it is about.
    pub entry: i64,
}

impl Snapshot {
    /// Takes note of which machines are there at `now`; to be called after every change and before every pass.
    pub fn observe(&mut self, now: Moment) {
        let placed = self.entries.values().flat_map(BTreeMap::keys);
        let claiming = self.claims.values().filter_map(|claim| match claim {
            Claim::Known { machine, .. } => Some(machine),
            Claim::Frozen => None,
        });
        let mentioned: BTreeSet<&MachineId> = placed.chain(claiming).collect();
        self.losses.observe(now, &self.settings, &self.machines, &mentioned);
    }

    /// Returns after what time a pass may decide something although nothing has changed until then.
    pub fn due(&self, now: Moment) -> Option<Duration> {
        self.losses.due(now, &self.settings)
    }
}

impl Unit {
    /// Returns it if it is understood.
    pub fn known(&self) -> Option<&Known> {
        match self {
            Self::Known(known) => Some(known),
            Self::Frozen => None,
        }
    }
}

impl Known {
    /// Whether it is a oneshot that stays finished when it is placed anew.
    pub fn runs_once(&self) -> bool {
        self.oneshot && self.requirements.run_once
    }
}

impl Entry {
    /// Returns it if it is understood.
    pub fn known(&self) -> Option<&Place> {
        match self {
            Self::Known(place) => Some(place),
            Self::Frozen => None,
        }
    }
}
