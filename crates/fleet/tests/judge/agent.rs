//! The agent, with a service manager in memory: what it makes of its entries, and of a store that goes away.

#[path = "agent/away.rs"]
mod away;
#[path = "agent/exclusive.rs"]
mod exclusive;
#[path = "agent/follows.rs"]
mod follows;
#[path = "agent/identity.rs"]
mod identity;
#[path = "agent/lab.rs"]
mod lab;
#[path = "agent/line.rs"]
pub mod line;
#[path = "agent/restart.rs"]
mod restart;

/// A unit that runs until it is stopped.
const SLEEPER: &str = "[Service]\nExecStart=/bin/sleep 500\n";
