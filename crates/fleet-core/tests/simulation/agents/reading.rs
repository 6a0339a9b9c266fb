//! What an agent reads and follows, in parts that are at revisions of their own.

use fleet_core::agent::{KnownWish, Reading, Wish};
use fleet_core::model::Hold;

use super::Agent;
use crate::cast::HASHES;
use crate::ether::{Ether, NEVER};
use crate::flaw::Flaw;
use crate::host::Host;
use crate::store::{Event, Key, Kv, Value};

/// Parts of the registry that are read and followed each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Entries,
    Globals,
    Hold,
    Marker,
}

const PARTS: [Part; 4] = [Part::Entries, Part::Globals, Part::Hold, Part::Marker];

impl Agent {
    /// Reads what is not known: claims, one's own reports, one part.
    pub(super) fn catch_up(&mut self, host: &mut Host, ether: &Ether) {
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
    pub(super) fn follow(&mut self, ether: &mut Ether) {
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

    pub(super) fn set_hold(&mut self, value: Option<Value>) {
        if let Some(machine) = &mut self.wanted.machine {
            machine.hold = match value {
                Some(Value::Hold(hold)) => hold,
                _ => Hold::None,
            };
        }
    }

    pub(super) fn reading(&self, ether: &Ether) -> Reading {
        match (self.read.iter().all(Option::is_some), self.marked) {
            _ if ether.has(Flaw::PartialIsWhole) => Reading::Whole,
            (false, _) => Reading::Partial,
            (true, false) if !ether.has(Flaw::MarkerIgnored) => Reading::Unmarked,
            (true, _) => Reading::Whole,
        }
    }
}

/// Whether a machine's agent follows a key.
pub(super) fn follows(machine: usize, key: Key) -> bool {
    part_of(machine, key).is_some()
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
