//! The world of one history: its clock, its machines, and who moves next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use locksmith_core::order::{Hold, Reading};
use locksmith_core::semaphore::Semaphore;
use slots::Version;

use crate::flaw::Flaw;
use crate::machine::{Cause, Daemon, Down, Machine, NEVER};
use crate::random::Rng;
use crate::store::Store;

/// How long incidents happen, and how long nothing happens after them, in seconds.
const TROUBLE: u64 = 30 * 3600;
const PEACE: u64 = 84 * 3600;

#[derive(Debug)]
pub struct World {
    pub now: u64,
    pub rng: Rng,
    pub flaw: Option<Flaw>,
    loud: bool,
    pub machines: Vec<Machine>,
    pub store: Store,
    /// So many of the first machines are members of etcd; none if etcd is elsewhere.
    pub voters: usize,
    pub has_fleet: bool,
    pub break_stale: Option<Duration>,
    pub peace: bool,
    /// Versions that were made, and whether they are good.
    pub versions: BTreeMap<Version, bool>,
    /// Versions with which a machine failed that has given back its slot since, and when.
    pub failed: BTreeMap<Version, u64>,
    /// When versions stopped to be good in the group.
    pub doubted: BTreeMap<Version, u64>,
    pub next_incident: u64,
    pub offers: BTreeMap<(u64, usize), Version>,
    pub old_readings: BTreeMap<usize, Reading>,
    broken: Option<String>,
}

pub fn version(n: usize) -> Version {
    format!("{n}.0.0").parse().unwrap()
}

impl World {
    pub fn new(seed: u64, flaw: Option<Flaw>, loud: bool) -> Self {
        let mut rng = Rng::new(seed);
        let count = 3 + rng.index(4);
        let voters = [0, 3, 3, 5, 1][rng.index(5)].min(count);
        // An even number would be a cluster that nobody makes.
        let voters = if voters == 4 { 3 } else { voters };
        let machines = (0..count).map(|n| machine(n, voters, &mut rng)).collect();
        let value = Semaphore::default().set_max(1 + u32::try_from(rng.index(3)).unwrap());
        let break_stale = (rng.percent(50) || flaw == Some(Flaw::FleetIgnored))
            .then(|| Duration::from_secs(60 * rng.range(30, 300)));
        Self {
            now: 0,
            flaw,
            loud,
            machines,
            store: Store { value, revision: 1 },
            voters,
            has_fleet: rng.percent(70),
            break_stale,
            peace: false,
            versions: BTreeMap::from([(version(1), true)]),
            failed: BTreeMap::new(),
            doubted: BTreeMap::new(),
            next_incident: 600,
            offers: BTreeMap::new(),
            old_readings: BTreeMap::new(),
            broken: None,
            rng,
        }
    }

    /// Plays the history; returns the rule that it broke.
    pub fn run(mut self) -> Option<String> {
        while self.broken.is_none() && self.now < TROUBLE + PEACE {
            if TROUBLE <= self.now && !self.peace {
                self.make_peace();
            }
            let next = self.next_event();
            if next == NEVER || self.is_at_rest() {
                break;
            }
            self.now = self.now.max(next);
            self.happens();
        }
        if self.broken.is_none() {
            self.check_end();
        }
        let now = self.now;
        self.broken.map(|broken| format!("at {now} s: {broken}"))
    }

    /// Whether nothing is left to happen.
    fn is_at_rest(&self) -> bool {
        let rests = |machine: &Machine| {
            machine.dead
                || (machine.is_up()
                    && machine.waiting.is_none()
                    && !machine.operator
                    && machine.falls_back.is_none()
                    && machine.hold == Hold::None
                    && !self.store.value.holds(&machine.id))
        };
        TROUBLE + 7_200 < self.now && self.offers.is_empty() && self.machines.iter().all(rests)
    }

    fn next_event(&self) -> u64 {
        let of_machines = self.machines.iter().map(|machine| match machine.down {
            _ if machine.dead => NEVER,
            Some(down) => down.until,
            None => {
                let falls_back = machine.falls_back.as_ref().map_or(NEVER, |(at, _)| *at);
                machine.daemon.ready.min(falls_back)
            }
        });
        let offer = self.offers.keys().next().map_or(NEVER, |(at, _)| *at);
        let incident = if self.peace { NEVER } else { self.next_incident };
        of_machines.min().unwrap_or(NEVER).min(offer).min(incident)
    }

    fn happens(&mut self) {
        let now = self.now;
        if !self.peace && self.next_incident <= now {
            self.incident();
        }
        while let Some((&(at, n), _)) = self.offers.first_key_value().filter(|((at, _), _)| *at <= now) {
            let version = self.offers.remove(&(at, n)).unwrap();
            if self.machines[n].is_up() {
                self.machines[n].offer(&version);
                self.wake(n);
            } else if !self.machines[n].dead {
                self.offers.insert((now + 300, n), version);
            }
        }
        for n in 0..self.machines.len() {
            let machine = &self.machines[n];
            if machine.dead {
                continue;
            }
            if machine.down.is_some_and(|down| down.until <= now) {
                self.comes_up(n);
            } else if machine.is_up() && machine.falls_back.as_ref().is_some_and(|(at, _)| *at <= now) {
                self.falls_back(n);
            } else if machine.is_up() && machine.daemon.ready <= now {
                self.daemon(n);
            }
        }
    }

