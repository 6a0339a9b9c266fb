//! Operations: from a semaphore to the next, or a refusal. Nothing here is written anywhere.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Map;
use slots::Version;

use super::json::is_id;
use super::{HOLDERS_MAX, ID_MAX, Semaphore, Slot, State, TEXT_MAX, VersionRecord};

/// Why an operation is refused. The texts are what users read behind `Error locking: ` and `Error unlocking: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A machine of the group failed with the version.
    #[error("version {version} failed on {by}: {failure}")]
    Failed {
        /// The version.
        version: Version,
        /// Machine that failed.
        by: String,
        /// How far it came, and what the failing check said.
        failure: String,
    },
    /// Another machine tries the version, which nobody has found good yet.
    #[error("version {version} is tried by {by} first")]
    Tried {
        /// The version.
        version: Version,
        /// Machine that tries it.
        by: String,
    },
    /// No slot is free.
    #[error("semaphore is at {available}")]
    Full {
        /// Free slots: 0 or less.
        available: i64,
    },
    /// The value would get too large.
    #[error("semaphore has {HOLDERS_MAX} holders, which is the most; make more groups")]
    TooMany,
    /// The machine holds nothing.
    #[error("holder does not exist")]
    NoHolder,
    /// The holder took its slot anew meanwhile.
    #[error("holder {id} took its slot anew")]
    Anew {
        /// The holder.
        id: String,
    },
    /// There is nothing to forgive.
    #[error("version {version} did not fail in this group")]
    DidNotFail {
        /// The version.
        version: Version,
    },
    /// The id is none.
    #[error("machine ids have 1 to {ID_MAX} bytes and no control characters")]
    NotAnId,
}

/// What a machine knows of a version after it tried it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It runs and is blessed.
    Good {
        /// The version.
        version: Version,
        /// When that was seen.
        at: Timestamp,
    },
    /// It failed.
    Failed {
        /// The version.
        version: Version,
        /// When it failed.
        at: Timestamp,
        /// How far it came.
        stage: String,
        /// What the failing check said.
        reason: String,
    },
    /// Neither.
    Neither,
}

impl Semaphore {
    /// Gives a slot to a machine.
    ///
    /// Refuses a version that failed in the group, then one that another machine tries, then when no slot is free. A
    /// present holder needs no free slot: what it says of itself is taken, and since when it holds the slot stays.
    pub fn lock(&self, id: &str, slot: Slot) -> Result<Self, Refusal> {
        if !is_id(id) {
            return Err(Refusal::NotAnId);
        }
        if let Some(version) = &slot.version {
            self.may_try(version, id)?;
        }
        let mut next = self.clone();
        if let Some(present) = next.holders.get_mut(id) {
            *present = match present.take() {
                // Of one without facts it is not known since when: what the machine says now is the first known.
                None => Some(slot),
                Some(before) => Some(before.updated(slot)),
            };
            return Ok(next);
        }
        let available = self.available();
        if available <= 0 {
            return Err(Refusal::Full { available });
        }
        if HOLDERS_MAX <= self.holders.len() {
            return Err(Refusal::TooMany);
        }
        next.holders.insert(id.to_owned(), Some(slot));
        Ok(next)
    }

