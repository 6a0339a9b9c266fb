//! Relations between packages, the values of `Depends`, `Pre-Depends` and `Provides` (deb-control(5)).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::version::{Version, VersionError};

/// Most relations in one field, alternatives counted.
pub const RELATIONS_MAX: usize = 4096;

/// Why a field is not a list of relations.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DependencyError {
    /// Not a package name.
    #[error("`{0}` is not the name of a package")]
    Name(String),
    /// Brackets that do not close, or text after them.
    #[error("`{0}` is not a relation")]
    Shape(String),
    /// Not one of `<<`, `<=`, `=`, `>=`, `>>`.
    #[error("`{0}` is not a comparison of versions")]
    Operator(String),
    /// What is compared with is no version.
    #[error("reading the version in `{relation}`")]
    Version {
        /// The relation's text.
        relation: String,
        /// What is wrong with it.
        #[source]
        source: VersionError,
    },
    /// More than [`RELATIONS_MAX`].
    #[error("more than {RELATIONS_MAX} relations")]
    TooMany,
}

/// How a version must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    /// Tells whether `found operator wanted` holds.
    pub fn holds(self, found: &Version, wanted: &Version) -> bool {
        match self {
            Self::Earlier => found < wanted,
            Self::EarlierOrEqual => found <= wanted,
            Self::Equal => found == wanted,
            Self::LaterOrEqual => wanted <= found,
            Self::Later => wanted < found,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }
}

impl FromStr for Operator {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        match text {
            "<<" => Ok(Self::Earlier),
            // The single forms are obsolete and mean the inclusive ones (deb-control(5)).
            "<=" | "<" => Ok(Self::EarlierOrEqual),
            "=" => Ok(Self::Equal),
            ">=" | ">" => Ok(Self::LaterOrEqual),
            ">>" => Ok(Self::Later),
            other => Err(DependencyError::Operator(other.to_owned())),
        }
    }
}

/// One package, perhaps of certain versions and an architecture: `libc6:amd64 (>= 2.41)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Name of the package.
    pub name: String,
    /// `any`, `native` or an architecture, when the name has such a suffix.
    pub qualifier: Option<String>,
    /// The versions that will do; all of them when absent.
    pub versions: Option<(Operator, Version)>,
}

impl Relation {
    /// Tells whether a version will do.
    pub fn accepts(&self, version: &Version) -> bool {
        self.versions.as_ref().is_none_or(|(operator, wanted)| operator.holds(version, wanted))
    }
}

/// What the commas separate: alternatives of which one is enough.
pub type Alternatives = Vec<Relation>;

/// Reads a whole field. Restrictions to architectures (`[amd64]`) and build profiles (`<!nocheck>`) are
/// those of source packages and are refused here.
pub fn parse_field(text: &str) -> Result<Vec<Alternatives>, DependencyError> {
    let mut count = 0;
    let mut field = Vec::new();
    for clause in text.split(',').map(str::trim).filter(|clause| !clause.is_empty()) {
        let mut alternatives = Vec::new();
        for relation in clause.split('|') {
            count += 1;
            if RELATIONS_MAX < count {
                return Err(DependencyError::TooMany);
            }
            alternatives.push(relation.trim().parse()?);
        }
        field.push(alternatives);
    }
    Ok(field)
}

impl FromStr for Relation {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        let shape = || DependencyError::Shape(text.to_owned());
        let (head, versions) = match text.split_once('(') {
            Some((head, rest)) => {
                let inner = rest.strip_suffix(')').ok_or_else(shape)?.trim();
                let end = inner.find(|c: char| !"<=>".contains(c)).unwrap_or(inner.len());
                let (operator, version) = inner.split_at(end);
                let version = version
                    .trim()
                    .parse()
                    .map_err(|source| DependencyError::Version { relation: text.to_owned(), source });
                (head.trim(), Some((operator.parse()?, version?)))
            }
            None => (text, None),
        };
        let (name, qualifier) = match head.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (head, None),
        };
        if !is_package_name(name) {
            return Err(DependencyError::Name(name.to_owned()));
        }
        let word =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if qualifier.is_some_and(|qualifier| !word(qualifier)) {
            return Err(shape());
        }
        Ok(Self { name: name.to_owned(), qualifier: qualifier.map(str::to_owned), versions })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(qualifier) = &self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        if let Some((operator, version)) = &self.versions {
            write!(f, " ({} {version})", operator.text())?;
        }
        Ok(())
    }
}

/// Tells whether a text can name a package (Debian policy 5.6.7; upper case is met in other archives).
pub fn is_package_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    (2..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_alternatives_versions_and_qualifiers() {
        let field = parse_field("libc6 (>= 2.41), awk | gawk:any (<< 2:1~), python3:any,").unwrap();
        assert_eq!(field.len(), 3);
        assert_eq!(field[0][0].to_string(), "libc6 (>= 2.41)");
        assert_eq!(field[1].len(), 2);
        assert_eq!(field[1][1].qualifier.as_deref(), Some("any"));
        assert!(field[1][1].accepts(&"1.0".parse().unwrap()));
        assert!(!field[1][1].accepts(&"2:1".parse().unwrap()));
        assert_eq!(field[2][0].versions, None);
        assert_eq!(parse_field(" ").unwrap(), Vec::<Alternatives>::new());
    }

    #[test]
    fn holds_for_each_operator() {
        let holds = |text: &str| {
            let relation: Relation = text.parse().unwrap();
            ["1", "2", "3"].map(|version| relation.accepts(&version.parse().unwrap()))
        };
        assert_eq!(holds("aa (<< 2)"), [true, false, false]);
        assert_eq!(holds("aa (<= 2)"), [true, true, false]);
        assert_eq!(holds("aa (= 2)"), [false, true, false]);
        assert_eq!(holds("aa (>= 2)"), [false, true, true]);
        assert_eq!(holds("aa (>> 2)"), [false, false, true]);
    }

    #[test]
    fn rejects_what_is_no_relation() {
        assert_eq!(parse_field("a b"), Err(DependencyError::Name("a b".into())));
        assert_eq!(parse_field("aa |"), Err(DependencyError::Name("".into())));
        assert_eq!(parse_field("aa (>= 1"), Err(DependencyError::Shape("aa (>= 1".into())));
        assert_eq!(parse_field("aa: (>= 1)"), Err(DependencyError::Shape("aa: (>= 1)".into())));
        assert_eq!(parse_field("aa (=> 1)"), Err(DependencyError::Operator("=>".into())));
        assert!(matches!(parse_field("aa (>= x)"), Err(DependencyError::Version { .. })));
        assert_eq!(parse_field("aa [amd64]"), Err(DependencyError::Name("aa [amd64]".into())));
        assert_eq!(parse_field(&"aa,".repeat(RELATIONS_MAX + 1)), Err(DependencyError::TooMany));
    }

    proptest! {
        #[test]
        fn prints_what_it_reads(name in "[a-z0-9][a-z0-9+.-]{1,9}", operator in "(<<|<=|=|>=|>>)", version in "[0-9][0-9a-z.]{0,6}") {
            let text = format!("{name} ({operator} {version})");
            prop_assert_eq!(text.parse::<Relation>().unwrap().to_string(), text);
        }
    }
}
