//! `Sources`: the source packages that one component of a suite offers (dsc(5), and the archive's own additions).

use thiserror::Error;

use crate::control::{self, ControlError, Paragraph};
use crate::dependency::is_package_name;
use crate::index::is_archive_path;
use crate::release::parse_sha256;
use crate::version::{Version, VersionError};

/// Most source packages in one index. Debian's main has about 40 000.
pub const SOURCES_MAX: usize = 1_000_000;

/// Most files of one source package. Those with many upstream tarballs have some dozens.
pub const FILES_MAX: usize = 1000;

/// Why a text is not an index of source packages.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SourceIndexError {
    /// Not made of paragraphs.
    #[error("reading the fields of the index")]
    Syntax(#[source] ControlError),
    /// A field that every source package has.
    #[error("line {line}: the field `{field}` is missing")]
    Missing {
        /// Where the package starts, counted from 1.
        line: usize,
        /// The missing one.
        field: &'static str,
    },
    /// A field's value does not fit.
    #[error("line {line}: the field `{field}` has `{value}`")]
    Value {
        /// Where the package starts, counted from 1.
        line: usize,
        /// Its name.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// The version is none.
    #[error("line {line}: reading the version")]
    Version {
        /// Where the package starts, counted from 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: VersionError,
    },
    /// More than [`SOURCES_MAX`].
    #[error("the index has more than {SOURCES_MAX} source packages")]
    TooMany,
}

/// One source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Description, upstream's and the distribution's part, signatures.
    pub files: Vec<SourceFile>,
}

/// One file of a source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path below the archive's folder: relative, without `..`.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// Its hash.
    pub sha256: [u8; 32],
}

/// Reads an index and keeps the source packages whose name and version (as written) are wanted.
pub fn parse(
    text: &str,
    wanted: impl Fn(&str, &str) -> bool,
) -> Result<Vec<SourcePackage>, SourceIndexError> {
    let mut packages = Vec::new();
    for (idx, paragraph) in control::paragraphs(text).enumerate() {
        if SOURCES_MAX <= idx {
            return Err(SourceIndexError::TooMany);
        }
        let fields = paragraph.map_err(SourceIndexError::Syntax)?;
        let (name, version) = (need(&fields, "Package")?, need(&fields, "Version")?);
        if wanted(name, version) {
            packages.push(package(&fields, name, version)?);
        }
    }
    Ok(packages)
}

fn need<'a>(fields: &Paragraph<'a>, field: &'static str) -> Result<&'a str, SourceIndexError> {
    fields.get(field).ok_or(SourceIndexError::Missing { line: fields.line, field })
}

fn package(fields: &Paragraph<'_>, name: &str, version: &str) -> Result<SourcePackage, SourceIndexError> {
    let line = fields.line;
    let bad = |field, value: &str| SourceIndexError::Value { line, field, value: value.to_owned() };
    if !is_package_name(name) {
        return Err(bad("Package", name));
    }
    let directory = need(fields, "Directory")?;
    let sums = need(fields, "Checksums-Sha256")?;
    let mut files = Vec::new();
    for row in sums.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let wrong = || bad("Checksums-Sha256", row);
        let words: Vec<&str> = row.split_ascii_whitespace().collect();
        let [sha256, size, file] = words[..] else { return Err(wrong()) };
        let path = format!("{directory}/{file}");
        if file.contains('/') || !is_archive_path(&path) || FILES_MAX <= files.len() {
            return Err(wrong());
        }
        let sha256 = parse_sha256(sha256).ok_or_else(wrong)?;
        files.push(SourceFile { path, size: size.parse().map_err(|_| wrong())?, sha256 });
    }
    if files.is_empty() {
        return Err(bad("Checksums-Sha256", sums));
    }
    Ok(SourcePackage {
        name: name.to_owned(),
        version: version.parse().map_err(|source| SourceIndexError::Version { line, source })?,
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn text() -> String {
        format!(
            "Package: gawk\nBinary: gawk\nVersion: 1:5.2.1-2\nDirectory: pool/main/g/gawk\nChecksums-Sha256:\n \
             {SUM} 12 gawk_5.2.1-2.dsc\n {SUM} 34 gawk_5.2.1.orig.tar.xz\n\nPackage: other\nVersion: 1\n"
        )
    }

    #[test]
    fn reads_the_files_of_what_is_wanted_and_passes_over_the_rest() {
        let found = parse(&text(), |name, version| (name, version) == ("gawk", "1:5.2.1-2")).unwrap();
        let [gawk] = found.as_slice() else { panic!("{found:?}") };
        let paths: Vec<_> = gawk.files.iter().map(|file| (file.path.as_str(), file.size)).collect();
        assert_eq!(
            paths,
            [("pool/main/g/gawk/gawk_5.2.1-2.dsc", 12), ("pool/main/g/gawk/gawk_5.2.1.orig.tar.xz", 34)]
        );
        assert!(parse(&text(), |_, _| false).unwrap().is_empty());
    }

    #[track_caller]
    fn rejects(from: &str, to: &str, says: &str) {
        let changed = text().replace(from, to);
        assert_ne!(changed, text(), "{from}");
        let err = parse(&changed, |name, _| name != "other").unwrap_err();
        assert!(err.to_string().contains(says), "{err}");
    }

    #[test]
    fn rejects_broken_source_packages() {
        rejects("Package: gawk", "Package: ga/wk", "the field `Package` has `ga/wk`");
        rejects("Directory: pool/main/g/gawk\n", "", "the field `Directory` is missing");
        rejects("pool/main", "../main", "the field `Checksums-Sha256` has");
        rejects(" 12 ", " ", "the field `Checksums-Sha256` has");
        rejects(" 12 ", " -12 ", "the field `Checksums-Sha256` has");
        rejects(" gawk_5.2.1-2.dsc", " a/gawk_5.2.1-2.dsc", "the field `Checksums-Sha256` has");
        rejects("0011", "zz11", "the field `Checksums-Sha256` has");
        rejects("Version: 1:5.2.1-2", "Version: x:5", "reading the version");
        rejects("Version: 1:5.2.1-2\n", "", "the field `Version` is missing");
        rejects("Binary: gawk", "Binary", "reading the fields");
    }
}
