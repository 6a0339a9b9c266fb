//! `Packages`: the binary packages that one component of a suite offers for an architecture.

use thiserror::Error;

use crate::control::{self, ControlError, Paragraph};
use crate::dependency::{self, Alternatives, DependencyError, Relation, is_package_name};
use crate::release::parse_sha256;
use crate::version::{Version, VersionError};

/// Most packages in one index. Debian's main has about 70 000.
pub const PACKAGES_MAX: usize = 1_000_000;

/// Why a text is not an index.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IndexError {
    /// Not made of paragraphs.
    #[error("reading the fields of the index")]
    Syntax(#[source] ControlError),
    /// A field that every package has.
    #[error("line {line}: the field `{field}` is missing")]
    Missing {
        /// Where the package starts, counted from 1.
        line: usize,
        /// The missing one.
        field: &'static str,
    },
    /// A field's value does not fit.
    #[error("line {line}: the field `{field}` is `{value}`")]
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
    /// A dependency is none.
    #[error("line {line}: reading `{field}`")]
    Dependency {
        /// Where the package starts, counted from 1.
        line: usize,
        /// Its name.
        field: &'static str,
        /// What is wrong.
        #[source]
        source: DependencyError,
    },
    /// More than [`PACKAGES_MAX`].
    #[error("the index has more than {PACKAGES_MAX} packages")]
    TooMany,
}

/// One package as an index describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// `all` or a machine's.
    pub architecture: String,
    /// `Pre-Depends` and `Depends`, in this order.
    pub depends: Vec<Alternatives>,
    /// The other names under which it may be wanted, perhaps with a version.
    pub provides: Vec<Relation>,
    /// Path of the `.deb` below the archive's folder: relative, without `..`.
    pub path: String,
    /// Length of the `.deb` in bytes.
    pub size: u64,
    /// Hash of the `.deb`.
    pub sha256: [u8; 32],
}

/// Reads a whole index.
pub fn parse(text: &str) -> Result<Vec<Package>, IndexError> {
    let mut packages = Vec::new();
    for paragraph in control::paragraphs(text) {
        if PACKAGES_MAX <= packages.len() {
            return Err(IndexError::TooMany);
        }
        packages.push(package(&paragraph.map_err(IndexError::Syntax)?)?);
    }
    Ok(packages)
}

fn package(fields: &Paragraph<'_>) -> Result<Package, IndexError> {
    let line = fields.line;
    let need = |field: &'static str| fields.get(field).ok_or(IndexError::Missing { line, field });
    let bad = |field, value: &str| IndexError::Value { line, field, value: value.to_owned() };
    let relations = |field: &'static str| {
        dependency::parse_field(fields.get(field).unwrap_or_default())
            .map_err(|source| IndexError::Dependency { line, field, source })
    };

    let name = need("Package")?;
    if !is_package_name(name) {
        return Err(bad("Package", name));
    }
    let architecture = need("Architecture")?;
    if architecture.is_empty() || !architecture.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(bad("Architecture", architecture));
    }
    let path = need("Filename")?;
    if !is_archive_path(path) {
        return Err(bad("Filename", path));
    }
    let size = need("Size")?;
    let sha256 = need("SHA256")?;
    let mut depends = relations("Pre-Depends")?;
    depends.extend(relations("Depends")?);
    Ok(Package {
        name: name.to_owned(),
        version: need("Version")?.parse().map_err(|source| IndexError::Version { line, source })?,
        architecture: architecture.to_owned(),
        depends,
        provides: relations("Provides")?.into_iter().flatten().collect(),
        path: path.to_owned(),
        size: size.parse().map_err(|_| bad("Size", size))?,
        sha256: parse_sha256(sha256).ok_or_else(|| bad("SHA256", sha256))?,
    })
}

/// Tells whether a path stays below the folder that it is joined to and is safe in a URL and a lock file.
pub fn is_archive_path(path: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._~/%:".contains(&byte);
    !path.is_empty()
        && path.len() <= 1024
        && path.bytes().all(allowed)
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn text() -> String {
        format!(
            "Package: gawk\nVersion: 1:5.2.1-2+b1\nArchitecture: amd64\nPre-Depends: libc6 (>= 2.41)\n\
             Depends: liba | libb\nProvides: awk, gawk-api (= 4)\nFilename: pool/main/g/gawk/gawk_5.deb\n\
             Size: 12\nSHA256: {SUM}\nDescription: x\n"
        )
    }

    #[test]
    fn reads_a_package() {
        let packages =
            parse(&format!("{}\n{}", text(), text().replace("Package: gawk", "Package: hawk"))).unwrap();
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[1].name, "hawk");
        let gawk = &packages[0];
        assert_eq!(gawk.depends.len(), 2);
        assert_eq!(gawk.depends[0][0].name, "libc6");
        assert_eq!(gawk.depends[1].len(), 2);
        assert_eq!(gawk.provides[1].to_string(), "gawk-api (= 4)");
        assert_eq!((gawk.size, gawk.sha256[0], gawk.sha256[15]), (12, 0, 0xff));
    }

    #[test]
    fn rejects_missing_fields() {
        for field in ["Package", "Version", "Architecture", "Filename", "Size", "SHA256"] {
            let without = format!("\n{}", text()).replace(&format!("\n{field}:"), "\nX:");
            assert_eq!(parse(&without), Err(IndexError::Missing { line: 2, field }));
        }
    }

    #[test]
    fn rejects_values_that_do_not_fit() {
        for (field, from, to) in [
            ("Package", "gawk\n", "../x\n"),
            ("Architecture", "amd64", "amd 64"),
            ("Filename", "pool/main", "../pool"),
            ("Filename", "pool/main", "/pool"),
            ("Filename", "pool/main", "a b"),
            ("Size", "12", "-1"),
            ("SHA256", SUM, "00"),
        ] {
            let wrong = text().replacen(from, to, 1);
            assert!(
                matches!(parse(&wrong), Err(IndexError::Value { line: 1, field: found, .. }) if found == field),
                "{field}: {to}"
            );
        }
        let wrong = text().replace("1:5.2", "x:5.2");
        assert!(matches!(parse(&wrong), Err(IndexError::Version { line: 1, .. })));
        let wrong = text().replace("liba |", "liba (x |");
        assert!(matches!(parse(&wrong), Err(IndexError::Dependency { field: "Depends", .. })));
        assert!(matches!(parse("x"), Err(IndexError::Syntax(_))));
    }
}
