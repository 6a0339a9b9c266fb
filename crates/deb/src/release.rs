//! `Release`: what a suite consists of, when it was made, and the hashes of its indexes.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::control::{self, ControlError};
use crate::date::{self, DateError};

/// Longest `InRelease` that a caller should read, in bytes. Debian's are about 140 KiB.
pub const RELEASE_MAX: u64 = 4 << 20;

/// Longest index that a caller should read, in bytes, unpacked. Debian's main is about 50 MiB.
pub const INDEX_MAX: u64 = 256 << 20;

/// Most files that one `Release` may list.
pub const FILES_MAX: usize = 20_000;

/// Why a text is not a `Release` file, or not one to use now.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReleaseError {
    /// Not a paragraph.
    #[error("reading its fields")]
    Syntax(#[source] ControlError),
    /// No paragraph, or more than one.
    #[error("it has {found} paragraphs instead of 1")]
    Paragraphs {
        /// How many there are.
        found: usize,
    },
    /// A field that every suite has.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// `Date` or `Valid-Until` is not a time.
    #[error("reading the field `{field}`")]
    Date {
        /// Which of the two.
        field: &'static str,
        /// What is wrong.
        #[source]
        source: DateError,
    },
    /// A line of `SHA256` that is not hash, size and path.
    #[error("the field `SHA256` has the line `{0}`")]
    FileLine(String),
    /// More than [`FILES_MAX`] files.
    #[error("it lists more than {FILES_MAX} files")]
    TooManyFiles,
    /// The mirror is stuck, or someone replays an old index.
    #[error("it was valid until `{until}` and is expired")]
    Expired {
        /// The field's text.
        until: String,
    },
    /// Made after now.
    #[error("it is dated `{date}`, which is in the future: is this machine's clock right?")]
    Future {
        /// The field's text.
        date: String,
    },
    /// The text is that of another suite.
    #[error("it is of suite `{found}`, expected `{expected}`")]
    Suite {
        /// The one asked for.
        expected: String,
        /// Its codename.
        found: String,
    },
}

/// Size and hash of a file of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSum {
    /// SHA-256.
    pub sha256: [u8; 32],
    /// Length in bytes.
    pub size: u64,
}

/// A `Release` file whose fields are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `Codename`, for example `trixie-updates`.
    pub codename: String,
    /// `Suite`, for example `stable-updates`.
    pub suite: Option<String>,
    /// `Date`, seconds since 1970.
    pub date: u64,
    /// `Valid-Until`, seconds since 1970. A released suite has none.
    pub valid_until: Option<u64>,
    /// By path relative to the `Release` file, for example `main/binary-amd64/Packages.xz`.
    pub files: BTreeMap<String, FileSum>,
    date_text: String,
    until_text: String,
}

/// Reads a `Release` file. Whether it is signed and fresh is asked elsewhere.
pub fn parse(text: &str) -> Result<Release, ReleaseError> {
    let paragraphs: Vec<_> =
        control::paragraphs(text).collect::<Result<_, _>>().map_err(ReleaseError::Syntax)?;
    let [fields] = paragraphs.as_slice() else {
        return Err(ReleaseError::Paragraphs { found: paragraphs.len() });
    };
    let need = |field: &'static str| fields.get(field).ok_or(ReleaseError::Missing(field));
    let time = |field: &'static str, text: &str| {
        date::parse(text).map_err(|source| ReleaseError::Date { field, source })
    };
    let date_text = need("Date")?;
    let until_text = fields.get("Valid-Until");
    Ok(Release {
        codename: need("Codename")?.to_owned(),
        suite: fields.get("Suite").map(str::to_owned),
        date: time("Date", date_text)?,
        valid_until: until_text.map(|text| time("Valid-Until", text)).transpose()?,
        files: files(need("SHA256")?)?,
        date_text: date_text.to_owned(),
        until_text: until_text.unwrap_or_default().to_owned(),
    })
}

