//! Versions of packages and how they compare, after deb-version(7).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Longest version accepted, in bytes. Debian's own stay below a hundred.
pub const VERSION_MAX: usize = 256;

/// Why a text is not a version.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VersionError {
    /// Nothing between the delimiters.
    #[error("the version is empty")]
    Empty,
    /// More than [`VERSION_MAX`] bytes.
    #[error("the version has {found} bytes, at most {VERSION_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// The part before the colon is not a number.
    #[error("the epoch `{0}` is not a number")]
    Epoch(String),
    /// A character outside the alphabet of versions.
    #[error("the version has the character {0:?}")]
    Character(char),
    /// Upstream versions start with a digit.
    #[error("the upstream version `{0}` does not start with a digit")]
    Start(String),
}

/// A version `[epoch:]upstream[-revision]`. Equality is that of the order: `1.0` equals `1.0-0`.
#[derive(Debug, Clone)]
pub struct Version {
    text: String,
    epoch: u32,
    /// Where the upstream part starts and ends in `text`.
    upstream: (usize, usize),
}

impl Version {
    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn upstream(&self) -> &str {
        &self.text[self.upstream.0..self.upstream.1]
    }

    fn revision(&self) -> &str {
        self.text.get(self.upstream.1 + 1..).unwrap_or("0")
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text.is_empty() {
            return Err(VersionError::Empty);
        }
        if VERSION_MAX < text.len() {
            return Err(VersionError::TooLong { found: text.len() });
        }
        let (epoch, start) = match text.split_once(':') {
            Some((epoch, _)) => {
                let digits = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
                let number = epoch.parse().ok().filter(|_| digits);
                (number.ok_or_else(|| VersionError::Epoch(epoch.to_owned()))?, epoch.len() + 1)
            }
            None => (0, 0),
        };
        let end = text[start..].rfind('-').map_or(text.len(), |idx| start + idx);
        let upstream = &text[start..end];
        if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(VersionError::Start(upstream.to_owned()));
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || ".+-~:".contains(*c);
        if let Some(character) = text[start..].chars().find(|c| !allowed(c)) {
            return Err(VersionError::Character(character));
        }
        Ok(Self { text: text.to_owned(), epoch, upstream: (start, end) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_parts(self.upstream(), other.upstream()))
            .then_with(|| compare_parts(self.revision(), other.revision()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// Compares two parts: stretches of non-digits and of digits in turn.
fn compare_parts(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = split_while(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split_while(right, |byte| !byte.is_ascii_digit());
        let (left_number, left_rest) = split_while(left_rest, |byte| byte.is_ascii_digit());
        let (right_number, right_rest) = split_while(right_rest, |byte| byte.is_ascii_digit());
        let order =
            compare_text(left_text, right_text).then_with(|| compare_numbers(left_number, right_number));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

/// Compares byte by byte: a tilde before the end, the end before letters, letters before the rest.
fn compare_text(left: &str, right: &str) -> Ordering {
    let weight = |byte: Option<u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    };
    let longest = left.len().max(right.len());
    let at = |text: &str, idx: usize| weight(text.as_bytes().get(idx).copied());
    (0..longest)
        .map(|idx| at(left, idx).cmp(&at(right, idx)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Compares digit strings of any length by value.
fn compare_numbers(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn split_while(text: &str, matches: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !matches(byte)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(left: &str, order: Ordering, right: &str) {
        assert_eq!(version(left).cmp(&version(right)), order, "{left} and {right}");
        assert_eq!(version(right).cmp(&version(left)), order.reverse(), "{right} and {left}");
    }

    #[test]
    fn orders_as_dpkg_does() {
        use Ordering::{Equal, Less};
        check("1.0", Less, "1.1");
        check("1.9", Less, "1.10");
        check("1.0~rc1", Less, "1.0");
        check("1.0~~", Less, "1.0~");
        check("1.0~", Less, "1.0");
        check("1.0", Less, "1.0a");
        check("1.0a", Less, "1.0+b");
        check("9", Less, "1:0");
        check("1.0-1", Less, "1.0-1+b1");
        check("1.0-1", Less, "1.0-1+deb13u1");
        check("257.8-1~deb13u1", Less, "257.8-1");
        check("1.0", Equal, "1.0-0");
        check("1.001", Equal, "1.1");
        check("1.2-3-4", Less, "1.2-4-1");
        check("26.1.5+dfsg1-9+b9", Less, "26.1.5+dfsg1-9+b11");
        check("18446744073709551616", Less, "18446744073709551617");
    }

    #[test]
    fn rejects_what_is_no_version() {
        assert_eq!("".parse::<Version>().unwrap_err(), VersionError::Empty);
        assert_eq!("a1".parse::<Version>().unwrap_err(), VersionError::Start("a1".into()));
        assert_eq!("1:".parse::<Version>().unwrap_err(), VersionError::Start("".into()));
        assert_eq!("x:1".parse::<Version>().unwrap_err(), VersionError::Epoch("x".into()));
        assert_eq!("+1:1".parse::<Version>().unwrap_err(), VersionError::Epoch("+1".into()));
        assert_eq!("1 2".parse::<Version>().unwrap_err(), VersionError::Character(' '));
        assert_eq!("1/2".parse::<Version>().unwrap_err(), VersionError::Character('/'));
        let long = "1".repeat(VERSION_MAX + 1);
        assert_eq!(long.parse::<Version>().unwrap_err(), VersionError::TooLong { found: VERSION_MAX + 1 });
    }

    proptest! {
        #[test]
        fn order_is_total(a in "[0-9][0-9a~+.]{0,6}(-[0-9~]{1,2})?", b in "[0-9][0-9a~+.]{0,6}", c in "[0-9][0-9a~+.]{0,6}") {
            let (a, b, c) = (version(&a), version(&b), version(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            // Only that it returns: any text is either a version or an error.
            prop_assert!(text.parse::<Version>().map_or(true, |version| version.as_str() == text));
        }
    }
}
