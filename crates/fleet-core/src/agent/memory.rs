//! What an agent remembers, also over a restart of its process, but not of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::chosen::chosen;
use super::{Here, Task, Wanted};
use crate::moment::Moment;
use crate::name::UnitName;

/// What an agent remembers. It is written to `/run` after each task, so that the next process goes on with it and a
/// reboot forgets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Units that were started, and for which wish: a unit that failed since is not started again for the same.
    #[serde(default)]
    pub started: BTreeMap<UnitName, Started>,
    /// Units that may run although no start is noted, because the agent died or lost its lease since it began: they are
    /// stopped if they are not to run and started if they are.
    #[serde(default)]
    pub starting: BTreeSet<UnitName>,
    /// Exclusive units whose claim this machine has.
    #[serde(default)]
    pub claims: BTreeSet<UnitName>,
    /// Units that went elsewhere while the machine was lost, and until when they may stay.
    #[serde(default)]
    pub surplus: BTreeMap<UnitName, Moment>,
}

/// What a unit was started for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Modification of the wish.
    pub modification: i64,
    /// Hash of the file.
    pub hash: String,
    /// Whether the guard stops it.
    pub exclusive: bool,
}

impl Memory {
    /// Takes note that a task begins. A unit whose unload was begun and given up, because it is wanted again, does not
    /// pass for started; one whose start was begun by a process that died then is known to need a stop.
    pub fn begin(&mut self, task: &Task) {
        match task {
            Task::Unload(unit) => {
                self.started.remove(unit);
            }
            Task::Start { unit, .. } => {
                self.starting.insert(unit.clone());
            }
            _ => {}
        }
    }

    /// Takes note of a task that was carried out: of a start or stop when the service manager has taken the order, of an
    /// unload when the file is gone, of a claim or release when the store has answered.
    pub fn done(&mut self, task: &Task) {
        match task {
            Task::Unload(unit) => {
                self.started.remove(unit);
                self.starting.remove(unit);
                self.surplus.remove(unit);
            }
            Task::Stop(unit) => {
                self.started.remove(unit);
                self.starting.remove(unit);
            }
            Task::Start { unit, started } => {
                self.starting.remove(unit);
                self.started.insert(unit.clone(), started.clone());
            }
            Task::Claim { unit, .. } => {
                self.claims.insert(unit.clone());
            }
            Task::Release(unit) => {
                self.claims.remove(unit);
            }
            Task::Load(_) | Task::Reload => {}
        }
    }

    /// Whether the agent has started a unit, or may have.
    pub(super) fn may_run(&self, unit: &UnitName) -> bool {
        self.started.contains_key(unit) || self.starting.contains(unit)
    }

    /// Takes note that the lease is overdue or gone: the guard stops exclusive units, unless a new lease comes first, and
    /// others may have their claims. They are claimed and started again under a new lease, or stopped if they run still
    /// and are not to.
    pub fn overdue(&mut self) {
        let exclusive = self.started.iter().filter(|(_, started)| started.exclusive);
        self.starting.extend(exclusive.map(|(unit, _)| unit.clone()));
        self.started.retain(|_, started| !started.exclusive);
        self.claims.clear();
    }

    /// Takes note of the claims that the store has for this machine.
    pub fn claims_read(&mut self, claims: impl IntoIterator<Item = UnitName>) {
        self.claims = claims.into_iter().collect();
    }

    /// Takes note that the machine is back after its lease was gone, with the first whole reading: units that it has and
    /// is not to have may stay for the grace, until they are active elsewhere.
    pub fn came_back(&mut self, wanted: &Wanted, here: &Here, grace: Duration) {
        let chosen = chosen(wanted, here);
        let surplus = here.units.keys().filter(|unit| !chosen.contains_key(*unit));
        let plain = surplus.filter(|unit| self.started.get(*unit).is_some_and(|started| !started.exclusive));
        self.surplus = plain.map(|unit| (unit.clone(), here.now.after(grace))).collect();
    }
}
