//! What lies between the programs: the store, the network that loses and delays, the time.

use fleet_core::moment::Moment;

use crate::cast::Cast;
use crate::flaw::Flaw;
use crate::random::Rng;
use crate::store::{Author, Compare, Event, Key, Outcome, Store, Txn, Value};

pub const NEVER: u64 = u64::MAX;

/// What a program learns of its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Done(i64),
    Refused,
    LeaseGone,
    /// It was applied, or was not, or will be.
    Unknown,
}

#[derive(Debug)]
pub struct Ether {
    pub now: u64,
    pub rng: Rng,
    pub cast: Cast,
    pub store: Store,
    pub flaw: Option<Flaw>,
    /// Until when each machine is cut off from the store.
    pub cut: Vec<u64>,
    /// Until when the store has no leader.
    pub leaderless: u64,
    /// When it had none.
    pub leaderless_times: Vec<(u64, u64)>,
    /// Until when replies get lost.
    pub lossy: u64,
    /// How long the engine's watches may take.
    pub slowest: u64,
    /// Writes that arrive late.
    pub late: Vec<(u64, Txn)>,
    /// Since when each machine has no key, by a store that has a leader.
    pub absent: Vec<Option<u64>>,
    /// When the registry lost everything.
    pub wiped: Option<u64>,
    /// The first rule that was broken.
    pub broken: Option<String>,
    /// Whether steps are printed.
    pub loud: bool,
    seen: usize,
}

impl Ether {
    pub fn new(rng: Rng, cast: Cast, flaw: Option<Flaw>) -> Self {
        let count = cast.machines.len();
        Self {
            now: 0,
            rng,
            cast,
            store: Store::default(),
            flaw,
            cut: vec![0; count],
            leaderless: 0,
            leaderless_times: Vec::new(),
            lossy: 0,
            slowest: 0,
            late: Vec::new(),
            absent: vec![Some(0); count],
            wiped: None,
            broken: None,
            loud: false,
            seen: 0,
        }
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.loud {
            println!("{:>9.3} {}", f64::from(u32::try_from(self.now).unwrap()) / 1000.0, text());
        }
    }

    /// Notes that a rule was broken, and when.
    pub fn breaks(&mut self, text: impl FnOnce() -> String) {
        if self.broken.is_none() {
            let text = format!("at {} ms: {}", self.now, text());
            self.say(|| format!("BROKEN {text}"));
            self.broken = Some(text);
        }
    }

    pub fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub fn reaches(&self, machine: usize) -> bool {
        self.now >= self.cut[machine] && self.now >= self.leaderless
    }

    /// When a program that has nothing to do looks again at the earliest: it does not ask a store without pause that
    /// does not answer.
    pub fn patience(&self, machine: usize) -> u64 {
        match self.reaches(machine) {
            true => self.now + 1,
            false => self.now + 250,
        }
    }

    /// Sends a write from a machine.
    pub fn write(&mut self, machine: usize, txn: Txn) -> Reply {
        if !self.reaches(machine) {
            if self.rng.percent(30) {
                self.delay(txn);
            }
            return Reply::Unknown;
        }
        if self.now < self.lossy && self.rng.percent(20) {
            match self.rng.range(0, 2) {
                0 => {
                    self.apply(&txn);
                }
                1 => self.delay(txn),
                _ => {}
            }
            return Reply::Unknown;
        }
        match self.apply(&txn) {
            Outcome::Done(revision) => Reply::Done(revision),
            Outcome::Refused => Reply::Refused,
            Outcome::LeaseGone => Reply::LeaseGone,
        }
    }

    fn delay(&mut self, txn: Txn) {
        let at = self.now + self.rng.range(10, 6_000);
        self.late.push((at, txn));
    }

    /// Applies a write, and checks what must hold of every one.
    pub fn apply(&mut self, txn: &Txn) -> Outcome {
        let term = self.store.get(Key::Engine).map_or(0, |kv| kv.create);
        let outcome = self.store.apply(self.now, txn);
        if let Outcome::Done(_) = outcome {
            self.say(|| format!("wrote {:?} {:?}", txn.author, txn.ops));
            if let Author::Engine(author) = txn.author
                && author != term
            {
                self.breaks(|| format!("term {author} wrote {:?} while {term} was the engine's", txn.ops));
            }
            for unit in 0..self.cast.units.len() {
                let machines = 0..self.cast.machines.len();
                let places: Vec<usize> =
                    machines.filter(|machine| self.store.get(Key::Entry(*machine, unit)).is_some()).collect();
                if places.len() > 1 {
                    let name = self.cast.units[unit].name.clone();
                    self.breaks(|| format!("{name} has entries for machines {places:?}"));
                }
            }
        }
        outcome
    }

    pub fn arrive(&mut self) {
        let mut at = 0;
        while at < self.late.len() {
            if self.late[at].0 > self.now {
                at += 1;
            } else if self.now < self.leaderless {
                self.late[at].0 = self.leaderless + 1;
            } else {
                let (_, txn) = self.late.swap_remove(at);
                self.say(|| format!("late: {:?} {:?}", txn.author, txn.ops));
                self.apply(&txn);
            }
        }
    }

    /// Returns what was written since the last call, and keeps up which machines have keys.
    pub fn news(&mut self) -> Vec<Event> {
        let news = self.store.log[self.seen..].to_vec();
        self.seen = self.store.log.len();
        for event in &news {
            if let Key::Machine(machine) = event.key {
                self.absent[machine] = event.kv.is_none().then_some(self.now);
            }
        }
        news
    }

    pub fn value(&self, key: Key) -> Option<Value> {
        self.store.get(key).map(|kv| kv.value)
    }

    /// Compares that a key is as it is now.
    pub fn unchanged(&self, key: Key) -> Compare {
        Compare::Modification(key, self.store.modification(key))
    }
}

/// A machine's clock, which is up to half a percent off.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub u64);

impl Clock {
    pub fn draw(rng: &mut Rng) -> Self {
        Self(rng.range(995, 1005))
    }

    pub fn read(self, now: u64) -> Moment {
        Moment(now * self.0 / 1000)
    }

    /// The earliest time at which the clock shows `moment`.
    pub fn when(self, moment: Moment) -> u64 {
        moment.0.saturating_mul(1000).div_ceil(self.0)
    }
}
