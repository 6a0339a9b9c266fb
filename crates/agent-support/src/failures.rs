//! Failures in a row of a blessed entry, counted on the ESP: `/slipway/failures/<version>.json`.
//!
//! | field | type | meaning |
//! | --- | --- | --- |
//! | `format` | number | 1 |
//! | `count` | number | failures of the initrd or of verity since the last boot that was found well |
//! | `reasons` | list | `{ "reason": text, "time": seconds since 1970 }`, newest last, at most [`REASONS_MAX`] |
//!
//! A missing or unreadable file counts as no failure.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::host::{self, Host};
use crate::{esp, tries};

/// Folder of the counts, below the mount point of the ESP.
pub const FAILURES_DIR: &str = "slipway/failures";
/// Reasons kept; older ones are dropped.
pub const REASONS_MAX: usize = 5;

const FORMAT: u32 = 1;
const FILE_MAX: u64 = 64 * 1024;

/// The failures in a row of one version's entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// The newest reasons, newest last.
    pub reasons: Vec<Failure>,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed.
    pub reason: String,
    /// Seconds since 1970.
    pub time: u64,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    #[serde(flatten)]
    what: Failures,
}

impl Failures {
    /// Adds a failure; `count` is what the decision says, the reason is cut to what a record holds.
    pub fn add(&mut self, count: u32, failure: Failure) {
        self.count = count;
        self.reasons.push(Failure { reason: tries::shorten(&failure.reason), time: failure.time });
        let excess = self.reasons.len().saturating_sub(REASONS_MAX);
        self.reasons.drain(..excess);
    }
}

/// Returns the failures of `version` stored below `base` (the ESP's mount point joined with [`FAILURES_DIR`]).
pub fn load(base: &Path, version: &str) -> Failures {
    read(&base.join(file_name(version))).unwrap_or_default()
}

/// Stores the failures of `version` on the ESP.
pub fn store(host: &Host, version: &str, failures: &Failures) -> anyhow::Result<()> {
    let file = File { format: FORMAT, what: failures.clone() };
    let bytes = serde_json::to_vec(&file).context("writing the failures in a row")?;
    esp::put_record(host, FAILURES_DIR, &file_name(version), &bytes)
}

/// Forgets the failures of `version`.
pub fn clear(host: &Host, version: &str) -> anyhow::Result<()> {
    esp::remove_record(host, FAILURES_DIR, &file_name(version))
}

/// Returns the versions that have failures.
pub fn versions(base: &Path) -> anyhow::Result<Vec<String>> {
    Ok(host::sorted_names(base)?
        .iter()
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect())
}

fn file_name(version: &str) -> String {
    format!("{version}.json")
}

/// Reads a count; `None` if there is none that can be read.
fn read(path: &Path) -> Option<Failures> {
    if FILE_MAX < std::fs::metadata(path).ok()?.len() {
        return None;
    }
    let file: File = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (file.format == FORMAT).then_some(file.what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    fn failure(n: u64) -> Failure {
        Failure { reason: format!("failure {n}"), time: n }
    }

    #[test]
    fn counts_and_keeps_the_newest_reasons() {
        let tree = Tree::new();
        let base = tree.host.path("/efi/slipway/failures");
        let mut failures = load(&base, "1.0.0");
        assert_eq!(failures, Failures::default());
        for n in 1..=7 {
            failures.add(u32::try_from(n).unwrap(), failure(n));
            store(&tree.host, "1.0.0", &failures).unwrap();
        }
        let back = load(&base, "1.0.0");
        assert_eq!(back.count, 7);
        assert_eq!(back.reasons, (3..=7).map(failure).collect::<Vec<_>>());
        assert_eq!(versions(&base).unwrap(), ["1.0.0"]);
        clear(&tree.host, "1.0.0").unwrap();
        clear(&tree.host, "1.0.0").unwrap();
        assert_eq!(versions(&base).unwrap(), [""; 0]);
    }

    #[test]
    fn a_torn_file_counts_as_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("1.0.0.json"), b"{\"format\":1,").unwrap();
        assert_eq!(load(dir.path(), "1.0.0"), Failures::default());
    }

    #[test]
    fn the_file_has_the_documented_shape() {
        let tree = Tree::new();
        let mut failures = Failures::default();
        failures.add(1, failure(9));
        store(&tree.host, "1.0.0", &failures).unwrap();
        let text = tree.host.read("/efi/slipway/failures/1.0.0.json").unwrap().unwrap();
        expect_test::expect![[r#"{"format":1,"count":1,"reasons":[{"reason":"failure 9","time":9}]}"#]]
            .assert_eq(&text);
    }
}
