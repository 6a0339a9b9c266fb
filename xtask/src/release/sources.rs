//! `sources.lock`: every file of the source packages that the published packages were built from, by hash.
//!
//! One line a file, sorted: `source NAME VERSION ARCHIVE PATH SIZE SHA256`; `docs/formats/release.md` says more.

use std::collections::BTreeSet;

use anyhow::Context as _;

use crate::lock::Row;
use crate::sbom::Source;

/// The only format that this program reads and writes.
const FORMAT: &str = "1";
/// Word in the place of an architecture.
pub const ARCHITECTURE: &str = "source";

/// The lock. Exists only if valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcesLock {
    /// Rows whose architecture is `source`, sorted.
    pub rows: Vec<Row>,
}

impl SourcesLock {
    /// Returns the text of the file.
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "# Written by `cargo xtask release`; docs/formats/release.md describes it.\nformat {FORMAT}\n"
        );
        for row in &self.rows {
            let Row { name, version, archive, path, size, sha256, .. } = row;
            writeln!(text, "source {name} {version} {archive} {path} {size} {sha256}")
                .expect("writing to a string cannot fail");
        }
        text
    }

    /// Reads the text of the file; errors name the line.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (mut rows, mut format) = (Vec::new(), None);
        for (number, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split(' ').collect();
            let read = match words[..] {
                ["#", ..] => Ok(()),
                ["format", value] => {
                    format = Some(value.to_owned());
                    Ok(())
                }
                ["source", name, version, archive, path, size, sha256] => Row::parse(&format!(
                    "{ARCHITECTURE} {name} {version} {ARCHITECTURE} {archive} {path} {size} {sha256}"
                ))
                .map(|row| rows.push(row)),
                _ => Err(anyhow::anyhow!("not a line of a lock of sources: `{line}`")),
            };
            read.with_context(|| format!("line {number}"))?;
        }
        anyhow::ensure!(format.as_deref() == Some(FORMAT), "it has no line `format {FORMAT}`");
        Ok(Self::of(rows))
    }

    /// Sorts the rows.
    pub fn of(mut rows: Vec<Row>) -> Self {
        rows.sort();
        rows.dedup();
        Self { rows }
    }

    /// The source packages that it has.
    pub fn sources(&self) -> BTreeSet<Source> {
        let of = |row: &Row| Source { name: row.name.clone(), version: row.version.clone() };
        self.rows.iter().map(of).collect()
    }
}

/// A row of one file.
pub fn row(name: &str, version: &str, archive: &str, file: &deb::source_index::SourceFile) -> Row {
    Row {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: ARCHITECTURE.to_owned(),
        groups: [ARCHITECTURE.to_owned()].into(),
        archive: archive.to_owned(),
        path: file.path.clone(),
        size: file.size,
        sha256: crate::hash::hex(&file.sha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deb::source_index::SourceFile;

    fn lock() -> SourcesLock {
        let file = |end: &str| SourceFile {
            path: format!("pool/main/g/gawk/gawk_5.{end}"),
            size: 12,
            sha256: [7; 32],
        };
        let rows = ["orig.tar.xz", "dsc"].map(|end| row("gawk", "1:5-2", "debian", &file(end)));
        SourcesLock::of(rows.to_vec())
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let text = lock().text();
        assert!(text.contains("\nsource gawk 1:5-2 debian pool/main/g/gawk/gawk_5.dsc 12 0707"), "{text}");
        assert_eq!(SourcesLock::parse(&text).unwrap(), lock());
        let source = Source { name: "gawk".to_owned(), version: "1:5-2".to_owned() };
        assert_eq!(lock().sources(), [source].into());
    }

    #[test]
    fn broken_lines_are_refused_with_their_number() {
        for (from, to, says) in [
            ("format 1", "format 2", "no line `format 1`"),
            ("source gawk", "sources gawk", "line 3: not a line"),
            (" 12 ", " x ", "line 3: size `x`"),
            ("pool/main", "../main", "line 3: `../main"),
        ] {
            let text = lock().text();
            assert!(text.contains(from), "{from}");
            let err = format!("{:#}", SourcesLock::parse(&text.replace(from, to)).unwrap_err());
            assert!(err.contains(says), "{err}");
        }
    }
}
