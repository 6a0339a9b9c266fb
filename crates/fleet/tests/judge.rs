//! What the parts of fleet do with the etcd that we ship.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "judge/agent.rs"]
mod agent;
#[path = "judge/bad_store.rs"]
mod bad_store;
#[path = "judge/cluster.rs"]
mod cluster;
#[path = "judge/fleetd.rs"]
mod fleetd;
#[path = "judge/registry.rs"]
mod registry;
