//! What can be asked of a fleet: one trait, whoever answers it. The registry does over etcd, the HTTP client over a
//! socket, and a fake in memory for tests; the HTTP server serves any of them.
//!
//! Entities are those of the original's API: empty fields are left out.

pub mod fake;

use std::collections::BTreeMap;
use std::future::Future;

use fleet_core::model::State;
pub use fleet_core::unit_file::UnitOption;
use fleet_core::utc::Utc;
use serde::{Deserialize, Serialize};

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unit {
    /// Name with suffix.
    pub name: String,
    /// Its options in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<UnitOption>,
    /// The file as it was written; ours, the original had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// How far it is wanted to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_state: Option<State>,
    /// How far it has come; never set for global units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_state: Option<State>,
    /// Where it is placed.
    #[serde(rename = "machineID", default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
}

/// What is wanted of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The file; without it the unit must be there.
    pub content: Option<String>,
    /// How far it is to be; without it, as it was.
    pub desired: Option<State>,
}

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// There was no unit of this name.
    Created,
    /// Its content was replaced.
    Replaced,
    /// The content is as it was.
    Kept,
}

/// A unit as it is on one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitState {
    /// Unit's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Hash of its file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// Machine.
    #[serde(rename = "machineID", default, skip_serializing_if = "String::is_empty")]
    pub machine_id: String,
    /// LOAD.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub systemd_load_state: String,
    /// ACTIVE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub systemd_active_state: String,
    /// SUB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub systemd_sub_state: String,
}

/// A machine that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Id.
    pub id: String,
    /// Address.
    #[serde(rename = "primaryIP", default, skip_serializing_if = "String::is_empty")]
    pub primary_ip: String,
    /// Effective metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// `cordoned` or `draining`; ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
}

/// One change of a machine's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataChange {
    /// Machine, which need not be alive.
    pub machine: String,
    /// Key.
    pub key: String,
    /// New value; none removes the registry's, so that the configured one shows again.
    pub value: Option<String>,
}

/// Which states are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this machine.
    pub machine: Option<String>,
    /// Only of this unit.
    pub unit: Option<String>,
}

/// Where a listing goes on: what the listing before gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Revision of the store that all pages show.
    pub revision: i64,
    /// Last name of the page before.
    pub after: String,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Rows, sorted by name.
    pub rows: Vec<T>,
    /// Where it goes on, if it does.
    pub next: Option<Token>,
}

/// Why a unit is where it is, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// One line: placed where and why, or why not.
    pub summary: String,
    /// Each machine with what speaks against it; empty for one that is eligible.
    pub machines: BTreeMap<String, Vec<String>>,
    /// What the engine says of the unit's machine, or of that which has its claim, if that is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// A machine that is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Machine.
    #[serde(rename = "machineID")]
    pub machine_id: String,
    /// When the engine saw it.
    pub since: Utc,
    /// When its units move if it does not come back; none once it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<Utc>,
    /// Whether it was lost with so many others that it is not believed until then.
    pub mass: bool,
}

/// What `rebalance` would do or has asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Unit.
    pub unit: String,
    /// Machine that it leaves.
    pub from: String,
    /// Machine that it goes to.
    pub to: String,
}

/// What went wrong, as the API says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Which kind.
    pub kind: ErrorKind,
    /// One line that ends in the remedy.
    pub message: String,
}

/// Kinds of errors, each of which has a status in HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400.
    Invalid,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// 503: the store does not answer, has no quorum, or is full.
    Unavailable,
    /// 500.
    Internal,
    /// Nobody answers a client, or not in time; whether a change was made is not known. Has no status of its own: a
    /// server that asks another one says 503.
    Unreachable,
}

impl Error {
    /// Makes an error; `message` is one line that ends in the remedy.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Somebody who answers for a fleet.
pub trait Api: Send + Sync + 'static {
    /// Lists units. Every page shows the revision that the first one was made at; a token whose revision is no longer
    /// kept is `Invalid`.
    fn units(&self, from: Option<Token>) -> impl Future<Output = Result<Page<Unit>, Error>> + Send;
    /// Returns one unit.
    fn unit(&self, name: &str) -> impl Future<Output = Result<Unit, Error>> + Send;
    /// Makes a unit as wanted: a new one is inactive unless the wish says more, a known one whose content differs (other
    /// options, not other comments) gets the new content.
    ///
    /// `Conflict`: an unknown unit without content, or a known one for which nothing else is wanted. `Invalid`: a bad
    /// name, bad content, requirements that exclude each other, or a template that is to be more than inactive.
    fn put_unit(&self, name: &str, wish: Wish) -> impl Future<Output = Result<Put, Error>> + Send;
    /// Removes a unit.
    fn delete_unit(&self, name: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Lists states, by unit and machine.
    fn states(
        &self,
        filter: Filter,
        from: Option<Token>,
    ) -> impl Future<Output = Result<Page<UnitState>, Error>> + Send;
    /// Lists machines that are alive.
    fn machines(&self, from: Option<Token>) -> impl Future<Output = Result<Page<Machine>, Error>> + Send;
    /// Changes metadata of machines in this order, all or none.
    fn change_metadata(&self, changes: Vec<MetadataChange>)
    -> impl Future<Output = Result<(), Error>> + Send;
    /// Says whether a machine takes units; it must be alive unless it is freed.
    fn hold(
        &self,
        machine: &str,
        hold: fleet_core::model::Hold,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Says why a unit is where it is.
    fn explain(&self, name: &str) -> impl Future<Output = Result<Explanation, Error>> + Send;
    /// Says which units would move to even the load out, and asks for it unless it is only looked at.
    fn rebalance(&self, look: Look) -> impl Future<Output = Result<Vec<Move>, Error>> + Send;
}

/// Whether something is done or only said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Only said.
    Only,
    /// Done.
    AndDo,
}
