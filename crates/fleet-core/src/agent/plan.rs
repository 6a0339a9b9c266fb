//! What an agent does next.

use super::chosen::chosen;
use super::memory::Started;
use super::{Elsewhere, Here, KnownWish, Lease, Local, Memory, Reading, Wanted, Wish};
use crate::model::State;
use crate::name::UnitName;

/// One thing to do. Their order is that in which they are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Stop the unit, wait until it has stopped, and only then remove its file.
    Unload(UnitName),
    /// Write the unit's file and make it known to the service manager.
    Load(UnitName),
    /// Let the service manager read its files.
    Reload,
    /// Stop the unit.
    Stop(UnitName),
    /// Give up the claim of a unit that has stopped.
    Release(UnitName),
    /// Claim the unit. A transaction compares the entry's modification and that this machine's key is of its own lease,
    /// and that nobody or this machine has the claim. If it is refused, the unit's start is left out.
    Claim {
        /// Unit.
        unit: UnitName,
        /// The modification of its entry.
        modification: i64,
    },
    /// Start the unit, without waiting.
    Start {
        /// Unit.
        unit: UnitName,
        /// What is to be remembered of it.
        started: Started,
    },
}

impl Task {
    /// The unit that it is about.
    pub fn unit(&self) -> Option<&UnitName> {
        match self {
            Self::Unload(unit) | Self::Load(unit) | Self::Stop(unit) | Self::Release(unit) => Some(unit),
            Self::Claim { unit, .. } | Self::Start { unit, .. } => Some(unit),
            Self::Reload => None,
        }
    }

    fn class(&self) -> u8 {
        match self {
            Self::Unload(_) => 0,
            Self::Load(_) => 1,
            Self::Reload => 2,
            Self::Stop(_) => 3,
            Self::Release(_) => 4,
            Self::Claim { .. } => 5,
            Self::Start { .. } => 6,
        }
    }
}

/// Decides what is to be done. When all of it is done and nothing else changes, there is nothing to be done.
///
/// A task that fails does not stop those of other units, but the later ones of its own.
pub fn plan(wanted: &Wanted, here: &Here, memory: &Memory) -> Vec<Task> {
    let mut tasks = Vec::new();
    if wanted.reading == Reading::Partial {
        stop_exclusive(wanted, here, &mut tasks);
        return tasks;
    }
    let chosen = chosen(wanted, here);
    for unit in here.units.keys().filter(|unit| !chosen.contains_key(*unit)) {
        if wanted.reading == Reading::Whole && !may_stay(unit, here, memory) {
            tasks.push(Task::Unload(unit.clone()));
        }
    }
    for (unit, wish) in &chosen {
        if let Wish::Known(wish) = wish {
            pursue(unit, wish, wanted, here, memory, &mut tasks);
        }
    }
    for unit in &memory.claims {
        let stopped = here.units.get(unit).is_none_or(Local::is_stopped);
        // A unit that failed keeps its claim while it is wanted: the service manager may start it again.
        let runs = match chosen.get(unit) {
            Some(Wish::Known(wish)) => wish.desired == State::Launched && wish.requirements.exclusive,
            Some(Wish::Frozen) => true,
            None => false,
        };
        if stopped && !runs {
            tasks.push(Task::Release(unit.clone()));
        }
    }
    if tasks.iter().any(|task| matches!(task, Task::Unload(_) | Task::Load(_))) {
        tasks.push(Task::Reload);
    }
    tasks.sort_by(|a, b| (a.class(), a.unit()).cmp(&(b.class(), b.unit())));
    tasks
}

/// Without a whole reading all stays as it is, but exclusive units whose lease is overdue.
fn stop_exclusive(wanted: &Wanted, here: &Here, tasks: &mut Vec<Task>) {
    let runs = |unit: &UnitName| here.units.get(unit).is_some_and(|local| !local.is_stopped());
    let exclusive = wanted.entries.iter().filter(|(unit, wish)| match wish {
        Wish::Known(wish) => wish.requirements.exclusive && runs(unit),
        Wish::Frozen => false,
    });
    if here.lease == Lease::Overdue {
        tasks.extend(exclusive.map(|(unit, _)| Task::Stop(unit.clone())));
    }
}

/// Whether a unit that went elsewhere while the machine was lost stays for now.
fn may_stay(unit: &UnitName, here: &Here, memory: &Memory) -> bool {
    let Some(until) = memory.surplus.get(unit) else { return false };
    here.now < *until && matches!(here.elsewhere.get(unit), None | Some(Elsewhere::Coming))
}

/// Adds what brings one unit to where it is wanted.
fn pursue(
    unit: &UnitName,
    wish: &KnownWish,
    wanted: &Wanted,
    here: &Here,
    memory: &Memory,
    tasks: &mut Vec<Task>,
) {
    let local = here.units.get(unit);
    let loads = local.is_none_or(|local| local.hash != wish.hash);
    if loads && local.is_some() {
        // The file that is there is taken away, which is not done without a marker.
        if wanted.reading == Reading::Unmarked {
            return;
        }
        tasks.push(Task::Unload(unit.clone()));
    }
    if loads {
        tasks.push(Task::Load(unit.clone()));
    }
    let overdue = wish.requirements.exclusive && here.lease == Lease::Overdue;
    if wish.desired != State::Launched || overdue {
        let runs = overdue && local.is_some_and(|local| !local.is_stopped());
        // Only what the agent started is stopped: a unit that is merely loaded may run for another that needs it.
        let started = wish.desired != State::Launched && memory.may_run(unit);
        if !loads && (started || runs) {
            tasks.push(Task::Stop(unit.clone()));
        }
        return;
    }
    let started = Started {
        modification: wish.modification,
        hash: wish.hash.clone(),
        exclusive: wish.requirements.exclusive,
    };
    if wish.finished || !loads && memory.started.get(unit) == Some(&started) {
        return;
    }
    if wish.requirements.exclusive && !memory.claims.contains(unit) {
        tasks.push(Task::Claim { unit: unit.clone(), modification: wish.modification });
    }
    tasks.push(Task::Start { unit: unit.clone(), started });
}
