//! An agent's runner as a state machine: one small step at a time, so that anything can happen between two.

mod reading;
mod reports;
mod tasks;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fleet_core::agent::{Elsewhere, Here, Lease, Reading, Task, Wanted, exclusive, plan};
use fleet_core::model::{Hold, Machine};
use fleet_core::moment::Moment;
use fleet_core::name::UnitName;

use crate::ether::{Ether, NEVER, Reply};
use crate::flaw::Flaw;
use crate::host::Host;
use crate::store::{Author, Key, Op, Txn, Value};
use crate::{GRACE, TTL};

#[derive(Debug)]
pub struct Agent {
    number: usize,
    /// When it takes its next step.
    pub ready: u64,
    /// Dies with its next start, after it and before it is written down.
    pub doomed: bool,
    /// Died so.
    pub dead: bool,
    /// Revision that each part was read at.
    read: [Option<i64>; 4],
    marked: bool,
    wanted: Wanted,
    /// When changes that are in the store come here.
    pub wake: u64,
    key: i64,
    until: Moment,
    overdue: bool,
    keep_alive: u64,
    claims_known: bool,
    back: bool,
    tasks: VecDeque<Task>,
    dirty: bool,
    reported: BTreeMap<usize, Value>,
    reports_known: bool,
    elsewhere: BTreeMap<UnitName, Elsewhere>,
    look: u64,
}

impl Agent {
    /// A process that begins.
    pub fn new(number: usize, host: &mut Host, ether: &Ether) -> Self {
        if ether.has(Flaw::Forgetful) {
            host.run.memory = Default::default();
        }
        let machine = Machine {
            id: ether.cast.machines[number].clone(),
            ip: String::new(),
            metadata: ether.cast.metadata[number].clone(),
            hold: Hold::None,
        };
        Self {
            number,
            ready: ether.now,
            doomed: false,
            dead: false,
            read: [None; 4],
            marked: false,
            wanted: Wanted {
                reading: Reading::Partial,
                machine: Some(machine),
                entries: BTreeMap::new(),
                globals: BTreeMap::new(),
            },
            wake: NEVER,
            key: 0,
            until: host.guard,
            overdue: false,
            keep_alive: 0,
            claims_known: false,
            back: false,
            tasks: VecDeque::new(),
            dirty: true,
            reported: BTreeMap::new(),
            reports_known: false,
            elsewhere: BTreeMap::new(),
            look: match host.run.memory.surplus.is_empty() {
                true => NEVER,
                false => ether.now,
            },
        }
    }

    pub fn concerns(&self, key: Key) -> bool {
        reading::follows(self.number, key)
    }

    pub fn step(&mut self, host: &mut Host, ether: &mut Ether) {
        let pause = self.act(host, ether);
        self.ready = match pause {
            Some(pause) => ether.now + pause,
            None => self.timers(host).max(ether.patience(self.number)),
        };
    }

    fn timers(&self, host: &Host) -> u64 {
        let overdue = match self.overdue {
            true => NEVER,
            false => host.clock.when(self.until),
        };
        self.keep_alive.min(self.wake).min(overdue).min(self.look).min(host.news)
    }

    /// Takes the first step that there is to take; returns how long it took, or nothing if there is none.
    fn act(&mut self, host: &mut Host, ether: &mut Ether) -> Option<u64> {
        let short = ether.rng.range(1, 25);
        if host.news <= ether.now {
            host.news = NEVER;
            self.dirty = true;
        }
        if !self.overdue && host.clock.read(ether.now) >= self.until {
            self.overdue = true;
            self.lost(host, ether);
            return Some(short);
        }
        if host.run.lease.is_none() || self.key == 0 || self.keep_alive <= ether.now {
            return Some(self.renew(host, ether).unwrap_or(short));
        }
        if !ether.reaches(self.number) {
            self.disconnect(ether);
            self.keep_alive = self.keep_alive.min(ether.now + ether.rng.range(500, 1_500));
        } else if self.read.iter().any(Option::is_none) || !self.claims_known || !self.reports_known {
            self.catch_up(host, ether);
            return Some(short);
        } else if self.wake <= ether.now {
            self.follow(ether);
            return Some(short);
        } else if self.back {
            self.back = false;
            let here = self.here(host, ether);
            host.run.memory.came_back(&self.wanted, &here, GRACE);
            self.look = ether.now;
            self.dirty = true;
            return Some(short);
        } else if self.look <= ether.now {
            self.look_around(host, ether);
            return Some(short);
        }
        if let Some(task) = self.tasks.pop_front() {
            return Some(self.carry_out(task, host, ether).unwrap_or(short));
        }
        if self.dirty && self.claims_known {
            self.dirty = false;
            self.wanted.reading = self.reading(ether);
            let here = self.here(host, ether);
            self.tasks = plan(&self.wanted, &here, &host.run.memory).into();
            self.tasks
                .iter()
                .for_each(|task| ether.say(|| format!("machine {}: plans {task:?}", self.number)));
            if !self.tasks.is_empty() {
                return Some(short);
            }
        }
        if ether.reaches(self.number) && self.report(host, ether) {
            return Some(short);
        }
        None
    }

