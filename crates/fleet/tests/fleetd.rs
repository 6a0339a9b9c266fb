//! The program `fleetd` as systemd runs it: settings, sockets, signals and what it tells, without a store.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "fleetd/journal.rs"]
mod journal;
#[path = "fleetd/lab.rs"]
mod lab;
#[path = "fleetd/settings.rs"]
mod settings;
#[path = "fleetd/signals.rs"]
mod signals;
