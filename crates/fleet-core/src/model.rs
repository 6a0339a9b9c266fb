//! What the parts of fleet speak about: machines, units, states.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Machine id: 32 lower-case hexadecimal digits, as in `/etc/machine-id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(pub String);

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a unit is wanted to be, or has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Known, on no machine.
    Inactive,
    /// On a machine, its file known to the service manager, not started.
    Loaded,
    /// Started there.
    Launched,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Inactive => "inactive",
            Self::Loaded => "loaded",
            Self::Launched => "launched",
        })
    }
}

/// A word that is none of `inactive`, `loaded`, `launched`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state {0:?} is unknown: inactive, loaded and launched are known")]
pub struct UnknownState(pub String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        match word {
            "inactive" => Ok(Self::Inactive),
            "loaded" => Ok(Self::Loaded),
            "launched" => Ok(Self::Launched),
            _ => Err(UnknownState(word.to_owned())),
        }
    }
}

/// A machine as the cluster sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Id.
    pub id: MachineId,
    /// Address that others reach it at; empty if unknown.
    pub ip: String,
    /// Configured metadata overlaid by that of the registry.
    pub metadata: BTreeMap<String, String>,
    /// Whether it takes units.
    pub hold: Hold,
}

/// Whether a machine takes units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// It does.
    #[default]
    None,
    /// It takes no new ones.
    Cordoned,
    /// It takes no new ones and those that it has move away.
    Draining,
}

/// What an agent reports of one unit on its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Hash of the unit file, 40 hexadecimal digits.
    pub hash: String,
    /// systemd's LOAD.
    pub load: String,
    /// systemd's ACTIVE.
    pub active: String,
    /// systemd's SUB.
    pub sub: String,
    /// Whether the agent started it for the entry as it is.
    pub started: bool,
}

/// Returns how far a unit has come: `placed` if it has an entry, `report` that of the entry's machine.
pub fn current_state(placed: bool, report: Option<&Report>) -> State {
    match report {
        Some(report) if placed && report.started => State::Launched,
        Some(_) if placed => State::Loaded,
        _ => State::Inactive,
    }
}
