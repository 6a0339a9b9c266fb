//! What a daemon tells others of its machine: the value of `/coreos.com/updateengine/machines/<machine id>`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slots::Version;

use crate::order::Phase;

/// Where the machines are.
pub const PREFIX: &str = "/coreos.com/updateengine/machines/";
/// Largest value in bytes.
const SIZE_MAX: usize = 64 * 1024;

/// What a daemon tells of its machine. Each text is for people and programs that only show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The version that runs.
    pub version: Option<Version>,
    /// The slot that it runs from: `A` or `B`.
    pub slot: Option<String>,
    /// The word of its strategy.
    pub strategy: String,
    /// Its group; empty for the default.
    pub group: String,
    /// How far it is, see [`Phase::name`].
    pub phase: String,
    /// Why it is there.
    pub why: String,
    /// The version that waits for a reboot.
    pub waiting: Option<Version>,
    /// Its boot.
    pub boot: String,
    /// When this was written.
    pub at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Raw {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    slot: Option<String>,
    #[serde(default)]
    strategy: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    phase: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    waiting: Option<String>,
    #[serde(default)]
    boot: String,
    at: String,
}

/// Why bytes are no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They are too many.
    #[error(
        "the report has {found} bytes, and at most {SIZE_MAX} are read; `locksmithctl forget` removes it"
    )]
    TooLarge {
        /// Their number.
        found: usize,
    },
    /// They are not the JSON of a report.
    #[error("the report is not JSON as a daemon writes it; `locksmithctl forget` removes it")]
    Json(#[source] serde_json::Error),
    /// A field has another form.
    #[error("the report's {field} is `{found}`; `locksmithctl forget` removes it")]
    Field {
        /// The field.
        field: &'static str,
        /// Its text.
        found: String,
    },
}

/// Returns the key of a machine's report.
pub fn key(machine: &str) -> String {
    format!("{PREFIX}{machine}")
}

impl Report {
    /// Reads a report. Fields of later programs are passed over, and those that are missing are empty.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if SIZE_MAX < bytes.len() {
            return Err(Error::TooLarge { found: bytes.len() });
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(Error::Json)?;
        let at = raw.at.parse().map_err(|_| Error::Field { field: "at", found: raw.at.clone() })?;
        Ok(Self {
            version: version("version", raw.version)?,
            slot: raw.slot,
            strategy: raw.strategy,
            group: raw.group,
            phase: raw.phase,
            why: raw.why,
            waiting: version("waiting", raw.waiting)?,
            boot: raw.boot,
            at,
        })
    }

    /// Returns the report as JSON in one line.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { version, slot, strategy, group, phase, why, waiting, boot, at } = self.clone();
        let (version, waiting) = (version.map(|it| it.to_string()), waiting.map(|it| it.to_string()));
        let at = at.to_string();
        let raw = Raw { version, slot, strategy, group, phase, why, waiting, boot, at };
        // Texts only: nothing of it can fail.
        serde_json::to_vec(&raw).unwrap_or_default()
    }

    /// Returns whether two reports say the same, whenever they were written: then the later is not written.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { at: other.at, ..self.clone() } == *other
    }

    /// Takes over how far a machine is.
    pub fn tell(&mut self, phase: Phase, why: &str) {
        (self.phase, self.why) = (phase.name().to_owned(), why.to_owned());
    }
}

fn version(field: &'static str, text: Option<String>) -> Result<Option<Version>, Error> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Error::Field { field, found: text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            version: Some("1.4.0".parse().unwrap()),
            slot: Some("A".to_owned()),
            strategy: "etcd-lock".to_owned(),
            group: "web".to_owned(),
            phase: "idle".to_owned(),
            why: "nothing waits".to_owned(),
            waiting: None,
            boot: "b1".to_owned(),
            at: "2026-11-29T01:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_value_has_the_documented_shape() {
        let text = String::from_utf8(report().to_bytes()).unwrap();
        expect_test::expect![[
            r#"{"version":"1.4.0","slot":"A","strategy":"etcd-lock","group":"web","phase":"idle","why":"nothing waits","waiting":null,"boot":"b1","at":"2026-11-29T01:00:00Z"}"#
        ]]
        .assert_eq(&text);
        assert_eq!(Report::parse(text.as_bytes()).unwrap(), report());
    }

    #[test]
    fn what_is_missing_is_empty_and_what_is_unknown_is_passed_over() {
        let found = Report::parse(br#"{"at":"2026-11-29T01:00:00Z","new":[1]}"#).unwrap();
        assert_eq!((found.version, found.phase.as_str()), (None, ""));
    }

    #[test]
    fn another_value_is_refused() {
        let parse = |text: &str| Report::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(parse("{}"), Error::Json(_)));
        assert!(matches!(parse(r#"{"at":"today"}"#), Error::Field { field: "at", .. }));
        let found = parse(r#"{"at":"2026-11-29T01:00:00Z","waiting":"x"}"#).to_string();
        assert_eq!(found, "the report's waiting is `x`; `locksmithctl forget` removes it");
        assert!(matches!(parse(&" ".repeat(SIZE_MAX + 1)), Error::TooLarge { .. }));
    }

    #[test]
    fn the_time_alone_is_no_change() {
        let mut later = report();
        later.at = "2026-11-30T01:00:00Z".parse().unwrap();
        assert!(later.says_the_same(&report()));
        later.tell(Phase::Locking, "semaphore is at 0");
        assert!(!later.says_the_same(&report()));
    }
}
