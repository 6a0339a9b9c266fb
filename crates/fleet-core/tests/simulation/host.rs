//! A machine: its service manager, its guard, and what `/run` keeps.

use std::collections::BTreeMap;

use fleet_core::agent::{Job, Local, Memory};
use fleet_core::moment::Moment;

use crate::cast::{HASHES, Life};
use crate::ether::{Clock, Ether, NEVER};
use crate::flaw::Flaw;

#[derive(Debug)]
pub struct Host {
    pub number: usize,
    pub up: bool,
    pub clock: Clock,
    pub units: BTreeMap<usize, Service>,
    pub run: Run,
    /// Until when exclusive units may run.
    pub guard: Moment,
    /// When a program of it is told that a unit changed; never if none did.
    pub news: u64,
}

/// What a reboot forgets and a restart of the programs does not.
#[derive(Debug, Default)]
pub struct Run {
    pub memory: Memory,
    pub lease: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct Service {
    pub content: usize,
    pub phase: Phase,
    /// Entry that it was last started for, as the service manager's log has it.
    pub started_for: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Stopped,
    Failed,
    Queued(u64),
    Starting(u64),
    Running,
    Stopping(u64),
}

impl Service {
    pub fn runs(&self) -> bool {
        !matches!(self.phase, Phase::Stopped | Phase::Failed)
    }

    pub fn state(&self) -> (&'static str, &'static str, Job) {
        match self.phase {
            Phase::Stopped => ("inactive", "dead", Job::None),
            Phase::Failed => ("failed", "failed", Job::None),
            Phase::Queued(_) => ("inactive", "dead", Job::Pending),
            Phase::Starting(_) => ("activating", "start", Job::Pending),
            Phase::Running => ("active", "running", Job::None),
            Phase::Stopping(_) => ("deactivating", "stop-sigterm", Job::Pending),
        }
    }

    pub fn local(&self) -> Local {
        let (active, sub, job) = self.state();
        let hash = HASHES[self.content].to_owned();
        Local { hash, load: "loaded".to_owned(), active: active.to_owned(), sub: sub.to_owned(), job }
    }

    fn ends(&self) -> u64 {
        match self.phase {
            Phase::Queued(at) | Phase::Starting(at) | Phase::Stopping(at) => at,
            _ => NEVER,
        }
    }
}

impl Host {
    pub fn new(number: usize, clock: Clock) -> Self {
        let (units, run) = (BTreeMap::new(), Run::default());
        Self { number, up: true, clock, units, run, guard: Moment(0), news: NEVER }
    }

    /// Takes an order to start; a bound unit is refused without its guard.
    pub fn start(&mut self, unit: usize, entry: i64, ether: &mut Ether) -> bool {
        let role = &ether.cast.units[unit];
        if role.is_exclusive() && self.clock.read(ether.now) >= self.guard && !ether.has(Flaw::NoGuard) {
            return false;
        }
        let Some(service) = self.units.get_mut(&unit) else { return false };
        service.started_for = Some(entry);
        if !matches!(service.phase, Phase::Running | Phase::Queued(_) | Phase::Starting(_)) {
            service.phase = Phase::Queued(ether.now + ether.rng.range(0, 200));
        }
        true
    }

    /// Takes an order to stop.
    pub fn stop(&mut self, unit: usize, ether: &mut Ether) {
        let within = 8_000;
        let Some(service) = self.units.get_mut(&unit) else { return };
        service.started_for = None;
        if service.runs() && !matches!(service.phase, Phase::Stopping(_)) {
            service.phase = Phase::Stopping(ether.now + ether.rng.range(10, within));
        }
    }

    /// When the service manager or the guard next does something.
    pub fn due(&self, ether: &Ether) -> u64 {
        let jobs = self.units.values().map(Service::ends).min().unwrap_or(NEVER);
        let guarded = |(unit, service): (&usize, &Service)| {
            ether.cast.units[*unit].is_exclusive()
                && service.runs()
                && !matches!(service.phase, Phase::Stopping(_))
        };
        match self.units.iter().any(guarded) && !ether.has(Flaw::NoGuard) {
            true => jobs.min(self.clock.when(self.guard)),
            false => jobs,
        }
    }

    pub fn act(&mut self, ether: &mut Ether) {
        let mut over: Vec<usize> = Vec::new();
        if self.clock.read(ether.now) >= self.guard && !ether.has(Flaw::NoGuard) {
            over.extend(self.units.keys().filter(|unit| ether.cast.units[**unit].is_exclusive()));
        }
        for unit in over {
            self.stop(unit, ether);
        }
        for (unit, service) in &mut self.units {
            if service.ends() > ether.now {
                continue;
            }
            let life = ether.cast.units[*unit].life;
            service.phase = match (service.phase, life) {
                (Phase::Queued(_), _) => Phase::Starting(ether.now + ether.rng.range(0, 3_000)),
                (Phase::Starting(_), Life::Runs) => Phase::Running,
                (Phase::Starting(_), Life::Fails) => Phase::Failed,
                (Phase::Starting(_), Life::Ends) | (Phase::Stopping(_), _) => Phase::Stopped,
                (phase, _) => phase,
            };
            let (name, phase) = (&ether.cast.units[*unit].name, service.phase);
            ether.say(|| format!("machine {}: {name} is {phase:?}", self.number));
            self.news = self.news.min(ether.now + ether.rng.range(1, 40));
        }
    }
}
