//! A SHA-256 digest: 64 lower-case hexadecimal digits as text.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::text::shown;

/// SHA-256 of something, or another 32 bytes that are written like one, such as a root hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected} lower-case hexadecimal digits")]
pub struct ParseDigestError {
    /// The text, shortened.
    pub found: String,
    /// Number of digits.
    pub expected: usize,
}

impl Digest {
    /// Returns the SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        parse_hex(text).map(Self)
    }
}

pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads exactly `2 * N` lower-case digits, so that a value has one text.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseDigestError> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let fails = || ParseDigestError { found: shown(text), expected: 2 * N };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(fails()) };
    if pairs.len() != N {
        return Err(fails());
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low).ok_or_else(fails)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let empty = Digest::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.to_string(), text);
        assert_eq!(text.parse(), Ok(empty));
    }

    #[test]
    fn rejects_other_lengths_digits_and_case() {
        for text in
            ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"A".repeat(64), &"ä".repeat(32)]
        {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
