//! The spans of time that the engine goes by.

use std::time::Duration;

use crate::agent::exclusive::margin;

/// Spans of time that the engine goes by. All programs of a cluster must have the same time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Time to live of the machines' leases (`agent_ttl`).
    pub ttl: Duration,
    /// How long a machine may be lost before its units move.
    pub grace: Duration,
    /// How far back one looks for the machines that a loss is measured by.
    pub window: Duration,
    /// How long a loss of many machines at once is not believed (`engine_mass_loss_wait`).
    pub mass_wait: Duration,
}

impl Settings {
    /// Returns how long after a machine's loss the claims that it had are void: its guard has stopped its exclusive
    /// units a margin before the lease ended, and clocks that differ by 1 % use up little of the margin after it.
    pub fn claim_wait(&self) -> Duration {
        self.ttl + margin(self.ttl)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            window: Duration::from_secs(60),
            mass_wait: Duration::from_secs(300),
        }
    }
}
