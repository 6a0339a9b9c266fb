//! From JSON and back. What is read is foreign: other programs and people write it too.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use slots::Version;

use super::record::{RawRecord, State, VersionRecord};
use super::slot::{RawSlot, Slot};
use super::{HOLDERS_MAX, ID_MAX, SIZE_MAX, Semaphore};

/// Why bytes are no semaphore.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The value is too large to read or to write.
    #[error(
        "the semaphore has {found} bytes, and at most {SIZE_MAX} are used; remove fields that nobody needs"
    )]
    TooLarge {
        /// Its size.
        found: usize,
    },
    /// It is not JSON.
    #[error("the semaphore is not JSON; repair its value, or delete its key while no machine reboots")]
    Json(#[source] serde_json::Error),
    /// A field has another form.
    #[error(
        "the semaphore's {field} is not {expected}; repair its value, or delete its key while no machine reboots"
    )]
    Field {
        /// The field, with the way to it.
        field: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// There are too many holders.
    #[error("the semaphore has {found} holders, and at most {HOLDERS_MAX} are used; make more groups")]
    TooManyHolders {
        /// How many.
        found: usize,
    },
}

#[derive(Serialize)]
struct RawSemaphore<'a> {
    semaphore: i64,
    max: i64,
    holders: Vec<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slots: BTreeMap<&'a str, RawSlot<'a>>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    undrain: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "RawVersions::is_empty")]
    versions: RawVersions<'a>,
    #[serde(flatten)]
    foreign: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct RawVersions<'a> {
    #[serde(flatten)]
    ours: BTreeMap<String, RawRecord<'a>>,
    #[serde(flatten)]
    foreign: &'a Map<String, Value>,
}

impl RawVersions<'_> {
    fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.foreign.is_empty()
    }
}

impl Semaphore {
    /// Reads a value of the original's, or of ours.
    ///
    /// `max` has to be there. Holders come in any order and more than once, or are `null`. What `slots` says of machines
    /// that hold nothing is dropped. Versions and states that we do not know are kept as they are.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if SIZE_MAX < bytes.len() {
            return Err(Error::TooLarge { found: bytes.len() });
        }
        let Value::Object(mut foreign) = serde_json::from_slice(bytes).map_err(Error::Json)? else {
            return Err(field("value", "an object"));
        };
        // Computed anew.
        drop(foreign.remove("semaphore"));
        let max = foreign.remove("max").as_ref().and_then(Value::as_i64);
        let max = max.ok_or_else(|| field("max", "a whole number"))?;
        let ids = machines(foreign.remove("holders"), "holders")?;
        let undrain: BTreeSet<String> = machines(foreign.remove("undrain"), "undrain")?.into_iter().collect();
        let mut slots = object(foreign.remove("slots"), "slots")?;
        let mut holders = BTreeMap::new();
        for id in ids {
            let slot = match slots.remove(&id) {
                None => None,
                Some(value) => Some(slot(value, &format!("slots.{id}"))?),
            };
            holders.insert(id, slot);
        }
        let found = holders.len().max(undrain.len());
        if HOLDERS_MAX < found {
            return Err(Error::TooManyHolders { found });
        }
        let mut versions = BTreeMap::new();
        let mut foreign_versions = Map::new();
        for (name, value) in object(foreign.remove("versions"), "versions")? {
            match known(&name, &value) {
                Some(version) => {
                    versions.insert(version, record(value, &format!("versions.{name}"))?);
                }
                None => {
                    foreign_versions.insert(name, value);
                }
            }
        }
        let mut semaphore = Self { max, holders, undrain, versions, foreign_versions, foreign };
        semaphore.keep_newest();
        Ok(semaphore)
    }

    /// Returns the value as JSON in one line: first what the original has, then `slots` and `versions` where there are
    /// any, then what is not ours. Refused if nobody could read it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let slots = self.holders().filter_map(|(id, slot)| Some((id, slot?.to_raw()))).collect();
        let ours =
            self.versions.iter().map(|(version, record)| (version.to_string(), record.to_raw())).collect();
        let raw = RawSemaphore {
            semaphore: self.available(),
            max: self.max,
            holders: self.holders.keys().map(String::as_str).collect(),
            slots,
            undrain: &self.undrain,
            versions: RawVersions { ours, foreign: &self.foreign_versions },
            foreign: &self.foreign,
        };
        let bytes = serde_json::to_vec(&raw).map_err(Error::Json)?;
        if SIZE_MAX < bytes.len() {
            return Err(Error::TooLarge { found: bytes.len() });
        }
        Ok(bytes)
    }
}

