//! An agent's runner as a state machine: one small step at a time, so that anything can happen between two.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fleet_core::agent::{
    Elsewhere, Here, KnownWish, Lease, Reading, Task, Wanted, Wish, exclusive, plan, reports,
};
use fleet_core::model::{Hold, Machine, Report, State};
use fleet_core::moment::Moment;
use fleet_core::name::UnitName;

use crate::cast::HASHES;
use crate::ether::{Ether, NEVER, Reply};
use crate::flaw::Flaw;
use crate::host::{Host, Phase, Service};
use crate::store::{Author, Compare, Event, Key, Kv, Op, Txn, Value};
use crate::{GRACE, TTL};

/// Parts of the registry that are read and followed each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Entries,
    Globals,
    Hold,
    Marker,
}

const PARTS: [Part; 4] = [Part::Entries, Part::Globals, Part::Hold, Part::Marker];

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
        part_of(self.number, key).is_some()
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

    /// Reads what is not known: claims, one's own reports, one part.
    fn catch_up(&mut self, host: &mut Host, ether: &Ether) {
        let store = &ether.store;
        let units = 0..ether.cast.units.len();
        if !self.claims_known {
            let mine = units
                .filter(|unit| ether.value(Key::Claim(*unit)) == Some(Value::Claim(self.number)))
                .map(|unit| ether.cast.units[unit].name.clone());
            host.run.memory.claims_read(mine);
            self.claims_known = true;
            self.dirty = true;
        } else if !self.reports_known {
            let mine = units.filter_map(|unit| Some((unit, ether.value(Key::State(self.number, unit))?)));
            self.reported = match ether.has(Flaw::OldReports) {
                true => std::mem::take(&mut self.reported),
                // Those under another lease end with that, so they are put again.
                false => mine
                    .filter(|(unit, _)| {
                        let kv = store.get(Key::State(self.number, *unit));
                        kv.is_some_and(|kv| Some(kv.lease) == host.run.lease)
                    })
                    .collect(),
            };
            self.reports_known = true;
        } else if let Some(n) = self.read.iter().position(Option::is_none) {
            match PARTS[n] {
                Part::Entries => self.wanted.entries.clear(),
                Part::Globals => self.wanted.globals.clear(),
                Part::Hold => self.set_hold(None),
                Part::Marker => self.marked = false,
            }
            self.read[n] = Some(store.revision);
            for (key, kv) in &store.kvs {
                if part_of(self.number, *key) == Some(PARTS[n]) {
                    self.take(*key, Some(kv), ether);
                }
            }
            self.dirty = true;
        }
    }

    /// Takes in changes: of all parts or of one, and perhaps not all there are yet.
    fn follow(&mut self, ether: &mut Ether) {
        let now = ether.store.revision;
        let only = ether.rng.percent(20).then(|| ether.rng.index(PARTS.len()));
        self.wake = NEVER;
        for (n, part) in PARTS.into_iter().enumerate() {
            let Some(revision) = self.read[n] else { continue };
            if only.is_some_and(|only| only != n) {
                self.wake = ether.now + ether.rng.range(1, 800);
                continue;
            }
            let Some(events) = ether.store.after(revision) else {
                ether.say(|| format!("machine {}: compacted", self.number));
                self.read[n] = None;
                continue;
            };
            let events: Vec<Event> = events
                .iter()
                .filter(|event| part_of(self.number, event.key) == Some(part))
                .copied()
                .collect();
            self.read[n] = Some(now);
            for event in events {
                self.take(event.key, event.kv.as_ref(), ether);
                self.dirty = true;
            }
        }
        // What was planned may be wrong by now.
        self.tasks.clear();
        self.dirty = true;
    }

    fn take(&mut self, key: Key, kv: Option<&Kv>, ether: &Ether) {
        let wish = |unit: usize, kv: &Kv| {
            let (content, desired, finished) = match kv.value {
                Value::Place { content, desired, finished } => (content, desired, finished),
                Value::Wish { content, desired } => (content, desired, false),
                _ => return Wish::Frozen,
            };
            Wish::Known(KnownWish {
                modification: kv.modification,
                hash: HASHES[content].to_owned(),
                desired,
                finished,
                requirements: ether.cast.units[unit].contents[content].clone(),
            })
        };
        match key {
            Key::Entry(_, unit) | Key::Global(unit) => {
                let name = ether.cast.units[unit].name.clone();
                let part = match key {
                    Key::Global(_) => &mut self.wanted.globals,
                    _ => &mut self.wanted.entries,
                };
                match kv {
                    Some(kv) => part.insert(name, wish(unit, kv)),
                    None => part.remove(&name),
                };
            }
            Key::Hold(_) => self.set_hold(kv.map(|kv| kv.value)),
            Key::Marker => self.marked = kv.is_some(),
            _ => {}
        }
    }

    fn set_hold(&mut self, value: Option<Value>) {
        if let Some(machine) = &mut self.wanted.machine {
            machine.hold = match value {
                Some(Value::Hold(hold)) => hold,
                _ => Hold::None,
            };
        }
    }

    fn reading(&self, ether: &Ether) -> Reading {
        match (self.read.iter().all(Option::is_some), self.marked) {
            _ if ether.has(Flaw::PartialIsWhole) => Reading::Whole,
            (false, _) => Reading::Partial,
            (true, false) if !ether.has(Flaw::MarkerIgnored) => Reading::Unmarked,
            (true, _) => Reading::Whole,
        }
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

    /// Looks up where surplus units are.
    fn look_around(&mut self, host: &Host, ether: &Ether) {
        self.elsewhere.clear();
        self.look = NEVER;
        for name in host.run.memory.surplus.keys() {
            let unit = ether.cast.unit(name);
            let mut machines = 0..ether.cast.machines.len();
            let place = machines.find(|machine| ether.value(Key::Entry(*machine, unit)).is_some());
            let report = place.and_then(|machine| report_of(ether.value(Key::State(machine, unit))?));
            let found = match ether.has(Flaw::SurplusForever) {
                true => Elsewhere::Coming,
                false => Elsewhere::of(place.map(|_| report.as_ref())),
            };
            self.elsewhere.insert(name.clone(), found);
            self.look = ether.now + 1_000;
        }
        self.dirty = true;
    }

    /// Does one task; returns how long to wait before the next step.
    fn carry_out(&mut self, task: Task, host: &mut Host, ether: &mut Ether) -> Option<u64> {
        ether.say(|| format!("machine {}: does {task:?}", self.number));
        let unit = task.unit().map(|name| ether.cast.unit(name));
        if !ether.has(Flaw::BeginNotNoted) {
            host.run.memory.begin(&task);
        }
        let done = match (&task, unit) {
            (Task::Unload(_), Some(unit)) => {
                self.check_stop(unit, host, ether);
                host.stop(unit, ether);
                if host.units.get(&unit).is_some_and(Service::runs) {
                    // Meanwhile the others are stopped too.
                    let unloads = self.tasks.iter().take_while(|task| matches!(task, Task::Unload(_)));
                    let behind = unloads.count();
                    self.tasks.insert(behind, task);
                    return Some(100);
                }
                host.units.remove(&unit);
                true
            }
            (Task::Load(name), Some(unit)) => self.load(name, unit, host),
            (Task::Stop(_), Some(unit)) => {
                self.check_stop(unit, host, ether);
                host.stop(unit, ether);
                true
            }
            (Task::Release(_), Some(unit)) => {
                let key = Key::Claim(unit);
                let mine = ether.value(key) == Some(Value::Claim(self.number));
                let compares = vec![ether.unchanged(key)];
                match mine && !ether.has(Flaw::ClaimKept) {
                    true => self.claim_written(compares, Op::Delete(key), ether),
                    false => true,
                }
            }
            (Task::Claim { modification, .. }, Some(unit)) => self.claim(unit, *modification, host, ether),
            (Task::Start { started, .. }, Some(unit)) => {
                self.check_start(unit, started.modification, host, ether);
                let taken = host.start(unit, started.modification, ether);
                // Dead before it could write down that it started the unit: the next process starts it again.
                if self.doomed
                    && let Some(service) = host.units.get_mut(&unit)
                {
                    service.started_for = None;
                    self.dead = true;
                }
                taken && !self.doomed
            }
            (Task::Reload, _) | (_, None) => true,
        };
        self.dirty |= !matches!(task, Task::Reload);
        match done {
            true => host.run.memory.done(&task),
            false => self.tasks.retain(|later| later.unit() != task.unit()),
        }
        // What the store refuses is tried again after a while, not at once.
        (!done).then(|| ether.rng.range(200, 1_000))
    }

    fn load(&self, name: &UnitName, unit: usize, host: &mut Host) -> bool {
        let wish = self.wanted.entries.get(name).or_else(|| self.wanted.globals.get(name));
        let Some(Wish::Known(wish)) = wish else { return false };
        let content = HASHES.iter().position(|hash| *hash == wish.hash).unwrap();
        host.units.insert(unit, Service { content, phase: Phase::Stopped, started_for: None });
        true
    }

    fn claim(&mut self, unit: usize, modification: i64, host: &Host, ether: &mut Ether) -> bool {
        if ether.has(Flaw::NoClaim) {
            return true;
        }
        let key = Key::Claim(unit);
        let free = match ether.value(key) {
            None => true,
            Some(Value::Claim(machine)) => machine == self.number || ether.has(Flaw::BlindClaim),
            Some(_) => false,
        };
        let compares = match ether.has(Flaw::BlindClaim) {
            true => vec![],
            false => {
                vec![ether.unchanged(key), Compare::Modification(Key::Entry(self.number, unit), modification)]
            }
        };
        let own = host.run.lease.is_some();
        own && free && self.claim_written(compares, Op::Put(key, Value::Claim(self.number)), ether)
    }

    fn claim_written(&mut self, compares: Vec<Compare>, op: Op, ether: &mut Ether) -> bool {
        match self.write(compares, op, ether) {
            Reply::Done(_) => true,
            Reply::Refused | Reply::LeaseGone => false,
            Reply::Unknown => {
                self.claims_known = false;
                false
            }
        }
    }

    /// Writes with its own key compared. That key is put anew when the outcome is not known, which keeps out what may
    /// still be on its way, or when it is not as it was put last.
    fn write(&mut self, mut compares: Vec<Compare>, op: Op, ether: &mut Ether) -> Reply {
        if !ether.has(Flaw::NoOwnFence) {
            compares.push(Compare::Modification(Key::Machine(self.number), self.key));
        }
        let reply = ether.write(self.number, Txn { compares, ops: vec![op], author: Author::Other });
        let same = ether.store.modification(Key::Machine(self.number)) == self.key;
        match reply {
            Reply::Unknown => self.key = 0,
            Reply::Refused if !same => self.key = 0,
            _ => {}
        }
        reply
    }

    /// Puts one report that is not as it should be; false if all are.
    fn report(&mut self, host: &Host, ether: &mut Ether) -> bool {
        let Some(lease) = host.run.lease.filter(|_| self.key != 0 && self.reports_known) else {
            return false;
        };
        let here = self.here(host, ether);
        let all = reports(&self.wanted, &here, &host.run.memory);
        let mut wanted: BTreeMap<usize, Value> = BTreeMap::new();
        for (name, found) in &all {
            let unit = ether.cast.unit(name);
            let service = &host.units[&unit];
            let (active, sub, _) = service.state();
            let (started, entry) = (found.report.started, found.entry);
            wanted.insert(unit, Value::Report { content: service.content, active, sub, started, entry });
        }
        let gone = self.reported.keys().find(|unit| !wanted.contains_key(unit)).copied();
        let changed = wanted.iter().find(|(unit, value)| self.reported.get(unit) != Some(*value));
        let (unit, op) = match (gone, changed) {
            (Some(unit), _) => (unit, Op::Delete(Key::State(self.number, unit))),
            (None, Some((unit, value))) => {
                (*unit, Op::PutWithLease(Key::State(self.number, *unit), *value, lease))
            }
            (None, None) => return false,
        };
        match (self.write(vec![], op, ether), op) {
            (Reply::Done(_), Op::PutWithLease(_, value, _)) => {
                self.reported.insert(unit, value);
            }
            (Reply::Done(_), _) => {
                self.reported.remove(&unit);
            }
            (Reply::LeaseGone, _) => self.keep_alive = ether.now,
            (Reply::Unknown | Reply::Refused, _) => self.reports_known = false,
        }
        true
    }

    /// A unit is stopped only if the registry does not want it here, or did not until a moment ago.
    fn check_stop(&self, unit: usize, host: &Host, ether: &mut Ether) {
        let role = &ether.cast.units[unit];
        let Some(service) = host.units.get(&unit) else { return };
        if role.is_exclusive() || role.is_global() || !service.runs() {
            return;
        }
        let settled = |at: u64| ether.now > at + 15_000;
        let Some(kv) = ether.store.get(Key::Entry(self.number, unit)) else {
            if ether.wiped.is_some_and(settled) {
                let name = role.name.clone();
                ether.breaks(|| format!("{name} is stopped because the registry is empty"));
            }
            return;
        };
        if let Value::Place { content, desired, .. } = kv.value
            && (content, desired) == (service.content, State::Launched)
            && settled(kv.at)
        {
            let (name, at) = (role.name.clone(), kv.at);
            let number = self.number;
            ether.breaks(|| format!("{name} is stopped on {number}, which was to run it since {at}"));
        }
    }

    /// A plain unit is started once for an entry, unless the process died just then, and never when it has finished.
    fn check_start(&self, unit: usize, entry: i64, host: &Host, ether: &mut Ether) {
        let Some(service) = host.units.get(&unit) else { return };
        let role = &ether.cast.units[unit];
        let again = service.started_for == Some(entry) && !role.is_exclusive() && !service.runs();
        if again {
            let name = role.name.clone();
            ether.breaks(|| format!("{name} is started again for entry {entry}"));
        }
    }
}

fn part_of(machine: usize, key: Key) -> Option<Part> {
    match key {
        Key::Entry(at, _) if at == machine => Some(Part::Entries),
        Key::Global(_) => Some(Part::Globals),
        Key::Hold(at) if at == machine => Some(Part::Hold),
        Key::Marker => Some(Part::Marker),
        _ => None,
    }
}

fn report_of(value: Value) -> Option<Report> {
    let Value::Report { content, active, sub, started, .. } = value else { return None };
    let hash = HASHES[content].to_owned();
    Some(Report { hash, load: "loaded".to_owned(), active: active.to_owned(), sub: sub.to_owned(), started })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}
