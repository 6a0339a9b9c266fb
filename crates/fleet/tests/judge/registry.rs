//! The registry and the engine: what becomes of wishes, with machines that the test plays.

#[path = "registry/away.rs"]
mod away;
#[path = "registry/frozen.rs"]
mod frozen;
#[path = "registry/lab.rs"]
mod lab;
#[path = "registry/large.rs"]
mod large;
#[path = "registry/lost.rs"]
mod lost;
#[path = "registry/placement.rs"]
mod placement;
#[path = "registry/races.rs"]
mod races;
#[path = "registry/service.rs"]
mod service;
#[path = "registry/slow_line.rs"]
pub mod slow_line;
#[path = "registry/terms.rs"]
mod terms;

/// A unit that runs until it is stopped.
const SLEEPER: &str = "[Service]\nExecStart=/bin/sleep 500\n";
