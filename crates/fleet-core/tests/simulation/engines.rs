//! An engine's runner as a state machine: one small step at a time, so that anything can happen between two.

use std::collections::VecDeque;
use std::time::Duration;

use fleet_core::engine::{
    Action, Claim, Decision, Entry, Known, Place, Reported, Seen, Settings, Snapshot, Unit, pass,
};
use fleet_core::model::{Hold, Machine, Report};
use fleet_core::moment::Moment;

use crate::cast::{HASHES, Life};
use crate::checks;
use crate::ether::{Clock, Ether, NEVER, Reply};
use crate::flaw::Flaw;
use crate::store::{Author, Compare, Event, Key, Op, Txn, Value};
use crate::{ENGINE_TTL, settings};

/// How long the store may give no answer before that counts as its being away: more than between two keep-alives.
const SILENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Engine {
    pub number: usize,
    pub ready: u64,
    pub wake: u64,
    clock: Clock,
    term: Option<Term>,
    retry: u64,
    /// Snapshot of the term before, for those that do not begin anew.
    old: Option<Snapshot>,
}

#[derive(Debug)]
struct Term {
    create: i64,
    lease: u64,
    keep_alive: u64,
    /// None until everything was read.
    view: Option<View>,
    last_write: i64,
    pending: VecDeque<Decision>,
    dirty: bool,
    due: u64,
    /// When the store last answered.
    heard: Moment,
}

#[derive(Debug)]
struct View {
    snapshot: Snapshot,
    revision: i64,
    holds: Vec<Option<Value>>,
}

impl Engine {
    pub fn new(number: usize, clock: Clock, now: u64) -> Self {
        Self { number, ready: now, wake: NEVER, clock, term: None, retry: now, old: None }
    }

    pub fn follows(&self) -> bool {
        self.term.as_ref().is_some_and(|term| term.view.is_some())
    }

    pub fn step(&mut self, ether: &mut Ether) {
        let pause = ether.rng.range(1, 25);
        let acted = self.act(ether);
        let timer = match &self.term {
            None => self.retry,
            Some(term) => term.keep_alive.min(term.due).min(self.wake),
        };
        self.ready = match acted {
            Acted::Yes => ether.now + pause,
            Acted::No => timer.max(ether.patience(self.number)),
        };
    }

    fn act(&mut self, ether: &mut Ether) -> Acted {
        let Some(term) = &mut self.term else { return self.begin(ether) };
        let reaches = ether.reaches(self.number);
        let now = self.clock.read(ether.now);
        if !ether.has(Flaw::GraceWhileAway)
            && let Some(View { snapshot: Snapshot { losses, .. }, .. }) = &mut term.view
        {
            // A process that was stopped for a while does not know what it missed.
            if !reaches || now.since(term.heard) > SILENCE {
                losses.away(term.heard);
            }
            if reaches {
                losses.back(now);
            }
        }
        if reaches {
            term.heard = now;
        }
        if term.keep_alive <= ether.now {
            let lost = ether.now < ether.lossy && ether.rng.percent(20);
            if !reaches || lost {
                term.keep_alive = ether.now + ether.rng.range(500, 1_000);
                return Acted::Yes;
            }
            term.keep_alive = ether.now + ENGINE_TTL / 3;
            if !ether.store.keep_alive(ether.now, term.lease) {
                self.end(ether);
                return Acted::Yes;
            }
        }
        if let Some(decision) = term.pending.pop_front() {
            self.write(decision, ether);
            return Acted::Yes;
        }
        if !reaches {
            return Acted::No;
        }
        let Some(view) = &mut term.view else {
            term.view = Some(View::read(ether, self.old.take()));
            term.dirty = true;
            return Acted::Yes;
        };
        if self.wake <= ether.now {
            self.wake = NEVER;
            let at = view.revision;
            let Some(events) = ether.store.after(at) else {
                // Compacted: all is read again, but the losses are the term's.
                let losses = view.snapshot.losses.clone();
                let mut anew = View::read(ether, None);
                anew.snapshot.losses = losses;
                term.view = Some(anew);
                term.dirty = true;
                return Acted::Yes;
            };
            let events = events.to_vec();
            let upto = match ether.rng.percent(20) {
                true => at + 1,
                false => ether.store.revision,
            };
            for event in events.iter().filter(|event| event.revision <= upto) {
                view.take(event, ether);
            }
            view.revision = upto;
            if upto < ether.store.revision {
                self.wake = ether.now + ether.rng.range(1, 800);
            }
            term.dirty = true;
            return Acted::Yes;
        }
        let behind = view.revision < term.last_write && !ether.has(Flaw::PassBehind);
        if (term.dirty || term.due <= ether.now) && !behind {
            term.dirty = false;
            let now = self.clock.read(ether.now);
            view.snapshot.observe(now);
            let decisions = pass(&view.snapshot, now);
            let due = view.snapshot.due(now).map_or(NEVER, |wait| self.clock.when(now.after(wait)) + 1);
            term.due = due.min(ether.now + 30_000);
            if ether.flaw.is_none() {
                checks::decisions(&view.snapshot, &decisions, ether);
            }
            for decision in &decisions {
                ether.say(|| {
                    format!("engine {}: decides {:?}: {}", self.number, decision.action, decision.reason)
                });
            }
            term.pending = decisions.into();
            if !term.pending.is_empty() {
                return Acted::Yes;
            }
        }
        Acted::No
    }