    /// The lease is gone or overdue.
    fn lost(&mut self, host: &mut Host, ether: &Ether) {
        ether.say(|| format!("machine {}: lease overdue or gone", self.number));
        if !ether.has(Flaw::OldClaims) {
            host.run.memory.overdue();
            self.claims_known = false;
        }
        self.tasks.clear();
        self.dirty = true;
    }

    fn disconnect(&mut self, ether: &Ether) {
        if self.read.iter().any(Option::is_some) {
            ether.say(|| format!("machine {}: store is away", self.number));
        }
        self.read = [None; 4];
        self.wake = NEVER;
        if ether.has(Flaw::PartialIsWhole) {
            self.wanted.entries.clear();
            self.dirty = true;
        }
    }

    /// Keeps the lease alive or takes another; returns how long it waits for an answer that does not come.
    fn renew(&mut self, host: &mut Host, ether: &mut Ether) -> Option<u64> {
        let sent = host.clock.read(ether.now);
        let (number, ttl) = (self.number, millis(TTL));
        self.keep_alive = ether.now + ttl / 3;
        let lost = ether.now < ether.lossy && ether.rng.percent(20);
        if !ether.reaches(number) || lost {
            self.keep_alive = ether.now + ether.rng.range(1_000, 3_000);
            self.disconnect(ether);
            return None;
        }
        let lease = match host.run.lease {
            Some(lease) if !ether.store.keep_alive(ether.now, lease) => {
                host.run.lease = None;
                self.key = 0;
                self.lost(host, ether);
                self.back = true;
                self.disconnect(ether);
                return None;
            }
            Some(lease) => lease,
            None => ether.store.grant(ether.now, ttl),
        };
        host.run.lease = Some(lease);
        if self.key == 0 {
            let op = Op::PutWithLease(Key::Machine(number), Value::Mark, lease);
            let txn = Txn { compares: vec![], ops: vec![op], author: Author::Other };
            match ether.write(number, txn) {
                Reply::Done(revision) => {
                    self.key = revision;
                    if !ether.has(Flaw::OldReports) {
                        self.reported.clear();
                        self.reports_known = false;
                    }
                }
                _ => {
                    self.keep_alive = ether.now + ether.rng.range(500, 1_500);
                    return None;
                }
            }
        }
        self.until = match ether.has(Flaw::LeaseTooLong) {
            true => sent.after(TTL * 3),
            false => self.until.max(exclusive::until(sent, TTL)),
        };
        host.guard = host.guard.max(self.until);
        if self.overdue {
            self.overdue = false;
            self.dirty = true;
        }
        None
    }

    fn here(&self, host: &Host, ether: &Ether) -> Here {
        let name = |unit: &usize| ether.cast.units[*unit].name.clone();
        let lease = match host.clock.read(ether.now) < self.until {
            true => Lease::Alive,
            false if ether.has(Flaw::NoGuard) || ether.has(Flaw::LeaseTooLong) => Lease::Alive,
            false => Lease::Overdue,
        };
        let now = match ether.has(Flaw::SurplusForever) {
            true => Moment(0),
            false => host.clock.read(ether.now),
        };
        Here {
            now,
            lease,
            units: host.units.iter().map(|(unit, service)| (name(unit), service.local())).collect(),
            elsewhere: self.elsewhere.clone(),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}
