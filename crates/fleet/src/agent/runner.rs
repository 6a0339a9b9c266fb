//! Brings together what is wanted, what is here and what is remembered: on each change, and every now and then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use etcd_rpc::Client;
use fleet_core::agent::{Here, Lease, Reading, Task, Wish, plan, reports as wanted_reports};
use fleet_core::moment::Moment;
use fleet_core::name::UnitName;
use fleet_core::unit_file::UnitFile;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::memory::{self, MemoryFile};
use super::pause::Pause;
use super::perform::{Left, Performer};
use super::records::Records;
use super::reports::{self, Reports};
use super::said::Said;
use super::session::Again;
use super::settings::Settings;
use super::sight::{self, Sight};
use super::standing::{Membership, Standing};
use super::wishes::{Wishes, binding_of};
use super::{claims, elsewhere, local};
use crate::guard::{boot_time, read_until};
use crate::systemd::{Manager, Units, UnitsError};

/// How long news of the store are gathered before they are looked at.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long signals of the service manager are gathered, which also come of units that are none of fleet's.
const SIGNALS_TOGETHER: Duration = Duration::from_millis(250);
/// How soon it is looked again at what is under way.
const SOON: Duration = Duration::from_secs(1);
/// How often all is looked at although nothing was heard.
const REGULARLY: Duration = Duration::from_secs(30);

