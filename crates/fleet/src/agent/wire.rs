//! Keys and values of the registry, as far as an agent reads and writes them.

use std::collections::BTreeMap;

use fleet_core::engine::Reported;
use fleet_core::model::{Hold, MachineId, Report, State};
use fleet_core::name::UnitName;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }
    pub(super) fn schedule(&self) -> String {
        format!("{}schedule/", self.prefix)
    }
    pub(super) fn schedule_of(&self, machine: &MachineId) -> String {
        format!("{}schedule/{machine}/", self.prefix)
    }
    pub(super) fn entry(&self, machine: &MachineId, unit: &UnitName) -> String {
        format!("{}schedule/{machine}/{unit}", self.prefix)
    }
    pub(super) fn globals(&self) -> String {
        format!("{}global/", self.prefix)
    }
    pub(super) fn meta_of(&self, machine: &MachineId) -> String {
        format!("{}meta/{machine}/", self.prefix)
    }
    pub(super) fn hold(&self, machine: &MachineId) -> String {
        format!("{}hold/{machine}", self.prefix)
    }
    pub(super) fn marker(&self) -> String {
        format!("{}marker", self.prefix)
    }
    pub(super) fn machine(&self, machine: &MachineId) -> String {
        format!("{}machines/{machine}", self.prefix)
    }
    pub(super) fn states_of(&self, machine: &MachineId) -> String {
        format!("{}state/{machine}/", self.prefix)
    }
    pub(super) fn state(&self, machine: &MachineId, unit: &UnitName) -> String {
        format!("{}state/{machine}/{unit}", self.prefix)
    }
    pub(super) fn claims(&self) -> String {
        format!("{}claim/", self.prefix)
    }
    pub(super) fn claim(&self, unit: &UnitName) -> String {
        format!("{}claim/{unit}", self.prefix)
    }
    pub(super) fn unit_of(&self, key: &str) -> Option<UnitName> {
        UnitName::parse(key.rsplit_once('/')?.1).ok()
    }
    pub(super) fn machine_and_unit_of(&self, key: &str) -> Option<(MachineId, UnitName)> {
        let (rest, unit) = key.rsplit_once('/')?;
        Some((MachineId(rest.rsplit_once('/')?.1.to_owned()), UnitName::parse(unit).ok()?))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) content: String,
    pub(super) desired: State,
    #[serde(default)]
    pub(super) finished: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) machine: MachineId,
    pub(super) entry: i64,
}

impl Claim {
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a claim has a form as JSON")
    }
    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MachineValue {
    pub(super) ip: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) version: String,
    pub(super) boot: String,
}

#[derive(Serialize, Deserialize)]
struct StateValue {
    #[serde(flatten)]
    report: Report,
    entry: i64,
}

pub(super) fn state_value(reported: &Reported) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&StateValue { report: reported.report.clone(), entry: reported.entry })
}

pub(super) fn reported(bytes: &[u8]) -> Option<Reported> {
    let value: StateValue = serde_json::from_slice(bytes).ok()?;
    Some(Reported { report: value.report, entry: value.entry })
}

#[derive(Deserialize)]
struct HoldValue {
    hold: Hold,
}

pub(super) fn hold_of(bytes: &[u8]) -> Option<Hold> {
    serde_json::from_slice::<HoldValue>(bytes).ok().map(|value| value.hold)
}

#[derive(Deserialize)]
struct MetaValue {
    value: String,
}

pub(super) fn meta_of(bytes: &[u8]) -> Option<String> {
    serde_json::from_slice::<MetaValue>(bytes).ok().map(|value| value.value)
}
