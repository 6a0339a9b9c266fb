//! An engine's runner as a state machine: one small step at a time, so that anything can happen between two.

mod transaction;
mod view;

use std::collections::VecDeque;
use std::time::Duration;

use fleet_core::engine::{Decision, Snapshot, pass};
use fleet_core::moment::Moment;

use self::transaction::transaction;
use self::view::View;
use crate::ENGINE_TTL;
use crate::checks;
use crate::ether::{Clock, Ether, NEVER, Reply};
use crate::flaw::Flaw;
use crate::store::{Author, Compare, Key, Op, Txn, Value};

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
