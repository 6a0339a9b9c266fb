//! What became of a version in a group.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// What became of a version in a group.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRecord {
    /// What became of it.
    pub state: State,
    /// The machine that found it good, failed with it, or forgave it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Failures up to then are forgiven; kept when the version becomes good or fails again.
    pub forgiven: Option<Timestamp>,
    /// Fields that are not ours.
    pub foreign: Map<String, Value>,
}

/// States of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A machine has blessed it.
    Good,
    /// A machine has failed with it.
    Failed {
        /// How far it came, as `slipway-update` says it.
        stage: String,
        /// What the failing check said.
        reason: String,
    },
    /// An operator wants it to be tried again.
    Forgiven,
}

#[derive(Serialize)]
pub(super) struct RawRecord<'a> {
    state: &'static str,
    by: &'a str,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forgiven: Option<String>,
    #[serde(flatten)]
    foreign: &'a Map<String, Value>,
}

impl State {
    /// Returns the word of the state.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Failed { .. } => "failed",
            Self::Forgiven => "forgiven",
        }
    }
}

impl VersionRecord {
    /// Returns whether a failure of that time is forgiven.
    pub fn forgives(&self, failure: Timestamp) -> bool {
        self.forgiven.is_some_and(|at| failure <= at)
    }

    pub(super) fn to_raw(&self) -> RawRecord<'_> {
        let (stage, reason) = match &self.state {
            State::Failed { stage, reason } => (Some(stage.as_str()), Some(reason.as_str())),
            State::Good | State::Forgiven => (None, None),
        };
        RawRecord {
            state: self.state.name(),
            by: &self.by,
            at: self.at.to_string(),
            stage,
            reason,
            forgiven: self.forgiven.as_ref().map(Timestamp::to_string),
            foreign: &self.foreign,
        }
    }
}
