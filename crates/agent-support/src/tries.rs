//! Records of tries: how far each counted boot of a version came, and why it ended.
//!
//! One JSON file per try on the ESP, `/slipway/tries/<version>/<try>.json`, where `<try>` is the number of tries
//! that the boot loader had counted when this one began:
//!
//! | field | type | meaning |
//! | --- | --- | --- |
//! | `format` | number | 1; a reader skips records of another format |
//! | `try` | number | as in the file name |
//! | `stage` | text | farthest stage: `initrd`, `root`, `userspace`, `health-failed`, `complete` |
//! | `reason` | text | why it ended, empty while it goes on; at most [`REASON_MAX`] bytes |
//! | `time` | number | seconds since 1970 by the machine's clock, which may be wrong that early |
//!
//! A record is replaced at every stage. One that cannot be read is left out: it says nothing about the version.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::host::{self, Host};
use crate::{durable, esp};

/// Folder of the records, below the mount point of the ESP.
pub const TRIES_DIR: &str = "slipway/tries";
/// Copy of the records of failed versions on the root file system.
pub const TRIES_COPY_DIR: &str = "/var/lib/slipway/tries";
/// Longest reason kept: a record is one cluster of the ESP.
pub const REASON_MAX: usize = 2048;

const FORMAT: u32 = 1;
const RECORD_MAX: u64 = 64 * 1024;

/// Stages of a boot, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The initrd runs: kernel and entry were loaded.
    Initrd,
    /// Root, `/usr` and `/etc` are mounted.
    Root,
    /// The system's own PID 1 starts units.
    Userspace,
    /// A health check failed or the system did not finish starting.
    HealthFailed,
    /// All health checks passed.
    Complete,
}

impl Stage {
    /// Returns the name used in records and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initrd => "initrd",
            Self::Root => "root",
            Self::Userspace => "userspace",
            Self::HealthFailed => "health-failed",
            Self::Complete => "complete",
        }
    }
}

/// One try of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Tries counted when this one began, from 1.
    #[serde(rename = "try")]
    pub number: u32,
    /// Farthest stage.
    pub stage: Stage,
    /// Why it ended; empty if it was cut off or goes on.
    pub reason: String,
    /// Seconds since 1970.
    pub time: u64,
}

impl Try {
    /// Returns the record in the terms of the verdict.
    pub fn to_record(&self) -> slots::TryRecord {
        let stage = match self.stage {
            Stage::Initrd | Stage::Root => slots::Stage::Initrd,
            Stage::Userspace => slots::Stage::UserSpace,
            Stage::HealthFailed | Stage::Complete => slots::Stage::Checks,
        };
        let failure = (!self.reason.is_empty()).then(|| self.reason.clone());
        slots::TryRecord { number: self.number, stage, failure }
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    #[serde(flatten)]
    what: Try,
}

/// Stores `record` of `version` below `base`, which is no folder of the ESP.
pub fn store(base: &Path, version: &str, record: Try) -> anyhow::Result<()> {
    let (name, bytes) = encode(record)?;
    durable::write(&base.join(version).join(name), &bytes)
}

/// Stores `record` of `version` on the ESP.
pub fn store_on_esp(host: &Host, version: &str, record: Try) -> anyhow::Result<()> {
    let (name, bytes) = encode(record)?;
    esp::put_record(host, &format!("{TRIES_DIR}/{version}"), &name, &bytes)
}

/// Returns a record's name and content.
fn encode(mut record: Try) -> anyhow::Result<(String, Vec<u8>)> {
    record.reason = shorten(&record.reason);
    let name = format!("{}.json", record.number);
    let bytes =
        serde_json::to_vec(&Record { format: FORMAT, what: record }).context("writing a try record")?;
    Ok((name, bytes))
}

/// Returns the records of `version`, oldest first.
pub fn load(base: &Path, version: &str) -> anyhow::Result<Vec<Try>> {
    let dir = base.join(version);
    let mut tries = Vec::new();
    for name in host::sorted_names(&dir)? {
        if name.ends_with(".json") {
            tries.extend(read_record(&dir.join(name)));
        }
    }
    tries.sort_by_key(|record| record.number);
    Ok(tries)
}

/// Returns the versions that have records.
pub fn versions(base: &Path) -> anyhow::Result<Vec<String>> {
    host::sorted_names(base)
}

/// Removes the records of `version` below `base`, which is no folder of the ESP; none is fine.
pub fn clear(base: &Path, version: &str) -> anyhow::Result<()> {
    durable::remove_all(&base.join(version))
}

/// Removes the records of `version` from the ESP; none is fine.
pub fn clear_on_esp(host: &Host, version: &str) -> anyhow::Result<()> {
    esp::remove_record(host, TRIES_DIR, version)
}

/// Returns `text` cut to what a record holds, at a character boundary.
pub fn shorten(text: &str) -> String {
    let text = text.trim();
    let end = (0..=REASON_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

/// Reads one record; `None` if it is unreadable or of another format, which is not worth failing for.
fn read_record(path: &Path) -> Option<Try> {
    if RECORD_MAX < std::fs::metadata(path).ok()?.len() {
        return None;
    }
    let record: Record = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (record.format == FORMAT).then_some(record.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32, stage: Stage, reason: &str) -> Try {
        Try { number, stage, reason: reason.to_owned(), time: 1_700_000_000 }
    }

    #[test]
    fn records_come_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for number in [10, 2, 1] {
            store(dir.path(), "1.0.0", attempt(number, Stage::Initrd, "no disk")).unwrap();
        }
        store(dir.path(), "1.0.0", attempt(2, Stage::HealthFailed, "docker: no answer")).unwrap();
        let tries = load(dir.path(), "1.0.0").unwrap();
        assert_eq!(tries.iter().map(|t| t.number).collect::<Vec<_>>(), [1, 2, 10]);
        assert_eq!(tries[1], attempt(2, Stage::HealthFailed, "docker: no answer"));
        assert_eq!(versions(dir.path()).unwrap(), ["1.0.0"]);
        clear(dir.path(), "1.0.0").unwrap();
        clear(dir.path(), "1.0.0").unwrap();
        assert_eq!(load(dir.path(), "1.0.0").unwrap(), []);
    }

    #[test]
    fn a_record_has_the_documented_shape() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), "1.0.0", attempt(1, Stage::Userspace, "")).unwrap();
        let text = std::fs::read_to_string(dir.path().join("1.0.0/1.json")).unwrap();
        expect_test::expect![[r#"{"format":1,"try":1,"stage":"userspace","reason":"","time":1700000000}"#]]
            .assert_eq(&text);
    }

    #[test]
    fn torn_foreign_and_huge_records_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), "1.0.0", attempt(1, Stage::Root, "x")).unwrap();
        let file =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join("1.0.0").join(name), bytes).unwrap();
        file("2.json", b"{\"format\":1,\"tr");
        file("3.json", br#"{"format":9,"try":3,"stage":"root","reason":"","time":0}"#);
        file("4.json", &vec![b' '; 65 * 1024]);
        file("5.json.partial", br#"{"format":1,"try":5,"stage":"root","reason":"","time":0}"#);
        assert_eq!(load(dir.path(), "1.0.0").unwrap().len(), 1);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let text = "ä".repeat(REASON_MAX);
        assert!(shorten(&text).len() <= REASON_MAX);
        assert!(shorten(&text).chars().all(|c| c == 'ä'));
    }
}
