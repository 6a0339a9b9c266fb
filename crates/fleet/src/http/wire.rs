//! Bodies of requests and answers, as both sides have them.
//!
//! Entities are those of [`crate::api`]. Empty lists are left out, so an empty page is `{}`.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};

use fleet_core::model::Hold;

use crate::api::{Machine, Move, Put, Unit, UnitOption, UnitState};

/// A page of units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitPage {
    /// Rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<Unit>,
    /// Where it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A page of states.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitStatePage {
    /// Rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<UnitState>,
    /// Where it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A page of machines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachinePage {
    /// Rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<Machine>,
    /// Where it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What is wanted of a unit. Fields that are only read (`currentState`, `machineID`) may be there and say nothing,
/// so that what was read can be sent back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitWish {
    /// Name, which must be that of the path; optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// State; the original's clients send an empty one for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_state: Option<String>,
    /// The file as options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<UnitOption>>,
    /// The file as it was written; ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Whether a machine takes units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineHold {
    /// `none`, `cordoned` or `draining`.
    pub hold: Hold,
}

/// What moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// Rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error.
    pub error: FailureDetail,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureDetail {
    /// The status again.
    pub code: u16,
    /// What is wrong, and the remedy.
    #[serde(default)]
    pub message: String,
}

/// The header that says what became of a unit: the status of one that was replaced is that of a new one.
pub const PUT_HEADER: &str = "fleet-put";

/// Returns the header's word.
pub fn put_word(put: Put) -> &'static str {
    match put {
        Put::Created => "created",
        Put::Replaced => "replaced",
        Put::Kept => "kept",
    }
}

/// Returns what a word stands for, if it is one.
pub fn put_of(word: &str) -> Option<Put> {
    [Put::Created, Put::Replaced, Put::Kept].into_iter().find(|put| put_word(*put) == word)
}

/// Reads a body that is one object. A list is refused, though it could be taken for the fields in their order.
///
/// # Errors
/// When it is no such object.
pub fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => serde_json::from_slice(body),
        _ => Err(serde_json::Error::custom("an object is expected")),
    }
}
