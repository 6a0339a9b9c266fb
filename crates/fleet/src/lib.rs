//! fleet: systemd for a cluster. The programs `fleetd` and `fleetctl` are thin; what they decide is in `fleet-core`.
//!
//! `docs/decisions/2026-11-28-fleet.md` is the design.

pub mod agent;
pub mod api;
pub mod config;
pub mod ctl;
pub mod daemon;
pub mod engine;
pub mod guard;
pub mod http;
pub mod journal;
pub mod registry;
pub mod systemd;
