//! The state machine of an update: a pure function of what is and what happened.
//!
//! | phase | shown as |
//! | --- | --- |
//! | idle | `UPDATE_STATUS_IDLE` |
//! | checking | `UPDATE_STATUS_CHECKING_FOR_UPDATE` |
//! | available | `UPDATE_STATUS_UPDATE_AVAILABLE` |
//! | spooling, filling | `UPDATE_STATUS_DOWNLOADING` |
//! | verifying | `UPDATE_STATUS_VERIFYING` |
//! | finalizing | `UPDATE_STATUS_FINALIZING` |
//! | need reboot | `UPDATE_STATUS_UPDATED_NEED_REBOOT` |
//! | reporting | `UPDATE_STATUS_REPORTING_ERROR_EVENT` |

use slots::Version;

use crate::status::Op;

/// What a check is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// To say what is on offer.
    Look,
    /// To take it when this machine is due.
    TakeWhenDue,
    /// To take it now.
    TakeNow,
}

/// Where an update is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is being done.
    Idle,
    /// The offer is being asked for.
    Checking(Aim),
    /// A version is on offer and not taken yet.
    Available(Version),
    /// Everything but `/usr` is being fetched.
    Spooling(Version),
    /// The other slot is being written.
    Filling(Version),
    /// The other slot is being read back.
    Verifying(Version),
    /// The other slot gets its names and its entry.
    Finalizing(Version),
    /// The version is written.
    NeedReboot(Version),
    /// An error is being recorded.
    Reporting,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants a check.
    Wanted(Aim),
    /// There is nothing to take.
    NothingNew,
    /// A version may be taken; whether this machine is due.
    Offered(Version, Due),
    /// Everything but `/usr` is there and verified.
    Spooled,
    /// The other slot is written.
    Filled,
    /// What was written reads back as it should.
    Verified,
    /// The entry has its name.
    Finalized,
    /// Something went wrong.
    Failed(String),
    /// The error is recorded.
    Reported,
    /// An operator takes back that a version waits for a reboot.
    Reset,
}

/// Whether this machine's place in the rollout has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It has.
    Now,
    /// It has not.
    Later,
}

/// What is to be done; each ends with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask for the offer: `NothingNew`, `Offered` or `Failed`.
    Check,
    /// Fetch everything but `/usr`: `Spooled` or `Failed`.
    Spool(Version),
    /// Write the other slot: `Filled` or `Failed`.
    Fill(Version),
    /// Read it back: `Verified` or `Failed`.
    Verify(Version),
    /// Make it findable: `Finalized` or `Failed`.
    Finalize(Version),
    /// Say that a reboot is wanted; no event.
    WantReboot(Version),
    /// Record an error: `Reported`.
    Report(String),
    /// Forget that a reboot is wanted; no event.
    ForgetReboot(Version),
}

impl Phase {
    /// Returns the name to show.
    pub fn op(&self) -> Op {
        match self {
            Self::Idle => Op::Idle,
            Self::Checking(_) => Op::Checking,
            Self::Available(_) => Op::Available,
            Self::Spooling(_) | Self::Filling(_) => Op::Downloading,
            Self::Verifying(_) => Op::Verifying,
            Self::Finalizing(_) => Op::Finalizing,
            Self::NeedReboot(_) => Op::NeedReboot,
            Self::Reporting => Op::ReportingError,
        }
    }

    /// Returns the version that it is about.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Available(version)
            | Self::Spooling(version)
            | Self::Filling(version)
            | Self::Verifying(version)
            | Self::Finalizing(version)
            | Self::NeedReboot(version) => Some(version),
            Self::Idle | Self::Checking(_) | Self::Reporting => None,
        }
    }
}

/// Returns what is after `event`, and what is to be done.
pub fn step(phase: Phase, event: Event) -> (Phase, Vec<Effect>) {
    match (phase, event) {
        (Phase::Idle | Phase::Available(_), Event::Wanted(aim)) => {
            (Phase::Checking(aim), vec![Effect::Check])
        }
        // As long as a version waits, another would have to take its place.
        (Phase::NeedReboot(version), Event::Wanted(_)) => {
            (Phase::NeedReboot(version.clone()), vec![Effect::WantReboot(version)])
        }
        (Phase::Checking(_), Event::NothingNew) => (Phase::Idle, vec![]),
        (Phase::Checking(aim), Event::Offered(version, due)) => match (aim, due) {
            (Aim::TakeNow, Due::Now | Due::Later) | (Aim::TakeWhenDue, Due::Now) => {
                (Phase::Spooling(version.clone()), vec![Effect::Spool(version)])
            }
            (Aim::TakeWhenDue, Due::Later) | (Aim::Look, Due::Now | Due::Later) => {
                (Phase::Available(version), vec![])
            }
        },
        (Phase::Spooling(version), Event::Spooled) => {
            (Phase::Filling(version.clone()), vec![Effect::Fill(version)])
        }
        (Phase::Filling(version), Event::Filled) => {
            (Phase::Verifying(version.clone()), vec![Effect::Verify(version)])
        }
        (Phase::Verifying(version), Event::Verified) => {
            (Phase::Finalizing(version.clone()), vec![Effect::Finalize(version)])
        }
        (Phase::Finalizing(version), Event::Finalized) => {
            (Phase::NeedReboot(version.clone()), vec![Effect::WantReboot(version)])
        }
        (
            Phase::Checking(_)
            | Phase::Spooling(_)
            | Phase::Filling(_)
            | Phase::Verifying(_)
            | Phase::Finalizing(_),
            Event::Failed(why),
        ) => (Phase::Reporting, vec![Effect::Report(why)]),
        (Phase::Reporting, Event::Reported) => (Phase::Idle, vec![]),
        (Phase::NeedReboot(version), Event::Reset) => (Phase::Idle, vec![Effect::ForgetReboot(version)]),
        // Not for this phase: it stays as it is.
        (
            phase,
            Event::Wanted(_)
            | Event::NothingNew
            | Event::Offered(..)
            | Event::Spooled
            | Event::Filled
            | Event::Verified
            | Event::Finalized
            | Event::Failed(_)
            | Event::Reported
            | Event::Reset,
        ) => (phase, vec![]),
    }
}

#[cfg(test)]
mod tests;
