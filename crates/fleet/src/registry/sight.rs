//! The whole registry as the engine sees it: kept up to date change by change, at one revision.

use std::collections::BTreeMap;

use etcd_rpc::{Change, KeyValue};
use fleet_core::engine::{Settings, Snapshot, Unit};
use fleet_core::model::MachineId;
use fleet_core::name::UnitName;

use super::understood::{self, MachineKeys};
use super::{EntryValue, Key, Keys, PlaceValue, UnitValue, from_json, understand_unit};

/// What is known of the registry.
#[derive(Debug, Clone)]
pub struct Sight {
    keys: Keys,
    /// What the engine decides with.
    pub snapshot: Snapshot,
    /// Values of units that are understood and not global, which entries are made of.
    pub units: BTreeMap<UnitName, UnitValue>,
    /// Values of entries that are understood.
    pub entries: BTreeMap<(MachineId, UnitName), EntryValue>,
    /// Where units are, by their own keys: the key's modification, and the machine if it can be read.
    pub places: BTreeMap<UnitName, (i64, Option<MachineId>)>,
    /// The leases of what engines tell of lost machines, understood or not.
    pub told: BTreeMap<MachineId, i64>,
    /// When the engine's key was created.
    pub engine: Option<i64>,
    /// Keys that are not understood, with why.
    pub wrong: BTreeMap<String, String>,
    /// The revision that this shows.
    pub revision: i64,
    machines: BTreeMap<MachineId, MachineKeys>,
}

impl Sight {
    /// Knows nothing yet.
    pub fn new(keys: Keys, settings: Settings) -> Self {
        Self {
            keys,
            snapshot: Snapshot { settings, ..Snapshot::default() },
            units: BTreeMap::new(),
            entries: BTreeMap::new(),
            places: BTreeMap::new(),
            told: BTreeMap::new(),
            engine: None,
            wrong: BTreeMap::new(),
            revision: 0,
            machines: BTreeMap::new(),
        }
    }

    /// Moves out what is known; what stays behind knows nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let nothing = Self::new(self.keys.clone(), self.snapshot.settings);
        std::mem::replace(self, nothing)
    }

    /// Takes a listing of all keys in the place of all that was known but losses.
    pub fn replace(&mut self, kvs: &[KeyValue], revision: i64) {
        let losses = std::mem::take(&mut self.snapshot.losses);
        *self = Self::new(self.keys.clone(), self.snapshot.settings);
        self.snapshot.losses = losses;
        for kv in kvs {
            self.put(kv);
        }
        self.revision = revision;
    }

    /// Takes changes.
    pub fn change(&mut self, changes: &[Change], revision: i64) {
        for change in changes {
            match change {
                Change::Put(kv) => self.put(kv),
                Change::Delete { key, .. } => self.delete(key),
            }
        }
        self.revision = revision;
    }

    fn put(&mut self, kv: &KeyValue) {
        self.wrong.remove(&kv.key);
        let Some(key) = self.keys.parse(&kv.key) else {
            self.wrong.insert(kv.key.clone(), "no key of a registry: remove it".to_owned());
            return;
        };
        match key {
            Key::Marker => {}
            Key::Unit(name) => {
                let (unit, value) = self.unit(&name, kv);
                match value {
                    Some(value) => drop(self.units.insert(name.clone(), value)),
                    None => drop(self.units.remove(&name)),
                }
                self.snapshot.units.insert(name, unit);
            }
            Key::Global(name) => {
                let (unit, _) = self.unit(&name, kv);
                self.snapshot.globals.insert(name, unit);
            }
            Key::Place(name) => {
                let machine = from_json::<PlaceValue>(&kv.value).ok().map(|value| value.machine);
                self.places.insert(name, (kv.mod_revision, machine));
            }
            Key::Entry(machine, unit) => {
                let (entry, value) = understood::entry(kv);
                let place = (machine.clone(), unit.clone());
                match value {
                    Some(value) => drop(self.entries.insert(place, value)),
                    None => {
                        self.entries.remove(&place);
                        self.wrong.insert(kv.key.clone(), "no entry: remove it".to_owned());
                    }
                }
                self.snapshot.entries.entry(unit).or_default().insert(machine, entry);
            }
            Key::State(machine, unit) => {
                let reports = self.snapshot.reports.entry(unit).or_default();
                match understood::reported(kv) {
                    Some(reported) => drop(reports.insert(machine, reported)),
                    None => drop(reports.remove(&machine)),
                }
            }
            Key::Claim(unit) => drop(self.snapshot.claims.insert(unit, understood::claim(kv))),
            Key::Machine(id) => self.machine(id, |keys| keys.machine = Some(kv.value.clone())),
            Key::Meta(id, key) => self.machine(id, |keys| drop(keys.metas.insert(key, kv.value.clone()))),
            Key::Hold(id) => self.machine(id, |keys| keys.hold = Some(kv.value.clone())),
            Key::Lost(id) => {
                match from_json(&kv.value) {
                    Ok(told) => drop(self.snapshot.told.insert(id.clone(), told)),
                    // The engine writes it anew.
                    Err(_) => drop(self.snapshot.told.remove(&id)),
                }
                self.told.insert(id, kv.lease);
            }
            Key::Rebalance => self.snapshot.rebalance = true,
            Key::Engine => self.engine = Some(kv.create_revision),
        }
    }

    fn delete(&mut self, key: &str) {
        self.wrong.remove(key);
        let Some(key) = self.keys.parse(key) else { return };
        match key {
            Key::Marker => {}
            Key::Unit(name) => {
                self.snapshot.units.remove(&name);
                self.units.remove(&name);
            }
            Key::Global(name) => drop(self.snapshot.globals.remove(&name)),
            Key::Place(name) => drop(self.places.remove(&name)),
            Key::Entry(machine, unit) => {
                self.entries.remove(&(machine.clone(), unit.clone()));
                drop_from(&mut self.snapshot.entries, &unit, &machine);
            }
            Key::State(machine, unit) => drop_from(&mut self.snapshot.reports, &unit, &machine),
            Key::Claim(unit) => drop(self.snapshot.claims.remove(&unit)),
            Key::Machine(id) => self.machine(id, |keys| keys.machine = None),
            Key::Meta(id, key) => self.machine(id, |keys| drop(keys.metas.remove(&key))),
            Key::Hold(id) => self.machine(id, |keys| keys.hold = None),
            Key::Lost(id) => {
                self.snapshot.told.remove(&id);
                self.told.remove(&id);
            }
            Key::Rebalance => self.snapshot.rebalance = false,
            Key::Engine => self.engine = None,
        }
    }

    fn unit(&mut self, name: &UnitName, kv: &KeyValue) -> (Unit, Option<UnitValue>) {
        match understand_unit(name, kv) {
            Ok(understood) => (Unit::Known(understood.known), Some(understood.value)),
            Err(why) => {
                self.wrong.insert(kv.key.clone(), why);
                (Unit::Frozen, None)
            }
        }
    }

    fn machine(&mut self, id: MachineId, change: impl FnOnce(&mut MachineKeys)) {
        let keys = self.machines.entry(id.clone()).or_default();
        change(keys);
        match keys.seen(&id) {
            Some(seen) => drop(self.snapshot.machines.insert(id.clone(), seen)),
            None => drop(self.snapshot.machines.remove(&id)),
        }
        if keys.is_empty() {
            self.machines.remove(&id);
        }
    }
}

