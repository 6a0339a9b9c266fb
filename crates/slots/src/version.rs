//! Versions: `N.N.N` or `N.N.N~word.N`.

use std::fmt;
use std::str::FromStr;

/// Longest version in characters: with it, partition labels and file names stay short enough.
pub const VERSION_MAX: usize = 20;

/// A version of the product, such as `1.4.0` or, before it, `1.4.0~rc.2`.
///
/// The order is the UAPI version order, as systemd-boot sorts entries (a test compares both). Numbers have no
/// leading zeros and the word is lower case, so two versions are equal only if their texts are, on FAT too.
// The order of the fields is the order of versions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    numbers: [u64; 3],
    stage: PreRelease,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PreRelease {
    /// `~word.N`, older than the release itself.
    Before(String, u64),
    /// The release.
    Release,
}

/// Why a text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseVersionError {
    /// The text is too long.
    #[error("version `{text}` has {found} characters; use at most {VERSION_MAX}")]
    TooLong {
        /// The text.
        text: String,
        /// Its length in bytes.
        found: usize,
    },
    /// The text has another form.
    #[error(
        "version `{text}` is neither N.N.N nor N.N.N~word.N; use numbers without leading zeros and a word of a-z, \
         as in 1.4.0 or 1.4.0~rc.2"
    )]
    Form {
        /// The text.
        text: String,
    },
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        if VERSION_MAX < text.len() {
            return Err(ParseVersionError::TooLong { text: text.to_owned(), found: text.len() });
        }
        parse(text).ok_or_else(|| ParseVersionError::Form { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Version> {
    let (release, before) = match text.split_once('~') {
        Some((release, before)) => (release, Some(before)),
        None => (text, None),
    };
    let mut parts = release.split('.').map(number);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    if parts.next().is_some() {
        return None;
    }
    let stage = match before {
        None => PreRelease::Release,
        Some(before) => {
            let (word, n) = before.split_once('.')?;
            if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                return None;
            }
            PreRelease::Before(word.to_owned(), number(n)?)
        }
    };
    Some(Version { numbers, stage })
}

/// Returns a number in its one form: digits only, no leading zeros.
pub(crate) fn number(text: &str) -> Option<u64> {
    let is_canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    // Not a number: empty, or larger than 64 bits.
    if is_canonical { text.parse().ok() } else { None }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        match &self.stage {
            PreRelease::Before(word, n) => write!(f, "~{word}.{n}"),
            PreRelease::Release => Ok(()),
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_both_forms() {
        for text in ["0.0.0", "1.4.0", "10.200.3000", "1.4.0~rc.2", "0.1.0~a.0", "1844674407370955.0.0"] {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn rejects_other_forms_with_the_remedy() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "01.2.3",
            "1.2.03",
            "1.2.x",
            "1.2.3-1",
            "1.2.3~",
            "1.2.3~rc",
            "1.2.3~rc.",
            "1.2.3~rc.01",
            "1.2.3~RC.1",
            "1.2.3~r2.1",
            "1.2.3~rc.1.2",
            "1.2.3~rc.1~a.2",
            " 1.2.3",
            "1.2.3\n",
            "+1.2.3",
            "1.2.3~.1",
            "1..3",
        ] {
            let found = text.parse::<Version>().unwrap_err();
            assert_eq!(found, ParseVersionError::Form { text: text.to_owned() });
            assert!(found.to_string().contains("as in 1.4.0"));
        }
    }

    #[test]
    fn rejects_more_than_twenty_characters() {
        assert!("1.2.3~abcdefghijk.10".parse::<Version>().is_ok());
        let found = "1.2.3~abcdefghijk.100".parse::<Version>().unwrap_err();
        assert!(matches!(found, ParseVersionError::TooLong { found: 21, .. }));
    }

    #[test]
    fn orders_numbers_as_numbers_and_words_before_releases() {
        let ascending =
            ["0.9.9", "0.10.0~beta.2", "0.10.0~beta.10", "0.10.0~rc.1", "0.10.0", "0.10.1", "1.0.0"];
        let parsed: Vec<Version> = ascending.iter().map(|text| text.parse().unwrap()).collect();
        assert!(parsed.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
