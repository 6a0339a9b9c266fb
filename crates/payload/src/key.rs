//! ed25519 keys (RFC 8032) and the files they are kept in: comment lines, and one line of base64.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::digest::{ParseDigestError, parse_hex, write_hex};

/// Length of a public key, and of the seed that a secret one is made of.
const KEY_LEN: usize = 32;
/// Longest key file: a few comments and 44 characters.
const FILE_MAX: usize = 4096;

/// Names a public key: the first half of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

/// A key that signatures are checked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A key that signs.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// Why a text holds no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Larger than any key file.
    #[error("a key file has at most {FILE_MAX} bytes, this one has {found}")]
    TooLong {
        /// Length in bytes.
        found: usize,
    },
    /// Only comments.
    #[error("holds no key: expected one line of base64")]
    Empty,
    /// A second line that is no comment.
    #[error("line {line}: a second key: one file holds one key")]
    Second {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The line is not 32 bytes.
    #[error("line {line}: not 32 bytes in base64 (44 characters)")]
    Base64 {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The bytes are no point of the curve, or one of small order, whose signatures prove nothing.
    #[error("line {line}: no usable ed25519 public key")]
    Point {
        /// Number of the line, from 1.
        line: usize,
    },
}

impl PublicKey {
    /// Reads a public key file.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (line, bytes) = parse_file(text)?;
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            Ok(_) | Err(_) => Err(KeyError::Point { line }),
        }
    }

    /// Returns the key's name.
    pub fn id(&self) -> KeyId {
        let hash: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        KeyId(std::array::from_fn(|i| hash[i]))
    }

    /// Returns the file's text, with `comment` above the key.
    pub fn to_file(&self, comment: &str) -> String {
        let note = "ed25519 (RFC 8032) public key, 32 bytes, base64.";
        to_file(comment, note, self.0.as_bytes())
    }

    /// Checks one signature strictly (RFC 8032, without the leniences of batch verification).
    pub(crate) fn accepts(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl SecretKey {
    /// Makes a key from 32 random bytes.
    pub fn from_seed(seed: [u8; KEY_LEN]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// Reads a secret key file.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        parse_file(text).map(|(_, seed)| Self::from_seed(seed))
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Returns the file's text, with `comment` above the key.
    pub fn to_file(&self, comment: &str) -> String {
        to_file(comment, "ed25519 seed (RFC 8032), 32 bytes, base64. Keep it secret.", &self.0.to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

fn parse_file(text: &str) -> Result<(usize, [u8; KEY_LEN]), KeyError> {
    if FILE_MAX < text.len() {
        return Err(KeyError::TooLong { found: text.len() });
    }
    let mut lines =
        (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (line, key) = lines.next().ok_or(KeyError::Empty)?;
    if let Some((line, _)) = lines.next() {
        return Err(KeyError::Second { line });
    }
    let bytes = BASE64.decode(key).map_err(|_| KeyError::Base64 { line })?;
    Ok((line, bytes.try_into().map_err(|_| KeyError::Base64 { line })?))
}

fn to_file(comment: &str, note: &str, bytes: &[u8]) -> String {
    let comments = comment.lines().chain([note]).map(|line| format!("# {line}\n"));
    format!("{}{}\n", comments.collect::<String>(), BASE64.encode(bytes))
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public().id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let secret = SecretKey::from_seed([7; 32]);
        let text = secret.to_file("INSECURE: a test\nof two lines");
        assert!(text.starts_with("# INSECURE: a test\n# of two lines\n# ed25519 seed"), "{text}");
        assert_eq!(SecretKey::parse(&text).unwrap().public(), secret.public());
        assert_eq!(PublicKey::parse(&secret.public().to_file("a")).unwrap(), secret.public());
        let id = secret.public().id();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn the_committed_pair_belongs_together() {
        let secret = SecretKey::parse(include_str!("../../../image/keys/development.key")).unwrap();
        let public = PublicKey::parse(include_str!("../../../image/keys/development.pub")).unwrap();
        assert_eq!(secret.public(), public);
    }

    #[test]
    fn the_first_vector_of_the_rfc() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e\
                         39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        let secret = SecretKey::from_seed(parse_hex(seed).unwrap());
        assert_eq!(Ok(secret.public().0.to_bytes()), parse_hex(public));
        assert_eq!(Ok(secret.sign(b"")), parse_hex(signature));
        assert!(secret.public().accepts(b"", &secret.sign(b"")));
        assert!(!secret.public().accepts(b"x", &secret.sign(b"")));
    }

    #[test]
    fn a_message_has_one_signature() {
        let secret = SecretKey::from_seed([1; 32]);
        let mut signature = secret.sign(b"a");
        // The second half plus the group's order, which the equation cannot tell from it.
        let order: [u8; 32] =
            parse_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            [*byte, _] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert!(!secret.public().accepts(b"a", &signature));
    }

    #[test]
    fn rejects_what_is_not_one_key() {
        let check = |text: &str, expected| assert_eq!(PublicKey::parse(text), Err(expected), "{text}");
        check("# nothing\n\n", KeyError::Empty);
        check("AAAA\n", KeyError::Base64 { line: 1 });
        check("# a\nnot base64!\n", KeyError::Base64 { line: 2 });
        let good = SecretKey::from_seed([1; 32]).public().to_file("");
        check(&format!("{good}{good}"), KeyError::Second { line: 4 });
        check(good.trim_end_matches("=\n"), KeyError::Base64 { line: 2 });
        check(&"#".repeat(5000), KeyError::TooLong { found: 5000 });
    }

    #[test]
    fn rejects_public_keys_that_prove_nothing() {
        // The neutral element and a point of order four: anybody could sign for them. Then no point at all.
        for y in [1, 0, 2] {
            let mut bytes = [0; KEY_LEN];
            bytes[0] = y;
            let found = PublicKey::parse(&BASE64.encode(bytes));
            assert_eq!(found, Err(KeyError::Point { line: 1 }), "{y}");
        }
    }
}
