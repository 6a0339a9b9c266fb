//! Values of the registry: one JSON object a key. Fields that a version does not know are left alone when it reads, and
//! gone when it writes. What `lost/` has is [`fleet_core::engine::Told`].

use std::collections::BTreeMap;

use fleet_core::model::{Hold, MachineId, Report, State};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The registry's beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Number of the layout of keys and values.
    pub format: u32,
    /// Who made it.
    pub machine: MachineId,
}

/// A unit, global or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitValue {
    /// The file as it was written.
    pub content: String,
    /// How far it is wanted to be.
    pub desired: State,
}

/// Which machine a unit is on. There is one such key a unit, so no unit is on two machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceValue {
    /// The machine, which has the unit's entry.
    pub machine: MachineId,
}

/// What a machine is told of a unit that is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryValue {
    /// The file as it was written.
    pub content: String,
    /// How far it is wanted to be.
    pub desired: State,
    /// Whether it is a oneshot that has finished: then it is not started again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
    /// Why it was placed there.
    pub reason: String,
    /// Machine that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<MachineId>,
}

/// What a machine reports of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateValue {
    /// How it is.
    #[serde(flatten)]
    pub report: Report,
    /// Modification of the entry that this is about.
    pub entry: i64,
}

/// Who may run an exclusive unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimValue {
    /// The machine.
    pub machine: MachineId,
    /// Modification of its entry.
    pub entry: i64,
}

/// A machine that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineValue {
    /// Address that others reach it at; empty if unknown.
    pub ip: String,
    /// Configured metadata.
    pub metadata: BTreeMap<String, String>,
    /// Version of its program.
    pub version: String,
    /// Which start of the machine it is.
    pub boot: String,
}

/// One of a machine's metadata, over the configured one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaValue {
    /// Value; an empty one hides the configured one.
    pub value: String,
}

/// Whether a machine takes units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldValue {
    /// What is held.
    pub hold: Hold,
}

/// Somebody asked for even load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebalanceValue {
    /// Machine whose API was asked.
    pub machine: MachineId,
}

/// The engine's term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermValue {
    /// Machine.
    pub machine: MachineId,
    /// Version of its program.
    pub version: String,
}

/// A value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value is not understood: {0}")]
pub struct ValueError(pub String);

/// Reads a value.
///
/// # Errors
/// When it is no such object.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ValueError> {
    serde_json::from_slice(bytes).map_err(|err| ValueError(err.to_string()))
}

/// Writes a value.
///
/// # Panics
/// Never: maps of the values have texts as keys.
pub fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("values of the registry have a form in JSON")
}

#[cfg(test)]
mod tests {
    use fleet_core::engine::Told;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_have_the_documented_form() {
        let entry = EntryValue {
            content: "[Service]\n".to_owned(),
            desired: State::Launched,
            finished: false,
            reason: "r".to_owned(),
            from: None,
        };
        let text = r#"{"content":"[Service]\n","desired":"launched","reason":"r"}"#;
        assert_eq!(String::from_utf8(to_json(&entry)).unwrap(), text);
        assert_eq!(from_json::<EntryValue>(text.as_bytes()).unwrap(), entry);
        let state =
            r#"{"hash":"h","load":"loaded","active":"active","sub":"running","started":true,"entry":7}"#;
        let read: StateValue = from_json(state.as_bytes()).unwrap();
        assert_eq!((read.report.sub.as_str(), read.entry), ("running", 7));
        assert_eq!(String::from_utf8(to_json(&read)).unwrap(), state);
        let lost = r#"{"since":"2026-11-29T01:02:03Z","moves":null,"mass":false}"#;
        let read: Told = from_json(lost.as_bytes()).unwrap();
        assert_eq!((read.since.to_string().as_str(), read.moves), ("2026-11-29T01:02:03Z", None));
        assert_eq!(String::from_utf8(to_json(&read)).unwrap(), lost);
        let hold = to_json(&HoldValue { hold: Hold::Draining });
        assert_eq!(String::from_utf8(hold).unwrap(), r#"{"hold":"draining"}"#);
    }

    #[test]
    fn a_later_versions_field_is_left_alone() {
        let unit: UnitValue = from_json(br#"{"content":"x","desired":"loaded","later":1}"#).unwrap();
        assert_eq!(unit.desired, State::Loaded);
    }

    #[test]
    fn a_wrong_value_is_an_error_that_says_where() {
        let err = from_json::<UnitValue>(br#"{"content":"x","desired":"running"}"#).unwrap_err();
        assert!(err.to_string().contains("unknown variant `running`"), "{err}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _read_or_refused = from_json::<EntryValue>(&bytes);
            let _read_or_refused = from_json::<StateValue>(&bytes);
        }

        #[test]
        fn what_is_written_is_read(content in ".{0,40}", reason in ".{0,10}", finished: bool) {
            let (desired, from) = (State::Loaded, Some(MachineId("m".to_owned())));
            let entry = EntryValue { content, desired, finished, reason, from };
            prop_assert_eq!(from_json::<EntryValue>(&to_json(&entry)).unwrap(), entry);
        }
    }
}