impl Release {
    /// Refuses another suite's file, one that is expired at `now` (seconds since 1970), and one made more
    /// than a day after `now`.
    pub fn check(&self, suite: &str, now: u64) -> Result<(), ReleaseError> {
        if self.codename != suite && self.suite.as_deref() != Some(suite) {
            return Err(ReleaseError::Suite { expected: suite.to_owned(), found: self.codename.clone() });
        }
        if self.valid_until.is_some_and(|until| until < now) {
            return Err(ReleaseError::Expired { until: self.until_text.clone() });
        }
        if now.saturating_add(24 * 60 * 60) < self.date {
            return Err(ReleaseError::Future { date: self.date_text.clone() });
        }
        Ok(())
    }
}

fn files(text: &str) -> Result<BTreeMap<String, FileSum>, ReleaseError> {
    let mut files = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let bad = || ReleaseError::FileLine(line.trim().to_owned());
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [sum, size, path] = words[..] else { return Err(bad()) };
        let sum =
            FileSum { sha256: parse_sha256(sum).ok_or_else(bad)?, size: size.parse().map_err(|_| bad())? };
        if FILES_MAX <= files.len() {
            return Err(ReleaseError::TooManyFiles);
        }
        files.insert(path.to_owned(), sum);
    }
    Ok(files)
}

/// Reads 64 hexadecimal digits.
pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut sum = [0; 32];
    for (out, pair) in sum.iter_mut().zip(bytes.chunks_exact(2)) {
        *out = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn text() -> String {
        format!(
            "Suite: stable-updates\nCodename: trixie-updates\nDate: Sun, 22 Nov 2026 02:09:05 UTC\n\
             Valid-Until: Sun, 29 Nov 2026 02:09:05 UTC\nSHA256:\n {SUM} 12 main/binary-amd64/Packages.xz\n"
        )
    }

    #[test]
    fn reads_files_and_times() {
        let release = parse(&text()).unwrap();
        assert_eq!(release.date, 1_795_313_345);
        let sum = release.files["main/binary-amd64/Packages.xz"];
        assert_eq!((sum.size, sum.sha256[1], sum.sha256[31]), (12, 0x11, 0xff));
        let now = release.date + 60;
        assert_eq!(release.check("trixie-updates", now), Ok(()));
        assert_eq!(release.check("stable-updates", now), Ok(()));
    }

    #[test]
    fn refuses_another_suite_and_stale_or_future_files() {
        let release = parse(&text()).unwrap();
        let wrong = ReleaseError::Suite { expected: "trixie".into(), found: "trixie-updates".into() };
        assert_eq!(release.check("trixie", release.date), Err(wrong));
        let expired = ReleaseError::Expired { until: "Sun, 29 Nov 2026 02:09:05 UTC".into() };
        assert_eq!(release.check("trixie-updates", release.date + 8 * 86_400), Err(expired));
        let future = ReleaseError::Future { date: "Sun, 22 Nov 2026 02:09:05 UTC".into() };
        assert_eq!(release.check("trixie-updates", release.date - 2 * 86_400), Err(future));
    }

    #[test]
    fn rejects_what_is_no_release() {
        assert_eq!(parse(""), Err(ReleaseError::Paragraphs { found: 0 }));
        assert_eq!(parse(&format!("{}\nA: b\n", text())), Err(ReleaseError::Paragraphs { found: 2 }));
        assert!(matches!(parse("x\n"), Err(ReleaseError::Syntax(_))));
        for field in ["Codename", "Date", "SHA256"] {
            let without = text().replace(&format!("{field}:"), &format!("X-{field}:"));
            assert_eq!(parse(&without), Err(ReleaseError::Missing(field)));
        }
        let wrong = text().replace("Sun, 29", "29");
        assert!(matches!(parse(&wrong), Err(ReleaseError::Date { field: "Valid-Until", .. })));
        for line in [format!("{SUM} 12"), format!("{SUM} -1 a"), format!("{} 1 a", &SUM[1..])] {
            let wrong = text() + &format!(" {line}\n");
            assert_eq!(parse(&wrong), Err(ReleaseError::FileLine(line)));
        }
        let many: String = (0..=FILES_MAX).map(|idx| format!(" {SUM} 1 {idx}\n")).collect();
        assert_eq!(parse(&(text() + &many)), Err(ReleaseError::TooManyFiles));
    }
}
