//! The engine's own process, so that its memory and processor time can be seen.

use std::time::Duration;

use fleet::engine::{Engine, Settings};
use fleet::registry::Keys;
use fleet_core::engine::Settings as Spans;
use fleet_core::model::MachineId;

use super::{PREFIX, client};

/// Runs until it is killed.
pub async fn run(url: &str) {
    let settings = Settings {
        keys: Keys::new(PREFIX),
        machine: MachineId("0".repeat(32)),
        lease_ttl: Duration::from_secs(10),
        interval: Duration::from_secs(30),
        spans: Spans::default(),
    };
    Engine::new(settings, client(url)).run(std::future::pending(), |line| eprintln!("{line}")).await;
}
