//! Does the tasks of a plan, each as the design says, and remembers each that is done before the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use etcd_rpc::Client;
use fleet_core::agent::{Memory, Task};
use fleet_core::name::UnitName;

use super::claims::{self, Claimed, Released};
use super::memory::{self, MemoryFile};
use super::records::Records;
use super::said::Said;
use super::settings::Settings;
use super::standing::Membership;
use super::wishes::File;
use crate::guard::{boot_time, read_until};
use crate::systemd::{GUARD_UNIT, Manager, Units, UnitsError, Unloading};

/// Why a task was not done.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The unit or its file.
    #[error(transparent)]
    Units(#[from] UnitsError),
    /// The service manager.
    #[error(transparent)]
    Manager(#[from] crate::systemd::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] etcd_rpc::Error),
    /// The claim was refused.
    #[error("claiming {unit}: {why}")]
    Refused {
        /// Which unit.
        unit: UnitName,
        /// Why.
        why: String,
    },
    /// There is no guard that would stop the unit.
    #[error(
        "starting {unit}: it is exclusive, and {GUARD_UNIT} does not run, which stops it when this machine is cut \
         off: see `systemctl status {GUARD_UNIT}`"
    )]
    NoGuard {
        /// Which unit.
        unit: UnitName,
    },
    /// The lease is not sure to live.
    #[error(
        "starting {unit}: it is exclusive, and this machine's lease is not sure to live; it starts when it is"
    )]
    Overdue {
        /// Which unit.
        unit: UnitName,
    },
}

impl Error {
    /// Whether it is not known what is in the store now.
    fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Store(err) if err.is_outcome_unknown())
    }
}

/// What of a plan is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    /// All is done.
    Nothing,
    /// Something is under way.
    UnderWay,
    /// Something failed and is to be tried again.
    Failed,
    /// It is not known whether something was written. Nothing more is done before the machine's key is written anew.
    Doubt,
}

/// How far a task came.
enum Progress {
    Done,
    UnderWay,
}

/// Who does tasks.
pub(super) struct Performer<M> {
    /// The units of this machine.
    pub(super) units: Units<M>,
    settings: Arc<Settings>,
    client: Client,
    memory: Arc<MemoryFile>,
    /// Whether files have changed that the service manager has not read. It reads all at the beginning.
    is_stale: bool,
    records: Records,
    said: Said,
}

impl<M: Manager> Performer<M> {
    pub(super) fn new(
        settings: Arc<Settings>,
        client: Client,
        units: Units<M>,
        memory: Arc<MemoryFile>,
        records: Records,
    ) -> Self {
        let said = Said::new(records.journal);
        Self { units, settings, client, memory, is_stale: false, records, said }
    }

    /// Does tasks in their order. One that fails or is under way leaves out the later ones of its unit, not others'.
    ///
    /// # Errors
    /// When what is done cannot be remembered, or the service manager cannot read what was written: then nothing more
    /// is done.
    pub(super) async fn perform(
        &mut self,
        tasks: &[Task],
        files: &BTreeMap<UnitName, File>,
        membership: Option<&Membership>,
    ) -> Result<Left, super::runner::Error> {
        let mut out = BTreeSet::new();
        let mut wrong = BTreeMap::new();
        let mut left = Left::Nothing;
        for task in tasks {
            let Some(unit) = task.unit() else { continue };
            if out.contains(unit) {
                continue;
            }
            if !matches!(task, Task::Unload(_) | Task::Load(_)) {
                self.refresh().await?;
            }
            self.note(|plan| plan.begin(task))?;
            match self.one(task, files, membership).await {
                Ok(Progress::Done) => {
                    self.records.done(task);
                    self.note(|plan| plan.done(task))?;
                }
                Ok(Progress::UnderWay) => {
                    out.insert(unit);
                    left = left.max(Left::UnderWay);
                }
                Err(err) => {
                    self.records.failed(task);
                    out.insert(unit);
                    wrong.insert(unit.to_string(), err.to_string());
                    if err.leaves_doubt() {
                        left = Left::Doubt;
                        break;
                    }
                    left = Left::Failed;
                }
            }
        }
        self.said.only("unit", &wrong);
        self.refresh().await?;
        Ok(left)
    }

    async fn one(
        &mut self,
        task: &Task,
        files: &BTreeMap<UnitName, File>,
        membership: Option<&Membership>,
    ) -> Result<Progress, Error> {
        match task {
            Task::Unload(unit) => {
                if self.units.unload(unit.as_str()).await? == Unloading::Stops {
                    return Ok(Progress::UnderWay);
                }
                self.is_stale = true;
            }
            Task::Load(unit) => {
                // A plan loads only what it has understood, and that has its file here.
                let Some(File { content, binding }) = files.get(unit) else { return Ok(Progress::UnderWay) };
                self.is_stale = true;
                self.units.load(unit.as_str(), content, *binding).await?;
            }
            // Done before whatever needs it, whether this plan or one before has made it necessary.
            Task::Reload => {}
            Task::Stop(unit) => drop(self.units.stop(unit.as_str()).await?),
            Task::Release(unit) => {
                let Some(membership) = membership else { return Ok(Progress::UnderWay) };
                let (client, settings) = (&self.client, &self.settings);
                if claims::release(client, settings, membership, unit).await? == Released::Changed {
                    return Ok(Progress::UnderWay);
                }
            }
            Task::Claim { unit, modification } => {
                let Some(membership) = membership else { return Err(Error::Overdue { unit: unit.clone() }) };
                let (client, settings) = (&self.client, &self.settings);
                match claims::claim(client, settings, membership, unit, *modification).await? {
                    Claimed::Here => {}
                    Claimed::Refused(why) => return Err(Error::Refused { unit: unit.clone(), why }),
                }
            }
            Task::Start { unit, started } => {
                if started.exclusive && !self.is_guarded(unit).await? {
                    return Ok(Progress::UnderWay);
                }
                self.units.manager().start(unit.as_str()).await?;
            }
        }
        Ok(Progress::Done)
    }

    /// Whether the guard runs; if not, it is started and not waited for.
    async fn is_guarded(&self, unit: &UnitName) -> Result<bool, Error> {
        if read_until(&self.settings.guard_file).ok().is_none_or(|until| until <= boot_time()) {
            return Err(Error::Overdue { unit: unit.clone() });
        }
        let name = GUARD_UNIT.to_owned();
        let guard = self.units.manager().states(std::slice::from_ref(&name)).await?.remove(&name);
        if guard.as_ref().is_some_and(|guard| guard.is_active() && guard.job.is_none()) {
            return Ok(true);
        }
        match self.units.manager().start(GUARD_UNIT).await {
            Err(err) if err.is_no_such_unit() => Err(Error::NoGuard { unit: unit.clone() }),
            Err(err) => Err(err.into()),
            // One that failed before and is started anew is looked at again; one that fails on and on is told.
            Ok(()) if guard.is_some_and(|guard| guard.active == "failed") => {
                Err(Error::NoGuard { unit: unit.clone() })
            }
            Ok(()) => Ok(false),
        }
    }

    async fn refresh(&mut self) -> Result<(), UnitsError> {
        if self.is_stale {
            self.units.manager().reload().await?;
            self.is_stale = false;
        }
        Ok(())
    }

    fn note(&self, change: impl FnOnce(&mut Memory)) -> Result<(), memory::Error> {
        let mut plan = self.memory.plan();
        change(&mut plan);
        self.memory.keep_plan(&plan)
    }
}
