//! What the registry wants of this machine, understood: from keys and values to what `fleet-core` plans with.

use std::collections::BTreeMap;
use std::fmt::Display;

use etcd_rpc::KeyValue;
use fleet_core::agent::{KnownWish, Reading, Wanted, Wish, exclusive};
use fleet_core::engine::Known;
use fleet_core::model::{Hold, Machine};
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::UnitFile;

use super::settings::Settings;
use super::sight::Parts;
use crate::registry::{
    EntryValue, HoldValue, Key, Keys, Marker, MetaValue, Understood, from_json, understand_content,
    understand_unit,
};
use crate::systemd::Binding;

/// What is wanted, with the files of the units, and what could not be understood.
#[derive(Debug)]
pub(super) struct Wishes {
    /// For the plan.
    pub(super) wanted: Wanted,
    /// Files of units that are understood.
    pub(super) files: BTreeMap<UnitName, File>,
    /// Keys whose values are not understood, each with why. What they are about stays as it is.
    pub(super) wrong: BTreeMap<String, String>,
}

/// A unit's file, and how it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// The file.
    pub(super) content: UnitFile,
    /// Whether it ends with the guard.
    pub(super) binding: Binding,
}

impl Wishes {
    /// Understands parts that were all read.
    pub(super) fn of(parts: &Parts, settings: &Settings) -> Self {
        let keys = &settings.keys;
        let mut wishes = Self::past(BTreeMap::new());
        wishes.wanted.reading = wishes.reading(parts, keys);
        wishes.wanted.machine = wishes.machine(parts, settings);
        wishes.wanted.entries = wishes.units(settings, parts.schedule.values());
        wishes.wanted.globals = wishes.units(settings, parts.global.values());
        wishes
    }

    /// What is known while not all parts are: the entries as they were.
    pub(super) fn past(entries: BTreeMap<UnitName, Wish>) -> Self {
        let globals = BTreeMap::new();
        let wanted = Wanted { reading: Reading::Partial, machine: None, entries, globals };
        Self { wanted, files: BTreeMap::new(), wrong: BTreeMap::new() }
    }

    fn units<'a>(
        &mut self,
        settings: &Settings,
        kvs: impl Iterator<Item = &'a KeyValue>,
    ) -> BTreeMap<UnitName, Wish> {
        let mut wishes = BTreeMap::new();
        for kv in kvs {
            let (understood, unit) = match settings.keys.parse(&kv.key) {
                Some(Key::Entry(_, unit)) => (understand_entry(&unit, kv), unit),
                Some(Key::Global(unit)) => (understand_global(&unit, kv), unit),
                _ => {
                    self.wrong.insert(kv.key.clone(), "it names no unit; delete it".to_owned());
                    continue;
                }
            };
            let wish = match understood {
                // What a machine has for itself goes before what all have.
                Ok((wish, content)) => {
                    let binding = binding(settings, &wish.requirements);
                    self.files.entry(unit.clone()).or_insert(File { content, binding });
                    Wish::Known(wish)
                }
                Err(why) => {
                    self.wrong.insert(kv.key.clone(), why);
                    Wish::Frozen
                }
            };
            wishes.insert(unit, wish);
        }
        wishes
    }

    /// A marker that is not understood is that of another registry than this version knows.
    fn reading(&mut self, parts: &Parts, keys: &Keys) -> Reading {
        match parts.marker.get(&keys.marker()).map(|kv| (kv, from_json::<Marker>(&kv.value))) {
            Some((_, Ok(_))) => Reading::Whole,
            Some((kv, Err(_))) => {
                self.is_not_understood(kv);
                Reading::Unmarked
            }
            None => Reading::Unmarked,
        }
    }

    /// This machine with its metadata and hold; none if one of them is not understood.
    fn machine(&mut self, parts: &Parts, settings: &Settings) -> Option<Machine> {
        let keys = &settings.keys;
        let mut metadata = settings.metadata.clone();
        let (prefix, mut is_whole) = (keys.meta_of(&settings.machine), true);
        for kv in parts.meta.values() {
            let key = kv.key.strip_prefix(&prefix).unwrap_or_default();
            match from_json::<MetaValue>(&kv.value) {
                Ok(MetaValue { value }) if value.is_empty() => drop(metadata.remove(key)),
                Ok(MetaValue { value }) => drop(metadata.insert(key.to_owned(), value)),
                Err(_) => is_whole = self.is_not_understood(kv),
            }
        }
        let hold = match parts.hold.get(&keys.hold(&settings.machine)) {
            Some(kv) => from_json::<HoldValue>(&kv.value).ok().map(|value| value.hold).or_else(|| {
                is_whole = self.is_not_understood(kv);
                None
            }),
            None => Some(Hold::None),
        };
        let hold = hold.filter(|_| is_whole)?;
        let ip = settings.public_ip.clone().unwrap_or_default();
        Some(Machine { id: settings.machine.clone(), ip, metadata, hold })
    }

    /// Takes note of a value that is not understood; returns that not all is.
    fn is_not_understood(&mut self, kv: &KeyValue) -> bool {
        let why = "its value is not understood; write it again or delete it".to_owned();
        self.wrong.insert(kv.key.clone(), why);
        false
    }
}

/// How a file that is there is bound: by the settings as they are now. One whose requirements are not understood stays
/// as it is.
pub(super) fn binding_of(settings: &Settings, unit: &str, file: &UnitFile) -> Option<Binding> {
    let (requirements, _) = Requirements::of(&UnitName::parse(unit).ok()?, file).ok()?;
    Some(binding(settings, &requirements))
}

/// Exclusive units are stopped with the guard, in the time that the margin gives.
fn binding(settings: &Settings, requirements: &Requirements) -> Binding {
    if requirements.exclusive {
        Binding::Guarded { limit: exclusive::margin(settings.ttl) }
    } else {
        Binding::Free
    }
}

/// Returns what an entry wants, and the unit's file.
fn understand_entry(unit: &UnitName, kv: &KeyValue) -> Result<(KnownWish, UnitFile), String> {
    let EntryValue { content, desired, finished, .. } = from_json(&kv.value).map_err(not_understood)?;
    let (file, requirements) = understand_content(unit, &content).map_err(not_understood)?;
    let (modification, hash) = (kv.mod_revision, file.hash().to_owned());
    Ok((KnownWish { modification, hash, desired, finished, requirements }, file))
}

/// Returns what a global unit wants, and its file.
fn understand_global(unit: &UnitName, kv: &KeyValue) -> Result<(KnownWish, UnitFile), String> {
    let Understood { file, known, .. } = understand_unit(unit, kv).map_err(not_understood)?;
    let Known { modification, hash, desired, requirements, .. } = known;
    Ok((KnownWish { modification, hash, desired, finished: false, requirements }, file))
}

fn not_understood(why: impl Display) -> String {
    format!("it is not understood ({why}); submit the unit again")
}