    fn begin(&mut self, ether: &mut Ether) -> Acted {
        if ether.now < self.retry {
            return Acted::No;
        }
        self.retry = ether.now + ether.rng.range(1_000, 3_000);
        if !ether.reaches(self.number) || ether.value(Key::Engine).is_some() {
            return Acted::No;
        }
        let lease = ether.store.grant(ether.now, ENGINE_TTL);
        let compares = vec![Compare::Create(Key::Engine, 0)];
        let ops = vec![Op::PutWithLease(Key::Engine, Value::Mark, lease)];
        let reply = ether.write(self.number, Txn { compares, ops, author: Author::Other });
        if let Reply::Done(create) = reply {
            ether.say(|| format!("engine {}: term {create}", self.number));
            self.term = Some(Term {
                create,
                lease,
                keep_alive: ether.now + ENGINE_TTL / 3,
                view: None,
                last_write: 0,
                pending: VecDeque::new(),
                dirty: true,
                due: NEVER,
                heard: self.clock.read(ether.now),
            });
        }
        Acted::Yes
    }

    fn end(&mut self, ether: &mut Ether) {
        ether.say(|| format!("engine {}: term ends", self.number));
        self.retry = ether.now + ether.rng.range(100, 2_000);
        self.wake = NEVER;
        let Some(term) = self.term.take() else { return };
        if ether.has(Flaw::OldSnapshot) {
            self.old = term.view.map(|view| view.snapshot);
        }
        // The next term may begin without waiting for the end of this one's lease.
        if ether.reaches(self.number) && ether.rng.percent(50) {
            ether.store.revoke(term.lease);
        }
    }