    /// The daemon looks at its machine each five seconds; here it looks when there is something to see.
    pub fn wake(&mut self, n: usize) {
        let soon = self.now + self.rng.range(0, 5);
        let daemon = &mut self.machines[n].daemon;
        daemon.ready = daemon.ready.min(soon);
    }

    pub fn goes_down(&mut self, n: usize, by: Cause) {
        let until = self.now + self.rng.range(30, 400);
        let never = !self.peace && self.rng.percent(2) && self.machines.iter().all(|machine| !machine.dead);
        self.say(|| format!("m{n} goes down{}", if never { " for ever" } else { "" }));
        let now = self.now;
        let machine = &mut self.machines[n];
        machine.dead = never;
        machine.down = Some(Down { since: now, until, by });
        machine.operator = false;
        machine.terminals = 0;
    }

    fn comes_up(&mut self, n: usize) {
        let now = self.now;
        let (blessed, member, begin) =
            (self.rng.range(20, 200), self.rng.range(5, 300), self.rng.range(1, 20));
        let machine = &mut self.machines[n];
        machine.down = None;
        machine.boot += 1;
        machine.booted = now;
        (machine.notified, machine.blessed_at) = (None, now + blessed);
        if let Some(at) = &mut machine.member_at {
            *at = now + member;
        }
        let mut falls_back = None;
        if let Some(version) = machine.waiting.take() {
            let before = std::mem::replace(&mut machine.running, version.clone());
            if !self.versions[&version] {
                falls_back = Some((now + 100, before));
                machine.blessed_at = NEVER;
            }
        }
        machine.falls_back = falls_back;
        machine.daemon = Daemon { ready: now + begin, ..Daemon::default() };
        let (boot, running) = (machine.boot, machine.running.clone());
        self.say(|| format!("m{n} is up with {running}, boot {boot}"));
    }

    /// A bad version was tried, and the loader takes the one before.
    fn falls_back(&mut self, n: usize) {
        let now = self.now;
        self.say(|| format!("m{n} falls back"));
        let machine = &mut self.machines[n];
        let (_, before) = machine.falls_back.take().unwrap();
        let bad = std::mem::replace(&mut machine.running, before);
        machine.failed(bad, "health-failed", now);
        let by = machine.down.map_or(Cause::Locksmith, |down| down.by);
        machine.down = Some(Down { since: now, until: now + 60, by });
    }

    fn make_peace(&mut self) {
        self.peace = true;
        for n in 0..self.machines.len() {
            self.machines[n].cut_off_until = 0;
            self.machines[n].terminals = 0;
            self.wake(n);
        }
    }

    pub fn store_is_up(&self) -> bool {
        let healthy = (0..self.voters).filter(|n| self.is_seen_healthy(*n)).count();
        self.voters == 0 || self.voters / 2 < healthy
    }

    pub fn is_seen_healthy(&self, n: usize) -> bool {
        self.machines[n].is_healthy(self.now) && self.machines[n].cut_off_until <= self.now
    }

    pub fn reaches(&self, n: usize) -> bool {
        self.store_is_up() && self.machines[n].cut_off_until <= self.now
    }

    pub fn is_in_fleet(&self, n: usize) -> bool {
        let machine = &self.machines[n];
        machine.is_up() && machine.booted + 20 <= self.now && machine.cut_off_until <= self.now
    }

    /// Machines that fleet sees.
    pub fn fleet_machines(&self) -> BTreeSet<String> {
        let seen = (0..self.machines.len()).filter(|n| self.is_in_fleet(*n));
        seen.map(|n| self.machines[n].id.clone()).collect()
    }

    pub fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.loud {
            println!("{:>7} {}", self.now, text());
        }
    }

    pub fn breaks(&mut self, text: impl FnOnce() -> String) {
        if self.broken.is_none() {
            let text = text();
            self.say(|| text.clone());
            self.broken = Some(text);
        }
    }
}

fn machine(n: usize, voters: usize, rng: &mut Rng) -> Machine {
    let window = rng.percent(40).then(|| (60 * rng.range(0, 1439), 60 * rng.range(90, 600)));
    Machine {
        id: format!("m{n}"),
        dead: false,
        down: None,
        boot: 1,
        booted: 0,
        ahead: i64::try_from(rng.range(0, 20)).unwrap() - 10,
        cut_off_until: 0,
        window,
        terminals: 0,
        logged_in: 0,
        notified: None,
        operator: false,
        running: version(1),
        blessed_at: 0,
        falls_back: None,
        waiting: None,
        failures: vec![],
        member_at: (n < voters).then_some(0),
        hold: Hold::None,
        units: rng.index(4),
        drained_at: 0,
        trial: None,
        away: false,
        daemon: Daemon { ready: rng.range(1, 30), ..Daemon::default() },
    }
}
