//! What an agent is told: who it is, where its files are, how long its lease lives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fleet_core::model::MachineId;

use crate::registry::Keys;
use crate::systemd::Places;

/// What an agent is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The machine's id.
    pub machine: MachineId,
    /// The boot's id, by which two machines with one id are told apart.
    pub boot: String,
    /// Version of the program.
    pub version: String,
    /// Keys of the registry (setting `etcd_key_prefix`).
    pub keys: Keys,
    /// How long the machine's lease lives without being renewed (setting `agent_ttl`).
    pub ttl: Duration,
    /// How long a unit whose entry went elsewhere stays while its new copy is not active.
    pub grace: Duration,
    /// Configured address (setting `public_ip`); without it, that of the default route.
    pub public_ip: Option<String>,
    /// Configured metadata.
    pub metadata: BTreeMap<String, String>,
    /// Where unit files and drop-ins are.
    pub places: Places,
    /// What the agent remembers over its restarts, such as `/run/fleet/agent.json`.
    pub memory_file: PathBuf,
    /// What the guard reads, such as `/run/fleet/guard`.
    pub guard_file: PathBuf,
}