/// Why a pass did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] etcd_rpc::Error),
    /// The units of this machine.
    #[error(transparent)]
    Units(#[from] UnitsError),
    /// What is to be remembered.
    #[error(transparent)]
    Memory(#[from] memory::Error),
    /// The reports.
    #[error(transparent)]
    Reports(#[from] reports::Error),
}

/// The loop.
pub(super) struct Runner<M> {
    settings: Arc<Settings>,
    client: Client,
    performer: Performer<M>,
    memory: Arc<MemoryFile>,
    again: Arc<Again>,
    standing: watch::Receiver<Standing>,
    sight: Sight,
    reports: Reports,
    records: Records,
    /// The entries as they were seen last.
    entries: BTreeMap<UnitName, Wish>,
    /// The modification of the machine's key under which this process has read the machine's claims.
    sure: Option<i64>,
    /// That under which the outcome of a write was not known: nothing is written under it any more.
    doubted: Option<i64>,
    pause: Pause,
    said: Said,
}

impl<M: Manager> Runner<M> {
    /// A runner that has the units of `manager`.
    pub(super) fn new(
        settings: Arc<Settings>,
        client: Client,
        manager: Arc<M>,
        memory: Arc<MemoryFile>,
        again: Arc<Again>,
        standing: watch::Receiver<Standing>,
        records: Records,
    ) -> Self {
        let units = Units::new(manager, settings.places.clone());
        let performer = Performer::new(
            Arc::clone(&settings),
            client.clone(),
            units,
            Arc::clone(&memory),
            records.clone(),
        );
        let sight = Sight::new(&client, &settings);
        let (reports, said) = (Reports::default(), Said::new(records.journal));
        let pause = Pause::new(Duration::from_secs(1), Duration::from_secs(60));
        let (sure, doubted) = (None, None);
        Self {
            settings,
            client,
            performer,
            memory,
            again,
            standing,
            sight,
            reports,
            records,
            entries: BTreeMap::new(),
            sure,
            doubted,
            pause,
            said,
        }
    }

    /// Runs until it is dropped, which leaves all units as they are.
    pub(super) async fn run(mut self) {
        let mut wake = Instant::now();
        let mut is_adopted = false;
        loop {
            self.wait(wake).await;
            let passed = if is_adopted { self.pass().await } else { self.adopt().await };
            let next = match passed {
                Ok(next) => {
                    is_adopted = true;
                    self.said.over("pass");
                    next
                }
                Err(err) => {
                    self.said.warn("pass", err.to_string());
                    self.pause.failed()
                }
            };
            wake = Instant::now() + next;
        }
    }

    /// Waits for a change, and then for what comes with it; not longer than to `wake`.
    async fn wait(&mut self, wake: Instant) {
        let mut end = wake;
        loop {
            let together = tokio::select! {
                away = self.sight.next() => {
                    match away {
                        Some(err) => drop(self.said.warn("store", err.to_string())),
                        // Each part is heard by itself; the store is back when all are.
                        None if self.sight.is_heard() && self.said.over("store") => self.records.reconnected(),
                        None => {}
                    }
                    TOGETHER
                }
                changed = self.standing.changed() => {
                    if changed.is_err() {
                        // The session is gone, and with it the agent.
                        std::future::pending::<()>().await;
                    }
                    TOGETHER
                }
                () = self.performer.units.manager().changed() => SIGNALS_TOGETHER,
                () = sleep_until(end) => return,
            };
            end = end.min(Instant::now() + together);
        }
    }

    /// Makes whole what the process before left.
    async fn adopt(&mut self) -> Result<Duration, Error> {
        let settings = Arc::clone(&self.settings);
        let binding = move |unit: &str, file: &UnitFile| binding_of(&settings, unit, file);
        for wrong in self.performer.units.adopt(binding).await? {
            self.said.each_time(&wrong);
        }
        Ok(Duration::ZERO)
    }

    /// Looks at all and does what follows. Returns when to look again although nothing was heard.
    async fn pass(&mut self) -> Result<Duration, Error> {
        let standing = self.standing.borrow_and_update().clone();
        self.say(&standing);
        let membership = standing.alive(boot_time());
        let membership = membership.filter(|membership| self.doubted != Some(membership.modification));
        let mut here = self.here().await?;
        if let Some(membership) = membership
            && self.sure != Some(membership.modification)
        {
            self.make_sure(membership, &here).await?;
        }
        // Without a lease that lives, what was read may be what is no more.
        let parts = membership.and_then(|_| self.sight.parts());
        let mut wishes = match parts {
            Some(parts) => Wishes::of(&parts, &self.settings),
            // Which units are exclusive is known from before; no more than that follows from it.
            None => Wishes::past(self.entries.clone()),
        };
        if wishes.wanted.reading != Reading::Partial {
            self.said.only("value", &wishes.wrong);
            let surplus: Vec<_> = self.memory.plan().surplus.into_keys().collect();
            here.elsewhere = elsewhere::look(&self.client, &self.settings, &surplus).await?;
        }
        let mut tasks = plan(&wishes.wanted, &here, &self.memory.plan());
        if tasks.iter().any(|task| matches!(task, Task::Unload(_))) {
            // The followers are at different revisions. What is taken away is taken away by one.
            wishes = Wishes::of(&sight::read(&self.client, &self.settings).await?, &self.settings);
            tasks = plan(&wishes.wanted, &here, &self.memory.plan());
        }
        self.entries.clone_from(&wishes.wanted.entries);
        let left = self.performer.perform(&tasks, &wishes.files, membership).await?;
        if left == Left::Doubt {
            self.doubt(membership);
            return Ok(SOON);
        }
        if here.lease == Lease::Overdue {
            // After the stops, which go by what was started.
            let mut plan = self.memory.plan();
            plan.overdue();
            self.memory.keep_plan(&plan)?;
        }
        if !tasks.is_empty() {
            let elsewhere = std::mem::take(&mut here.elsewhere);
            here = Here { elsewhere, ..self.here().await? };
        }
        if let Some(membership) = membership
            && wishes.wanted.reading != Reading::Partial
        {
            self.report(membership, &wishes, &here).await?;
        }
        Ok(self.next(left, &here))
    }

    /// What this machine has.
    async fn here(&self) -> Result<Here, Error> {
        let units = local::units(&self.performer.units.found().await?);
        let now = boot_time();
        // The guard's file is what counts: it is there before this process has renewed anything.
        let until = read_until(&self.settings.guard_file).unwrap_or(Moment(0));
        let lease = if now < until { Lease::Alive } else { Lease::Overdue };
        Ok(Here { now, lease, units, elsewhere: BTreeMap::new() })
    }

    /// Reads this machine's claims, now that nothing that was sent before can change them.
    async fn make_sure(&mut self, membership: &Membership, here: &Here) -> Result<(), Error> {
        let claims = claims::read(&self.client, &self.settings).await?;
        if self.memory.was_planned_under(membership.lease) {
            let mut plan = self.memory.plan();
            plan.claims_read(claims);
            self.memory.keep_plan(&plan)?;
        } else {
            self.come_back(membership, here, claims).await?;
        }
        (self.sure, self.doubted) = (Some(membership.modification), None);
        Ok(())
    }

    /// Takes note of a new lease: others may have had this machine's units in the meantime.
    async fn come_back(
        &mut self,
        membership: &Membership,
        here: &Here,
        claims: Vec<UnitName>,
    ) -> Result<(), Error> {
        let mut plan = self.memory.plan();
        for (unit, started) in &plan.started {
            let runs = here.units.get(unit).is_some_and(|local| !local.is_stopped());
            // The guard has done so, unless the lease was ended by somebody's hand.
            if started.exclusive && runs && !claims.contains(unit) {
                self.performer.units.stop(unit.as_str()).await?;
            }
        }
        let parts = sight::read(&self.client, &self.settings).await?;
        plan.overdue();
        plan.claims_read(claims);
        plan.came_back(&Wishes::of(&parts, &self.settings).wanted, here, self.settings.grace);
        Ok(self.memory.keep_plan_under(membership.lease, &plan)?)
    }

    async fn report(&mut self, membership: &Membership, wishes: &Wishes, here: &Here) -> Result<(), Error> {
        let reports = wanted_reports(&wishes.wanted, here, &self.memory.plan());
        let brought =
            self.reports.bring(&self.client, &self.settings, membership, &reports, &self.records).await;
        if let Err(err) = brought {
            if err.leaves_doubt() {
                self.doubt(Some(membership));
            }
            return Err(err.into());
        }
        Ok(())
    }

    /// Writes nothing more under a modification of the machine's key, and asks for a new one.
    fn doubt(&mut self, membership: Option<&Membership>) {
        self.doubted = membership.map(|membership| membership.modification);
        self.again.ask();
    }

    fn next(&mut self, left: Left, here: &Here) -> Duration {
        let plan = self.memory.plan();
        let mut next = match left {
            Left::Nothing => {
                self.pause.worked();
                REGULARLY
            }
            Left::UnderWay => SOON,
            Left::Failed | Left::Doubt => self.pause.failed(),
        };
        if !plan.surplus.is_empty() {
            next = next.min(SOON);
        }
        if here.lease == Lease::Alive && plan.started.values().any(|started| started.exclusive) {
            let until = read_until(&self.settings.guard_file).unwrap_or(Moment(0));
            next = next.min(until.since(boot_time()) + TOGETHER);
        }
        next
    }

    fn say(&mut self, standing: &Standing) {
        match standing {
            Standing::Joining { why: Some(why) } => drop(self.said.warn("joining", why.clone())),
            // The session says it.
            Standing::Joining { why: None } | Standing::Twin { .. } => {}
            Standing::Member(_) => drop(self.said.over("joining")),
        }
    }
}
