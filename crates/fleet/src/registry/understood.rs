//! From values to what `fleet-core` decides with. What is not understood is frozen: it stays as it is.

use std::collections::BTreeMap;

use etcd_rpc::KeyValue;
use fleet_core::engine::{Claim, Entry, Known, Place, Reported, Seen};
use fleet_core::model::{Hold, Machine, MachineId};
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::UnitFile;

use super::values::{
    ClaimValue, EntryValue, HoldValue, MachineValue, MetaValue, StateValue, UnitValue, from_json,
};

/// A unit that is understood, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understood {
    /// As it is in the store.
    pub value: UnitValue,
    /// Its file.
    pub file: UnitFile,
    /// What the engine goes by.
    pub known: Known,
}

/// Understands a unit's value.
///
/// # Errors
/// What is wrong with it.
pub fn understand_unit(name: &UnitName, kv: &KeyValue) -> Result<Understood, String> {
    let value: UnitValue = from_json(&kv.value).map_err(|err| err.to_string())?;
    let (file, requirements) = understand_content(name, &value.content)?;
    let known = Known {
        modification: kv.mod_revision,
        hash: file.hash().to_owned(),
        desired: value.desired,
        requirements,
        oneshot: file.is_oneshot(),
    };
    Ok(Understood { value, file, known })
}

/// Understands the text of a unit.
///
/// # Errors
/// All that is wrong with it, in one line.
pub fn understand_content(name: &UnitName, content: &str) -> Result<(UnitFile, Requirements), String> {
    let file = UnitFile::parse(content).map_err(|err| err.to_string())?;
    let (requirements, _) = Requirements::of(name, &file).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.join("; ")
    })?;
    Ok((file, requirements))
}

/// Understands a place; also gives its value where it has one.
pub(super) fn entry(kv: &KeyValue) -> (Entry, Option<EntryValue>) {
    let Ok(value) = from_json::<EntryValue>(&kv.value) else { return (Entry::Frozen, None) };
    let Ok(file) = UnitFile::parse(&value.content) else { return (Entry::Frozen, None) };
    let place = Place {
        modification: kv.mod_revision,
        hash: file.hash().to_owned(),
        desired: value.desired,
        finished: value.finished,
        reason: value.reason.clone(),
    };
    (Entry::Known(place), Some(value))
}

/// Understands a report; one that is not understood says nothing.
pub(super) fn reported(kv: &KeyValue) -> Option<Reported> {
    let StateValue { report, entry } = from_json(&kv.value).ok()?;
    Some(Reported { report, entry })
}

/// Understands a claim.
pub(super) fn claim(kv: &KeyValue) -> Claim {
    match from_json::<ClaimValue>(&kv.value) {
        Ok(value) => Claim::Known { machine: value.machine, modification: kv.mod_revision },
        Err(_) => Claim::Frozen,
    }
}

/// The keys about one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MachineKeys {
    pub(super) machine: Option<Vec<u8>>,
    pub(super) metas: BTreeMap<String, Vec<u8>>,
    pub(super) hold: Option<Vec<u8>>,
}

impl MachineKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.machine.is_none() && self.metas.is_empty() && self.hold.is_none()
    }

    /// Understands a machine; none if it is not alive.
    pub(super) fn seen(&self, id: &MachineId) -> Option<Seen> {
        let machine = self.machine.as_ref()?;
        Some(self.read(id, machine).map_or(Seen::Frozen, Seen::Known))
    }

    fn read(&self, id: &MachineId, machine: &[u8]) -> Option<Machine> {
        let MachineValue { ip, mut metadata, .. } = from_json(machine).ok()?;
        for (key, value) in &self.metas {
            match from_json::<MetaValue>(value).ok()?.value {
                value if value.is_empty() => drop(metadata.remove(key)),
                value => drop(metadata.insert(key.clone(), value)),
            }
        }
        let hold = match &self.hold {
            Some(value) => from_json::<HoldValue>(value).ok()?.hold,
            None => Hold::None,
        };
        Some(Machine { id: id.clone(), ip, metadata, hold })
    }
}

#[cfg(test)]
mod tests {
    use fleet_core::model::State;

    use super::*;
    use crate::registry::to_json;

    fn kv(value: impl Into<Vec<u8>>) -> KeyValue {
        let value = value.into();
        KeyValue { key: String::new(), value, create_revision: 3, mod_revision: 7, version: 2, lease: 0 }
    }

    #[test]
    fn a_unit_is_understood_whole_or_not_at_all() {
        let name = UnitName::parse("a.service").unwrap();
        let unit = |content: &str| {
            let value = UnitValue { content: content.to_owned(), desired: State::Launched };
            understand_unit(&name, &kv(to_json(&value)))
        };
        let known =
            unit("[Service]\nType=oneshot\nExecStart=/bin/a\n[X-Fleet]\nConflicts=b*\n").unwrap().known;
        assert_eq!((known.modification, known.desired, known.oneshot), (7, State::Launched, true));
        assert_eq!(known.requirements.conflicts, ["b*"]);
        assert!(unit("nothing").unwrap_err().starts_with("line 1: "));
        assert!(unit("[X-Fleet]\nGlobal=maybe\n").unwrap_err().starts_with("line 2: Global=maybe"));
        assert!(understand_unit(&name, &kv("{}")).unwrap_err().contains("not understood"));
    }

    #[test]
    fn metadata_of_the_registry_goes_before_the_configured() {
        let id = MachineId("m".to_owned());
        let own = |text: &str| text.to_owned();
        let configured = [(own("a"), own("1")), (own("b"), own("2"))].into();
        let value =
            MachineValue { ip: own("10.0.0.1"), metadata: configured, version: own("1"), boot: own("x") };
        let mut keys = MachineKeys { machine: Some(to_json(&value)), ..MachineKeys::default() };
        let meta = |value: &str| to_json(&MetaValue { value: value.to_owned() });
        keys.metas = [(own("a"), meta("")), (own("b"), meta("3")), (own("c"), meta("4"))].into();
        keys.hold = Some(to_json(&HoldValue { hold: Hold::Cordoned }));
        let Some(Seen::Known(machine)) = keys.seen(&id) else { panic!() };
        assert_eq!(machine.metadata, [(own("b"), own("3")), (own("c"), own("4"))].into());
        assert_eq!(machine.hold, Hold::Cordoned);
        keys.hold = Some(b"{}".to_vec());
        assert_eq!(keys.seen(&id), Some(Seen::Frozen));
        keys.machine = None;
        assert_eq!(keys.seen(&id), None);
    }

    #[test]
    fn values_that_are_not_understood_freeze() {
        assert_eq!(entry(&kv("{}")), (Entry::Frozen, None));
        assert_eq!(claim(&kv("x")), Claim::Frozen);
        assert_eq!(reported(&kv("x")), None);
    }
}
