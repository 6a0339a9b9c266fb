//! `slipway status`: what runs, from where, how well, and why other versions failed.

mod collect;
mod text;

use agent_support::failures::Failures;
use agent_support::host::Host;
use agent_support::tries::Try;
use serde::Serialize;

use crate::report::{self, Format};

/// The JSON document (docs/operating/status.md); `null` where something could not be learned, with a warning why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// 1; a change that breaks readers counts it up.
    pub format: u32,
    /// Version of the running system.
    pub version: String,
    /// Root hash that `/usr` is verified against.
    pub root_hash: Option<String>,
    /// Slot that the running `/usr` is on.
    pub slot: Option<SlotStatus>,
    /// Boot entry of this boot.
    pub boot: Option<BootStatus>,
    /// Seconds since the kernel started.
    pub uptime_seconds: u64,
    /// Outcome of the health checks.
    pub boot_complete: BootComplete,
    /// What the failed health checks said.
    pub health_failure: Option<String>,
    /// State of the verity device of `/usr`.
    pub verity: Verity,
    /// Units in failed state.
    pub failed_units: Option<Vec<Unit>>,
    /// Entries on the ESP, in the order in which the boot loader prefers them; needs root.
    pub entries: Option<Vec<EntryStatus>>,
    /// What a person should know or do.
    pub warnings: Vec<String>,
}

/// The slot that the running `/usr` is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotStatus {
    /// `A` or `B`.
    pub name: String,
    /// Its data partition.
    pub device: String,
    /// Label of that partition: `usr_<version>`.
    pub label: String,
}

/// This boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootStatus {
    /// Name of the entry as the boot loader started it.
    pub entry: String,
    /// Whether the boot loader counted this boot.
    pub counted: bool,
    /// Number of this try, from 1; 0 if not counted.
    pub number: u32,
    /// Tries left after this one; `null` if not counted.
    pub tries_left: Option<u32>,
    /// Whether the entry has no counter now; `null` if the ESP could not be read.
    pub blessed: Option<bool>,
}

/// Outcome of the health checks of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootComplete {
    /// All passed.
    Passed,
    /// Still waiting for the start to finish.
    Waiting,
    /// At least one failed: the machine is degraded.
    Failed,
}

/// State of the verity device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verity {
    /// Every block read so far verified.
    Verified,
    /// A block did not verify.
    Corrupted,
    /// Not asked: needs root.
    Unknown,
}

/// A failed unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Its name.
    pub unit: String,
    /// Its description.
    pub description: String,
}

/// An entry on the ESP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryStatus {
    /// File name.
    pub file: String,
    /// Its version.
    pub version: String,
    /// Whether this boot was started from it.
    pub current: bool,
    /// What it counts as.
    pub verdict: Verdict,
    /// Tries left; `null` without a counter.
    pub tries_left: Option<u32>,
    /// Tries made; `null` without a counter.
    pub tries_done: Option<u32>,
    /// What each recorded try reached, oldest first.
    pub tries: Vec<Try>,
    /// Failures in a row while it was blessed.
    pub failures: Failures,
}

/// What a version counts as (crate `slots` judges).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No counter: found good.
    Blessed,
    /// Tries left: not yet found good.
    OnTrial,
    /// Put last by an operator before any try.
    Withdrawn,
    /// No tries left: never taken again by itself.
    Failed,
    /// No tries left, but the last one was cut off in user space without a failed check.
    CutOff,
}

/// Prints the status. Succeeds on a degraded machine too: the status could be learned.
pub fn run(host: &Host, format: Format) -> anyhow::Result<()> {
    report::print(&collect::collect(host)?, format, text::text)
}
