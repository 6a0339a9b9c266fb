//! Changes of metadata as JSON Patch (RFC 6902): `add`, `replace` and `remove` of `/MACHINE/metadata/KEY`.
//!
//! The original's documents showed `"value":"x"`, its server took only `"value":{"value":"x"}`; both are read here and
//! the first is written.

use serde::{Deserialize, Serialize};

use crate::api::MetadataChange;

/// Longest id of a machine; those of `/etc/machine-id` have 32 characters.
const MAX_ID_BYTES: usize = 64;

/// One operation as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Operation {
    op: String,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

/// A value in either shape.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Plain(String),
    Object { value: String },
}

/// Why a patch is refused.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// No list of operations.
    #[error("the body is no JSON Patch, a list of objects with op, path and value: {0}")]
    Json(serde_json::Error),
    /// An operation of JSON Patch that is not done here.
    #[error("operation {index} is {op:?}: add, replace and remove are possible")]
    Operation {
        /// Which one, from 0.
        index: usize,
        /// What it is.
        op: String,
    },
    /// A path to something else.
    #[error(
        "operation {index} has the path {path:?}: /MACHINE/metadata/KEY is possible, where a key has letters, digits, \
         '_', '.' and '-'"
    )]
    Path {
        /// Which one, from 0.
        index: usize,
        /// The path.
        path: String,
    },
    /// No value where one is needed.
    #[error("operation {index}, {op} of {path}, has no value: give one, such as \"value\":\"x\"")]
    Value {
        /// Which one, from 0.
        index: usize,
        /// What it is.
        op: String,
        /// The path.
        path: String,
    },
}

/// Reads a patch; every operation is looked at before any is returned.
///
/// # Errors
/// When one of them cannot be done.
pub fn read(body: &[u8]) -> Result<Vec<MetadataChange>, PatchError> {
    let operations: Vec<Operation> = serde_json::from_slice(body).map_err(PatchError::Json)?;
    operations.into_iter().enumerate().map(|(index, operation)| change(index, operation)).collect()
}

/// Writes a patch.
pub fn write(changes: &[MetadataChange]) -> Vec<u8> {
    let operations: Vec<Operation> = changes
        .iter()
        .map(|change| Operation {
            op: if change.value.is_some() { "add" } else { "remove" }.to_owned(),
            path: format!("/{}/metadata/{}", change.machine, change.key),
            value: change.value.clone().map(Value::Plain),
        })
        .collect();
    serde_json::to_vec(&operations).expect("a list of texts is JSON")
}

fn change(index: usize, operation: Operation) -> Result<MetadataChange, PatchError> {
    let Operation { op, path, value } = operation;
    let Some((machine, key)) = place(&path) else {
        return Err(PatchError::Path { index, path });
    };
    let (machine, key) = (machine.to_owned(), key.to_owned());
    let value = match (op.as_str(), value) {
        ("remove", _) => None,
        ("add" | "replace", Some(Value::Plain(value) | Value::Object { value })) => Some(value),
        ("add" | "replace", None) => return Err(PatchError::Value { index, op, path }),
        _ => return Err(PatchError::Operation { index, op }),
    };
    Ok(MetadataChange { machine, key, value })
}

/// Says whether a text can be the id of a machine.
pub fn is_machine(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && is_key(id)
}

/// Returns machine and key of a path. Neither has a character that JSON Pointer escapes.
fn place(path: &str) -> Option<(&str, &str)> {
    let (machine, rest) = path.strip_prefix('/')?.split_once('/')?;
    let key = rest.strip_prefix("metadata/")?;
    (is_machine(machine) && is_key(key)).then_some((machine, key))
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "148a18ff6e954cd892dac9de9bb90d5a";

    fn read_one(op: &str, path: &str, rest: &str) -> Result<Vec<MetadataChange>, String> {
        let body = format!(r#"[{{"op":"{op}","path":"{path}"{rest}}}]"#);
        read(body.as_bytes()).map_err(|err| err.to_string())
    }

    fn set(value: Option<&str>) -> Vec<MetadataChange> {
        let value = value.map(str::to_owned);
        vec![MetadataChange { machine: ID.to_owned(), key: "region".to_owned(), value }]
    }

    #[test]
    fn values_have_either_shape() {
        let path = format!("/{ID}/metadata/region");
        assert_eq!(read_one("add", &path, r#","value":"us""#), Ok(set(Some("us"))));
        assert_eq!(read_one("replace", &path, r#","value":{"value":"us"}"#), Ok(set(Some("us"))));
        assert_eq!(read_one("add", &path, r#","value":"""#), Ok(set(Some(""))));
        assert_eq!(read_one("remove", &path, ""), Ok(set(None)));
        assert_eq!(read_one("remove", &path, r#","value":"us""#), Ok(set(None)));
    }

    #[test]
    fn one_wrong_operation_refuses_all() {
        let path = format!("/{ID}/metadata/region");
        let body = format!(
            r#"[{{"op":"add","path":"{path}","value":"us"}},{{"op":"move","path":"{path}","value":"us"}}]"#
        );
        let err = read(body.as_bytes()).unwrap_err();
        assert!(matches!(err, PatchError::Operation { index: 1, .. }), "{err}");
    }

    #[test]
    fn a_value_is_needed_to_set_one() {
        let path = format!("/{ID}/metadata/region");
        for rest in ["", r#","value":null"#] {
            let err = read_one("add", &path, rest).unwrap_err();
            assert!(err.contains("has no value"), "{err}");
        }
        for rest in [r#","value":1"#, r#","value":{"x":"y"}"#, r#","value":["x"]"#] {
            let err = read_one("add", &path, rest).unwrap_err();
            assert!(err.contains("no JSON Patch"), "{err}");
        }
    }

    #[test]
    fn other_paths_are_refused() {
        let long = format!("/{}/metadata/region", "a".repeat(65));
        for path in [
            "",
            "/",
            "/x",
            "/x/metadata",
            "/x/metadata/",
            "//metadata/region",
            "/x/metadata/a/b",
            "/x/metadata/a~1b",
            "/x/metadata/ä",
            "/x/hold/y",
            "x/metadata/region",
            "/a b/metadata/region",
            &long,
        ] {
            let err = read_one("add", path, r#","value":"us""#).unwrap_err();
            assert!(err.contains("has the path"), "{path}: {err}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in ["", "{}", "[1]", "null", r#"[{"op":"add"}]"#] {
            assert!(matches!(read(body.as_bytes()), Err(PatchError::Json(_))), "{body}");
        }
        assert_eq!(read(b"[]").unwrap(), []);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            changes in proptest::collection::vec(
                ("[0-9a-f]{32}", "[A-Za-z0-9_.-]{1,20}", proptest::option::of(any::<String>())),
                0..8,
            )
        ) {
            let changes: Vec<MetadataChange> = changes
                .into_iter()
                .map(|(machine, key, value)| MetadataChange { machine, key, value })
                .collect();
            prop_assert_eq!(read(&write(&changes)).unwrap(), changes);
        }

        #[test]
        fn no_body_breaks_it(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&body);
        }
    }
}
