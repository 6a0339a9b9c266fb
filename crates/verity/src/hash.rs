//! Root hash, salt, and the salted hash of one block.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The hash of the tree's top block: the one number that a machine has to trust.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootHash(pub [u8; 32]);

/// Bytes hashed in front of every block, so that equal blocks of different products differ in hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Salt(pub [u8; 32]);

/// Why a text is not 32 bytes in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseHexError {
    /// The text is too short or too long.
    #[error("expected 64 hexadecimal digits, found {found} bytes of text")]
    Length {
        /// Length of the text in bytes.
        found: usize,
    },
    /// A character is no hexadecimal digit.
    #[error("expected a hexadecimal digit at position {position}, found byte 0x{found:02x}")]
    Digit {
        /// Position in bytes, from zero.
        position: usize,
        /// The byte found there.
        found: u8,
    },
}

/// Hashes blocks with one salt: `SHA-256(salt ‖ block)`, which is dm-verity's hash type 1.
#[derive(Clone, Debug)]
pub struct BlockHasher {
    salted: Sha256,
}

impl BlockHasher {
    /// Returns a hasher for blocks under `salt`.
    pub fn new(salt: &Salt) -> Self {
        Self { salted: Sha256::new_with_prefix(salt.0) }
    }

    /// Returns the salted hash of `block`. Does not check that `block` is 4096 bytes long.
    pub fn hash(&self, block: &[u8]) -> [u8; 32] {
        let mut hasher = self.salted.clone();
        hasher.update(block);
        hasher.finalize().into()
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex(text: &str) -> Result<[u8; 32], ParseHexError> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return Err(ParseHexError::Length { found: text.len() });
    }
    let digit = |position: usize| match text[position] {
        c @ b'0'..=b'9' => Ok(c - b'0'),
        c @ b'a'..=b'f' => Ok(c - b'a' + 10),
        c @ b'A'..=b'F' => Ok(c - b'A' + 10),
        found => Err(ParseHexError::Digit { position, found }),
    };
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = digit(2 * i)? << 4 | digit(2 * i + 1)?;
    }
    Ok(bytes)
}

macro_rules! hex_newtype {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                write_hex(&self.0, f)?;
                f.write_str(")")
            }
        }

        impl FromStr for $name {
            type Err = ParseHexError;

            fn from_str(text: &str) -> Result<Self, ParseHexError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

hex_newtype!(RootHash);
hex_newtype!(Salt);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let text = "00ff10a0".repeat(8);
        let hash: RootHash = text.parse().unwrap();
        assert_eq!(hash.0[..4], [0x00, 0xff, 0x10, 0xa0]);
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        assert_eq!(format!("{hash:?}"), format!("RootHash({text})"));
    }

    #[test]
    fn rejects_wrong_length_and_wrong_digit() {
        assert_eq!("00".parse::<Salt>(), Err(ParseHexError::Length { found: 2 }));
        let text = "0".repeat(63) + "g";
        assert_eq!(text.parse::<Salt>(), Err(ParseHexError::Digit { position: 63, found: b'g' }));
        // 64 bytes that are not 64 characters must not panic on a character boundary.
        assert!("ä".repeat(32).parse::<Salt>().is_err());
    }

    #[test]
    fn salt_goes_before_the_block() {
        let salted = BlockHasher::new(&Salt([3; 32])).hash(&[4; 4096]);
        let mut plain = vec![3; 32];
        plain.extend([4; 4096]);
        assert_eq!(salted[..], Sha256::digest(&plain)[..]);
    }
}
