//! The registry as an engine's follower has it.

use std::time::Duration;

use fleet_core::engine::{Claim, Entry, Known, Place, Reported, Seen, Settings, Snapshot, Unit};
use fleet_core::model::{Hold, Machine, Report};

use crate::cast::{HASHES, Life};
use crate::ether::Ether;
use crate::flaw::Flaw;
use crate::settings;
use crate::store::{Event, Key, Value};

#[derive(Debug)]
pub(super) struct View {
    pub(super) snapshot: Snapshot,
    pub(super) revision: i64,
    holds: Vec<Option<Value>>,
}

impl View {
    /// Reads everything.
    pub(super) fn read(ether: &Ether, old: Option<Snapshot>) -> Self {
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

    pub(super) fn take(&mut self, event: &Event, ether: &Ether) {
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