/// Returns whether an id can be a holder's: not empty, not too long, nothing that would spoil a terminal.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_MAX && !id.chars().any(char::is_control)
}

fn field(field: &str, expected: &'static str) -> Error {
    // Names of machines are in it, which may be anything.
    Error::Field { field: field.chars().filter(|c| !c.is_control()).take(200).collect(), expected }
}

fn machines(value: Option<Value>, name: &str) -> Result<Vec<String>, Error> {
    let list = match value {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(list)) => list,
        Some(_) => return Err(field(name, "a list or null")),
    };
    let id = |value| match value {
        Value::String(id) if is_id(&id) => Ok(id),
        _ => Err(field(name, "a list of machine ids of 1 to 128 bytes")),
    };
    list.into_iter().map(id).collect()
}

fn object(value: Option<Value>, name: &str) -> Result<Map<String, Value>, Error> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(field(name, "an object")),
    }
}

/// Takes a text out of an object; absent and null are none.
fn text(map: &mut Map<String, Value>, path: &str, name: &str) -> Result<Option<String>, Error> {
    match map.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= 4096 => Ok(Some(text)),
        Some(_) => Err(field(&format!("{path}.{name}"), "a text of at most 4096 bytes")),
    }
}

fn time(map: &mut Map<String, Value>, path: &str, name: &str) -> Result<Option<Timestamp>, Error> {
    let Some(text) = text(map, path, name)? else { return Ok(None) };
    let expected = "a time such as 2026-11-29T01:00:00Z";
    text.parse().map(Some).map_err(|_| field(&format!("{path}.{name}"), expected))
}

fn slot(value: Value, path: &str) -> Result<Slot, Error> {
    let mut map = object(Some(value), path)?;
    let since = time(&mut map, path, "since")?;
    let boot = text(&mut map, path, "boot")?;
    let version = text(&mut map, path, "version")?.map(|text| text.parse());
    let version =
        version.transpose().map_err(|_| field(&format!("{path}.version"), "a version such as 1.4.0"))?;
    let member = text(&mut map, path, "member")?.map(|text| text.parse());
    let expected = "the hexadecimal id of a member of etcd";
    let member = member.transpose().map_err(|_| field(&format!("{path}.member"), expected))?;
    let drained = match map.remove("drained") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(drained)) => drained,
        Some(_) => return Err(field(&format!("{path}.drained"), "true or false")),
    };
    Ok(Slot { since, boot, version, member, drained, foreign: map })
}

/// Returns the version of an entry of ours; none for an entry that later programs may have put there.
fn known(name: &str, value: &Value) -> Option<Version> {
    let state = value.get("state")?.as_str()?;
    // An unknown version or state is no error.
    let version = name.parse().ok()?;
    ["good", "failed", "forgiven"].contains(&state).then_some(version)
}

fn record(value: Value, path: &str) -> Result<VersionRecord, Error> {
    let mut map = object(Some(value), path)?;
    let state = text(&mut map, path, "state")?.unwrap_or_default();
    let stage = text(&mut map, path, "stage")?.unwrap_or_default();
    let reason = text(&mut map, path, "reason")?.unwrap_or_default();
    let state = match state.as_str() {
        "good" => State::Good,
        "failed" => State::Failed { stage, reason },
        _ => State::Forgiven,
    };
    let by = text(&mut map, path, "by")?.unwrap_or_default();
    let at = time(&mut map, path, "at")?;
    let at = at.ok_or_else(|| field(&format!("{path}.at"), "a time such as 2026-11-29T01:00:00Z"))?;
    let forgiven = time(&mut map, path, "forgiven")?;
    // Who wrote `forgiven` as the state and nothing else meant that moment.
    let forgiven = if state == State::Forgiven { forgiven.or(Some(at)) } else { forgiven };
    Ok(VersionRecord { state, by, at, forgiven, foreign: map })
}