    fn write(&mut self, decision: Decision, ether: &mut Ether) {
        let Some(term) = &mut self.term else { return };
        let txn = transaction(&decision, term.create, ether);
        match ether.write(self.number, txn) {
            Reply::Done(revision) => {
                checks::written(&decision, ether);
                term.last_write = revision;
            }
            Reply::Refused | Reply::LeaseGone => {
                let ours = ether.store.get(Key::Engine).is_some_and(|kv| kv.create == term.create);
                term.pending.clear();
                if !ours && !ether.has(Flaw::NoFence) {
                    self.end(ether);
                }
            }
            Reply::Unknown if ether.has(Flaw::UnknownIgnored) => {
                term.pending.clear();
                term.dirty = true;
            }
            Reply::Unknown => self.end(ether),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acted {
    Yes,
    No,
}

/// Makes a decision a transaction, with all that it compares.
fn transaction(decision: &Decision, term: i64, ether: &Ether) -> Txn {
    let unit_of = |name| ether.cast.unit(name);
    let machine_of = |id| ether.cast.machine(id);
    let modification = Compare::Modification;
    let mut compares = match ether.has(Flaw::NoFence) {
        true => vec![],
        false => vec![Compare::Create(Key::Engine, term)],
    };
    let place = |unit: usize, finished: bool| match ether.value(Key::Unit(unit)) {
        Some(Value::Wish { content, desired }) => Value::Place { content, desired, finished },
        _ => Value::Garbage,
    };
    let ops = match &decision.action {
        Action::Place { unit, wanted, machine, unclaimed } => {
            let (unit, machine) = (unit_of(unit), machine_of(machine));
            compares.push(modification(Key::Unit(unit), *wanted));
            compares.push(modification(Key::Entry(machine, unit), 0));
            if *unclaimed {
                compares.push(modification(Key::Claim(unit), 0));
            }
            vec![Op::Put(Key::Entry(machine, unit), place(unit, false))]
        }
        Action::Move { unit, wanted, from, entry, to, finished } => {
            let (unit, from, to) = (unit_of(unit), machine_of(from), machine_of(to));
            compares.push(modification(Key::Unit(unit), *wanted));
            compares.push(modification(Key::Entry(from, unit), *entry));
            compares.push(modification(Key::Entry(to, unit), 0));
            vec![Op::Delete(Key::Entry(from, unit)), Op::Put(Key::Entry(to, unit), place(unit, *finished))]
        }
        Action::Change { unit, wanted, machine, entry, finished } => {
            let key = Key::Entry(machine_of(machine), unit_of(unit));
            compares.push(modification(Key::Unit(unit_of(unit)), *wanted));
            compares.push(modification(key, *entry));
            vec![Op::Put(key, place(unit_of(unit), *finished))]
        }
        Action::Remove { unit, wanted, machine, entry } => {
            let key = Key::Entry(machine_of(machine), unit_of(unit));
            compares.push(modification(Key::Unit(unit_of(unit)), wanted.unwrap_or(0)));
            compares.push(modification(key, *entry));
            vec![Op::Delete(key)]
        }
        Action::Release { unit, machine, claim } => {
            if !ether.has(Flaw::BlindRelease) {
                compares.push(Compare::Create(Key::Machine(machine_of(machine)), 0));
            }
            compares.push(modification(Key::Claim(unit_of(unit)), *claim));
            vec![Op::Delete(Key::Claim(unit_of(unit)))]
        }
        Action::Rebalanced => vec![Op::Delete(Key::Rebalance)],
    };
    Txn { compares, ops, author: Author::Engine(term) }
}

impl View {
    /// Reads everything.
    fn read(ether: &Ether, old: Option<Snapshot>) -> Self {
        let begun = old.is_some();
        let snapshot = old.unwrap_or_else(|| Snapshot { settings: flawed(ether), ..Snapshot::default() });
        let holds = vec![None; ether.cast.machines.len()];
        let mut view = Self { snapshot, revision: ether.store.revision, holds };
        if !begun {
            for (key, kv) in &ether.store.kvs {
                view.take(&Event { revision: kv.modification, key: *key, kv: Some(*kv) }, ether);
            }
        }
        view
    }

    fn take(&mut self, event: &Event, ether: &Ether) {
        let snapshot = &mut self.snapshot;
        let unit = |unit: usize| ether.cast.units[unit].name.clone();
        let id = |machine: usize| ether.cast.machines[machine].clone();
        let modification = event.kv.map_or(0, |kv| kv.modification);
        let value = event.kv.map(|kv| kv.value);
        match (event.key, value) {
            (Key::Unit(n) | Key::Global(n), value) => {
                let units = match event.key {
                    Key::Unit(_) => &mut snapshot.units,
                    _ => &mut snapshot.globals,
                };
                match value {
                    Some(Value::Wish { content, desired }) => {
                        let role = &ether.cast.units[n];
                        let known = Known {
                            modification,
                            hash: HASHES[content].to_owned(),
                            desired,
                            requirements: role.contents[content].clone(),
                            oneshot: role.life == Life::Ends,
                        };
                        units.insert(unit(n), Unit::Known(known));
                    }
                    Some(_) => {
                        units.insert(unit(n), Unit::Frozen);
                    }
                    None => {
                        units.remove(&unit(n));
                    }
                }
            }
            (Key::Entry(machine, n), Some(value)) => {
                let entry = match value {
                    Value::Place { content, desired, finished } => Entry::Known(Place {
                        modification,
                        hash: HASHES[content].to_owned(),
                        desired,
                        finished,
                        reason: String::new(),
                    }),
                    _ => Entry::Frozen,
                };
                snapshot.entries.entry(unit(n)).or_default().insert(id(machine), entry);
            }
            (Key::Entry(machine, n), None) => {
                let name = unit(n);
                if let Some(entries) = snapshot.entries.get_mut(&name) {
                    entries.remove(&ether.cast.machines[machine]);
                    if entries.is_empty() {
                        snapshot.entries.remove(&name);
                    }
                }
            }
            (Key::State(machine, n), Some(Value::Report { content, active, sub, started, entry })) => {
                let report = Report {
                    hash: HASHES[content].to_owned(),
                    load: "loaded".to_owned(),
                    active: active.to_owned(),
                    sub: sub.to_owned(),
                    started,
                };
                let reports = snapshot.reports.entry(unit(n)).or_default();
                reports.insert(id(machine), Reported { report, entry });
            }
            (Key::State(machine, n), _) => {
                if let Some(reports) = snapshot.reports.get_mut(&unit(n)) {
                    reports.remove(&ether.cast.machines[machine]);
                }
            }
            (Key::Claim(n), Some(value)) => {
                let claim = match value {
                    Value::Claim(machine) => Claim::Known { machine: id(machine), modification },
                    _ => Claim::Frozen,
                };
                snapshot.claims.insert(unit(n), claim);
            }
            (Key::Claim(n), None) => {
                snapshot.claims.remove(&unit(n));
            }
            (Key::Machine(machine), Some(_)) => {
                let seen = self.seen(machine, ether);
                self.snapshot.machines.insert(id(machine), seen);
            }
            (Key::Machine(machine), None) => {
                snapshot.machines.remove(&ether.cast.machines[machine]);
            }
            (Key::Hold(machine), value) => {
                self.holds[machine] = value;
                if self.snapshot.machines.contains_key(&ether.cast.machines[machine]) {
                    let seen = self.seen(machine, ether);
                    self.snapshot.machines.insert(id(machine), seen);
                }
            }
            (Key::Rebalance, value) => snapshot.rebalance = value.is_some(),
            (Key::Marker | Key::Engine, _) => {}
        }
    }

    fn seen(&self, machine: usize, ether: &Ether) -> Seen {
        let hold = match self.holds[machine] {
            None => Hold::None,
            Some(Value::Hold(hold)) => hold,
            Some(_) => return Seen::Frozen,
        };
        let metadata = ether.cast.metadata[machine].clone();
        Seen::Known(Machine { id: ether.cast.machines[machine].clone(), ip: String::new(), metadata, hold })
    }
}

fn flawed(ether: &Ether) -> Settings {
    let mut settings = settings();
    if ether.has(Flaw::NoGrace) {
        settings.grace = Duration::ZERO;
    }
    if ether.has(Flaw::ClaimsNotKept) {
        settings.ttl = Duration::ZERO;
    }
    settings
}