fn drop_from<T>(all: &mut BTreeMap<UnitName, BTreeMap<MachineId, T>>, unit: &UnitName, machine: &MachineId) {
    if let Some(of_unit) = all.get_mut(unit) {
        of_unit.remove(machine);
        if of_unit.is_empty() {
            all.remove(unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kv(key: &str, value: &str, revision: i64) -> KeyValue {
        let value = value.as_bytes().to_vec();
        let (key, mod_revision, create_revision) = (key.to_owned(), revision, 1);
        KeyValue { key, value, create_revision, mod_revision, version: 1, lease: 0 }
    }

    const UNIT: &str = r#"{"content":"[Service]\nExecStart=/bin/a\n","desired":"launched"}"#;
    const ENTRY: &str = r#"{"content":"[Service]\nExecStart=/bin/a\n","desired":"launched","reason":"r"}"#;
    const STATE: &str = r#"{"hash":"h","load":"l","active":"a","sub":"s","started":true,"entry":1}"#;
    const MACHINE: &str = r#"{"ip":"10.0.0.1","metadata":{},"version":"1","boot":"b"}"#;

    const LOST: &str = r#"{"since":"2026-11-29T01:02:03Z","moves":"2026-11-29T01:02:33Z","mass":false}"#;

    fn sight() -> Sight {
        Sight::new(Keys::new("/f"), Settings::default())
    }

    proptest! {
        /// Whatever happens in whatever order, following it gives what a listing gives.
        #[test]
        fn following_gives_what_a_listing_gives(
            steps in proptest::collection::vec((0usize..16, 0usize..3, any::<bool>()), 0..60),
        ) {
            let keys = [
                "units/a.service", "global/a.service", "units/b.service", "schedule/m/a.service",
                "schedule/n/a.service", "state/m/a.service", "claim/a.service", "machines/m", "machines/n",
                "meta/m/k", "hold/m", "rebalance", "engine", "other", "place/a.service", "lost/m",
            ];
            let values = |key: &str| match key.split('/').next() {
                Some("units" | "global") => [UNIT, "{}", UNIT],
                Some("schedule") => [ENTRY, "{}", ENTRY],
                Some("state") => [STATE, "{}", STATE],
                Some("machines") => [MACHINE, "{}", MACHINE],
                Some("claim") => [r#"{"machine":"m","entry":1}"#, "{}", "x"],
                Some("place") => [r#"{"machine":"m"}"#, r#"{"machine":"n"}"#, "x"],
                Some("meta") => [r#"{"value":"v"}"#, r#"{"value":""}"#, "{}"],
                Some("hold") => [r#"{"hold":"draining"}"#, "{}", "x"],
                Some("lost") => [LOST, r#"{"since":"now","moves":null,"mass":true}"#, "x"],
                _ => ["{}", "{}", "{}"],
            };
            let mut store: BTreeMap<String, KeyValue> = BTreeMap::new();
            let mut followed = sight();
            followed.replace(&[], 1);
            for (revision, (key, value, is_put)) in (2..).zip(steps) {
                let value = values(keys[key])[value];
                let key = format!("/f/{}", keys[key]);
                let change = if is_put {
                    let kv = kv(&key, value, revision);
                    store.insert(key, kv.clone());
                    Change::Put(kv)
                } else {
                    store.remove(&key);
                    Change::Delete { key, revision }
                };
                followed.change(&[change], revision);
            }
            let mut listed = sight();
            listed.replace(&store.into_values().collect::<Vec<_>>(), followed.revision);
            listed.snapshot.reports.retain(|_, reports| !reports.is_empty());
            followed.snapshot.reports.retain(|_, reports| !reports.is_empty());
            prop_assert_eq!(format!("{listed:?}"), format!("{followed:?}"));
        }
    }
}