    /// Says whether a machine may try a version: it has not failed in the group, and is good or tried by nobody else.
    pub fn may_try(&self, version: &Version, id: &str) -> Result<(), Refusal> {
        if let Some(VersionRecord { state: State::Failed { stage, reason }, by, .. }) =
            self.versions.get(version)
        {
            let failure = format!("{stage}: {reason}");
            return Err(Refusal::Failed { version: version.clone(), by: by.clone(), failure });
        }
        match self.tried_by(version, id) {
            Some(by) if !self.is_good(version) => {
                Err(Refusal::Tried { version: version.clone(), by: by.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Takes the slot of a machine back, by the machine itself.
    pub fn unlock(&self, id: &str) -> Result<Self, Refusal> {
        let mut next = self.clone();
        next.holders.remove(id).map(|_| next).ok_or(Refusal::NoHolder)
    }

    /// Takes the slot of a machine from it, by somebody else. If locksmith drained the machine, it is left drained, and
    /// undrains itself when it is back.
    pub fn take_away(&self, id: &str) -> Result<Self, Refusal> {
        let mut next = self.unlock(id)?;
        if self.slot(id).is_some_and(|slot| slot.drained) && next.undrain.len() < HOLDERS_MAX {
            next.undrain.insert(id.to_owned());
        }
        Ok(next)
    }

    /// Takes the slot of a machine from it that never came back: the one it has held since then, and no later one. A version
    /// that it tried, and that nobody found good, counts as failed with it: the next machine must not follow it.
    pub fn release_stale(&self, id: &str, since: Timestamp, now: Timestamp) -> Result<Self, Refusal> {
        let next = self.take_away(id)?;
        let slot = self.slot(id).filter(|slot| slot.since == Some(since));
        let slot = slot.ok_or_else(|| Refusal::Anew { id: id.to_owned() })?;
        let Some(version) = slot.version.clone().filter(|version| !self.is_good(version)) else {
            return Ok(next);
        };
        let (stage, reason) = ("lost".to_owned(), "the machine did not come back".to_owned());
        // The slot was held until now: this is later than what was forgiven, also where that was written by a clock that
        // is ahead of ours.
        let forgiven = self.versions.get(&version).and_then(|record| record.forgiven);
        let after = forgiven.and_then(|at| at.checked_add(Duration::from_secs(1)).ok());
        let at = after.map_or(now, |after| now.max(after));
        Ok(next.record(id, &Outcome::Failed { version, at, stage, reason }))
    }

    /// Records what a machine knows of a version and takes its slot back, if it has one, in one write. The machine is not
    /// drained any more.
    #[must_use]
    pub fn settle(&self, id: &str, outcome: &Outcome) -> Self {
        let mut next = self.record(id, outcome);
        next.holders.remove(id);
        next.undrain.remove(id);
        next
    }

    /// Records what a machine knows of a version.
    ///
    /// The first failure stays until it is forgiven, whoever finds the version good; a failure that was forgiven is not
    /// recorded again. Returns an equal value where nothing is new.
    #[must_use]
    pub fn record(&self, id: &str, outcome: &Outcome) -> Self {
        let mut next = self.clone();
        let (version, state, at) = match outcome {
            Outcome::Neither => return next,
            Outcome::Good { version, at } => (version, State::Good, *at),
            Outcome::Failed { version, at, stage, reason } => {
                (version, State::Failed { stage: shown(stage), reason: shown(reason) }, *at)
            }
        };
        let present = self.versions.get(version);
        let is_known = present.is_some_and(|record| match (&record.state, &state) {
            (State::Failed { .. }, _) | (State::Good, State::Good) => true,
            (_, State::Failed { .. }) => record.forgives(at),
            (State::Good | State::Forgiven, State::Good | State::Forgiven) => false,
        });
        if !is_known {
            let forgiven = present.and_then(|record| record.forgiven);
            let foreign = present.map_or_else(Map::new, |record| record.foreign.clone());
            let record = VersionRecord { state, by: id.to_owned(), at, forgiven, foreign };
            next.versions.insert(version.clone(), record);
            next.keep_newest();
        }
        next
    }

    /// Sets the slots in total. Holders stay, so that fewer slots may be free than none.
    #[must_use]
    pub fn set_max(&self, max: u32) -> Self {
        Self { max: i64::from(max), ..self.clone() }
    }

    /// Lets a version that failed be tried again, by one machine first. Forgiving twice is no failure.
    pub fn forgive(&self, version: &Version, by: &str, now: Timestamp) -> Result<Self, Refusal> {
        let mut next = self.clone();
        let record = next.versions.get_mut(version).filter(|record| record.state != State::Good);
        let record = record.ok_or_else(|| Refusal::DidNotFail { version: version.clone() })?;
        if record.state != State::Forgiven {
            // The failure has the time of the clock of the machine that failed, which may be ahead.
            record.forgiven = Some(now.max(record.at));
            (record.state, record.at, record.by) = (State::Forgiven, now, by.to_owned());
        }
        Ok(next)
    }
}

/// A text of other programs, fit for one line of a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect()
}
