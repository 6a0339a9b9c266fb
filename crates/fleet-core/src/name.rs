//! Names of units, and patterns of them.
//!
//! A name is `prefix.suffix` or `prefix@instance.suffix`, split at the first `@` and the last `.`; one whose instance
//! is empty is a template. Source of the rules: unit names of the original, which are those of systemd.unit(5) with
//! fewer characters.

mod pattern;

use std::borrow::Borrow;
use std::fmt;

pub use pattern::{is_pattern, matches};

/// Most bytes of a name: as many as a file's has on the machines, and the service manager takes no more. (The original
/// let 256 through, which no machine could load.)
pub const NAME_MAX: usize = 255;

/// Suffixes of units.
const SUFFIXES: [&str; 13] = [
    "automount",
    "busname",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "snapshot",
    "socket",
    "swap",
    "target",
    "timer",
];
/// Suffixes of templates and instances.
const INSTANCE_SUFFIXES: [&str; 5] = ["path", "service", "socket", "target", "timer"];
/// Suffixes that `fleetctl` takes for one; any other gets `.service` behind it.
const TYPED_SUFFIXES: [&str; 7] = ["service", "socket", "timer", "path", "device", "mount", "automount"];

/// Name of a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// Why a name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no bytes, or more than [`NAME_MAX`].
    #[error("a unit's name of {0} bytes: names have 1 to {NAME_MAX}")]
    Length(usize),
    /// It has nothing in front of a suffix, or no suffix.
    #[error("unit name {0:?} is not `name.type`: write one such as web.service")]
    NoSuffix(String),
    /// Its suffix is no unit's.
    #[error("unit name {name:?} ends in .{suffix}, which is no type of unit: {}", SUFFIXES.join(", "))]
    UnknownSuffix {
        /// Name.
        name: String,
        /// What is behind its last dot.
        suffix: String,
    },
    /// Templates and instances have fewer types.
    #[error("unit name {name:?} is of a template, and those are never .{suffix}: {}", INSTANCE_SUFFIXES.join(", "))]
    NoTemplate {
        /// Name.
        name: String,
        /// What is behind its last dot.
        suffix: String,
    },
    /// It begins with `@`.
    #[error("unit name {0:?} begins with `@`: a template needs a name in front of it")]
    NoPrefix(String),
    /// It has a character that no name has.
    #[error("unit name {name:?} has {character:?}: letters, digits and : - _ . \\ @ are allowed")]
    Character {
        /// Name.
        name: String,
        /// The first wrong one.
        character: char,
    },
}

