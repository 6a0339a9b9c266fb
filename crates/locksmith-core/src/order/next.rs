//! What comes out of a step.

use std::time::Duration;

use jiff::Timestamp;
use slots::Version;

use super::{Memory, Moment};
use crate::semaphore::{Outcome, Slot};

/// The one thing to do next. Each may be done again: a daemon that was killed in it begins with what it sees then.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Nothing until then, unless what is seen on the machine changes: look at least each five seconds.
    Wait {
        /// When the next step is due at the latest.
        until: Moment,
    },
    /// Read the semaphore, the members of etcd and fleet, and step again at once with the reading.
    Read,
    /// Tell logged-in terminals that the machine reboots in five minutes. It has failed only if nobody could be told: a
    /// terminal that takes nothing is none.
    Notify,
    /// `slipway-update refuse VERSION --reason REASON`.
    Refuse {
        /// The version.
        version: Version,
        /// Why.
        reason: String,
    },
    /// `slipway-update unhold VERSION`.
    Unhold {
        /// The version.
        version: Version,
    },
    /// Write what [`crate::semaphore::Semaphore::record`] makes of the semaphore.
    Record(Outcome),
    /// Write what [`crate::semaphore::Semaphore::lock`] makes of it.
    Lock(Slot),
    /// Drain the machine and wait until it is, but no longer than that; that it takes longer is no failure.
    Drain {
        /// What is left of the time for it.
        timeout: Duration,
    },
    /// Undrain the machine.
    Undrain,
    /// Write what [`crate::semaphore::Semaphore::unlock`] makes of it; that there is no holder is success.
    Unlock,
    /// Write what [`crate::semaphore::Semaphore::settle`] makes of it.
    Settle(Outcome),
    /// Write what [`crate::semaphore::Semaphore::release_stale`] makes of it.
    Break {
        /// A holder that never came back.
        holder: String,
        /// Since when it has held its slot.
        since: Timestamp,
    },
    /// Reboot the machine. Look just before whether what waits is still what waited when the step was decided: if it is
    /// not, the reboot has failed, because the slot was taken for another version.
    Reboot,
    /// End with 0.
    Exit,
}

/// How far a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing is to be done.
    Idle,
    /// Gives back the slot of the reboot before.
    Release,
    /// Tells its group of versions, or takes what it says.
    Versions,
    /// Waits for its window.
    Window,
    /// Waits after users were told.
    Notice,
    /// Takes a slot, or waits for one.
    Locking,
    /// Moves units away.
    Drain,
    /// Ends an attempt and gives its slot back.
    GiveBack,
    /// Is about to reboot.
    Reboot,
    /// Does nothing, as the strategy says.
    Off,
}

impl Phase {
    /// All, for documentation and tests.
    pub const ALL: [Self; 10] = [
        Self::Idle,
        Self::Release,
        Self::Versions,
        Self::Window,
        Self::Notice,
        Self::Locking,
        Self::Drain,
        Self::GiveBack,
        Self::Reboot,
        Self::Off,
    ];

    /// Returns the word of the phase in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Release => "release",
            Self::Versions => "versions",
            Self::Window => "window",
            Self::Notice => "notice",
            Self::Locking => "lock",
            Self::Drain => "drain",
            Self::GiveBack => "give-back",
            Self::Reboot => "reboot",
            Self::Off => "off",
        }
    }

    /// Returns `STATE` of `coordinator.conf`, in the words of the original.
    pub fn state(self) -> &'static str {
        match self {
            Self::Idle | Self::Release | Self::Versions => "running",
            Self::Window | Self::Notice | Self::Locking | Self::Drain | Self::GiveBack => "reboot-planned",
            Self::Reboot => "rebooting",
            Self::Off => "disabled",
        }
    }
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is to be done.
    pub next: Next,
    /// How far the machine is.
    pub phase: Phase,
    /// Why, for people.
    pub why: String,
    /// What is to be warned of: a wait for a slot or for etcd that has lasted an hour, or another one.
    pub warning: Option<String>,
    /// What is to be given to the next step.
    pub memory: Memory,
}
