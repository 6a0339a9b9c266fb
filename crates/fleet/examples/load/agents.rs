//! Many machines in one process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleet::agent::{Agent, Settings};
use fleet::http::Metrics;
use fleet::journal::Journal;
use fleet::registry::Keys;
use fleet::systemd::{Fake, Places};
use fleet_core::model::MachineId;
use tokio::task::JoinSet;

use super::{PREFIX, client};

/// Starts agents, each with a client, a service manager and folders of its own; they end with the set.
pub fn start(url: &str, dir: &Path, machines: usize) -> JoinSet<()> {
    let mut agents = JoinSet::new();
    for machine in 0..machines {
        let dir = dir.join(machine.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        let places = Places { units: dir.join("units"), dropins: dir.join("system") };
        let manager = Arc::new(Fake::new(&places.dropins));
        let settings = Settings {
            machine: MachineId(format!("{machine:032x}")),
            boot: "boot".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            keys: Keys::new(PREFIX),
            ttl: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            public_ip: Some("192.0.2.1".to_owned()),
            metadata: BTreeMap::new(),
            places,
            memory_file: dir.join("agent.json"),
            guard_file: dir.join("guard"),
        };
        let agent = Agent::new(settings, client(url), manager, &Metrics::new(), Journal::new(0)).unwrap();
        agents.spawn(agent.run(std::future::pending()));
    }
    agents
}