impl UnitName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it breaks a rule of names; the error says which.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(NameError::Length(name.len()));
        }
        let Some((stem, suffix)) =
            name.rsplit_once('.').filter(|(stem, suffix)| !stem.is_empty() && !suffix.is_empty())
        else {
            return Err(NameError::NoSuffix(name.to_owned()));
        };
        if stem.starts_with('@') {
            return Err(NameError::NoPrefix(name.to_owned()));
        }
        let is_allowed =
            |character: &char| character.is_ascii_alphanumeric() || ":-_.\\@".contains(*character);
        if let Some(character) = stem.chars().find(|character| !is_allowed(character)) {
            return Err(NameError::Character { name: name.to_owned(), character });
        }
        if !SUFFIXES.contains(&suffix) {
            return Err(NameError::UnknownSuffix { name: name.to_owned(), suffix: suffix.to_owned() });
        }
        if stem.contains('@') && !INSTANCE_SUFFIXES.contains(&suffix) {
            return Err(NameError::NoTemplate { name: name.to_owned(), suffix: suffix.to_owned() });
        }
        Ok(Self(name.to_owned()))
    }

    /// Reads what a person types: the last part of a path, with `.service` behind it where no type is.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_argument(argument: &str) -> Result<Self, NameError> {
        let base = argument.rsplit('/').next().unwrap_or_default();
        match base.rsplit_once('.') {
            Some((_, suffix)) if TYPED_SUFFIXES.contains(&suffix) => Self::parse(base),
            _ => Self::parse(&format!("{base}.service")),
        }
    }

    /// Returns it as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what is behind the last dot.
    pub fn suffix(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(_, suffix)| suffix)
    }

    /// Returns all but dot and suffix.
    pub fn stem(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(stem, _)| stem)
    }

    /// Returns what is in front of the first `@`, or the stem.
    pub fn prefix(&self) -> &str {
        self.stem().split_once('@').map_or(self.stem(), |(prefix, _)| prefix)
    }

    /// Returns what is behind the first `@`; empty of a template, none without an `@`.
    fn parameter(&self) -> Option<&str> {
        self.stem().split_once('@').map(|(_, parameter)| parameter)
    }

    /// Returns the instance's own part.
    pub fn instance(&self) -> Option<&str> {
        self.parameter().filter(|parameter| !parameter.is_empty())
    }

    /// Whether it is a template, of which instances are made.
    pub fn is_template(&self) -> bool {
        self.parameter() == Some("")
    }

    /// Returns the template that this is an instance of.
    pub fn template(&self) -> Option<Self> {
        self.instance().map(|_| Self(format!("{}@.{}", self.prefix(), self.suffix())))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for UnitName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UnitName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::parse(&name)
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> UnitName {
        UnitName::parse(text).unwrap()
    }

    #[test]
    fn a_name_has_parts() {
        let parts = |text| {
            let name = name(text);
            let own = |text: &str| text.to_owned();
            (own(name.prefix()), name.instance().map(own), own(name.suffix()))
        };
        let own = |text: &str| text.to_owned();
        assert_eq!(parts("foo.service"), (own("foo"), None, own("service")));
        assert_eq!(parts("foo@bar.socket"), (own("foo"), Some(own("bar")), own("socket")));
        assert_eq!(parts("foo@.timer"), (own("foo"), None, own("timer")));
        assert_eq!(parts("foo@a@b.c.service"), (own("foo"), Some(own("a@b.c")), own("service")));
    }

    #[test]
    fn a_template_has_no_template_and_an_instance_has_one() {
        assert!(name("foo@.service").is_template() && name("foo@.service").template().is_none());
        assert_eq!(name("foo@1.service").template(), Some(name("foo@.service")));
        assert_eq!(name("foo.service").template(), None);
    }

    #[test]
    fn a_wrong_name_is_refused_by_the_rule_that_it_breaks() {
        let refused = |text: &str| UnitName::parse(text).unwrap_err();
        assert_eq!(refused(""), NameError::Length(0));
        assert_eq!(refused(&format!("{}.service", "a".repeat(248))), NameError::Length(256));
        assert!(UnitName::parse(&format!("{}.service", "a".repeat(247))).is_ok());
        for text in ["foo", "foo.", ".service"] {
            assert_eq!(refused(text), NameError::NoSuffix(text.to_owned()));
        }
        assert!(matches!(refused("foo.conf"), NameError::UnknownSuffix { .. }));
        assert!(matches!(refused("foo@1.mount"), NameError::NoTemplate { .. }));
        assert!(matches!(refused("@1.service"), NameError::NoPrefix(_)));
        for text in ["a b.service", "a/b.service", "ä.service", "a\n.service", "a%.service"] {
            assert!(matches!(refused(text), NameError::Character { .. }), "{text}");
        }
    }

    #[test]
    fn every_type_is_known_and_five_have_instances() {
        for suffix in SUFFIXES {
            assert_eq!(name(&format!("a.{suffix}")).suffix(), suffix);
            for text in [format!("a@.{suffix}"), format!("a@1.{suffix}")] {
                assert_eq!(UnitName::parse(&text).is_ok(), INSTANCE_SUFFIXES.contains(&suffix), "{text}");
            }
        }
        for suffix in TYPED_SUFFIXES {
            let text = format!("a.{suffix}");
            assert_eq!(UnitName::from_argument(&text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn every_character_of_the_rule_is_allowed() {
        assert!(UnitName::parse("azAZ09:-_.\\.service").is_ok());
    }

    #[test]
    fn an_argument_is_a_path_or_a_short_name() {
        let argument = |text| UnitName::from_argument(text).map(|name| name.as_str().to_owned());
        for (text, expected) in [
            ("foo", "foo.service"),
            ("foo.service", "foo.service"),
            ("dir/foo", "foo.service"),
            ("/a/b.timer", "b.timer"),
            ("foo@1", "foo@1.service"),
            ("foo.target", "foo.target.service"),
        ] {
            assert_eq!(argument(text).unwrap(), expected, "{text}");
        }
        assert!(argument("dir/").is_err() && argument("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in ".{0,40}") {
            if let Ok(name) = UnitName::parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert_eq!(format!("{}.{}", name.stem(), name.suffix()), text);
            }
        }
    }
}
