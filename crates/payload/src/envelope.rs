//! The signed head that payload and channel file share: what it is, a JSON body, signatures over its digest.
//!
//! | bytes | field | value |
//! | --- | --- | --- |
//! | 0..8 | magic | `SLWPAYLD` (payload), `SLWCHANL` (channel file) or `SLWSHA2S` (sums of a release) |
//! | 8..12 | format | 1, little-endian as all numbers |
//! | 12..16 | length of the body | 1 to [`BODY_MAX`] |
//! | 16..20 | number of signatures | 1 to [`SIGNATURES_MAX`] |
//! | 20..32 | reserved | zero |
//! | 32.. | body | UTF-8 JSON |
//! | behind it | signatures | 80 bytes each: key id (16), ed25519 signature (64) |
//!
//! A signature is over a text that names kind and format, then the SHA-256 of the body: one over a channel
//! file can never pass for one over a payload.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::digest::Digest;
use crate::key::{KeyId, SecretKey};

/// Longest body in bytes. Manifests have less than two thousand, channel files less than 40 thousand.
pub const BODY_MAX: usize = 64 << 10;
/// Most signatures: enough for any rotation, few enough to check all.
pub const SIGNATURES_MAX: usize = 8;
/// Bytes from which the length of the whole envelope is known.
pub const PREFIX_LEN: usize = 32;
/// Longest envelope in bytes.
pub const ENVELOPE_MAX: u64 = 32 + (64 << 10) + 8 * 80;

const FORMAT: u32 = 1;

/// What an envelope is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An update payload's manifest.
    Payload,
    /// A channel file.
    Channel,
    /// The sums of a release's files.
    Sums,
}

/// The head of a payload, or a channel file: lengths are checked, signatures are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What it is for.
    pub kind: Kind,
    /// The JSON text. Not to be used before [`crate::Trust::verify`].
    pub body: &'a [u8],
    /// The signatures, in the order of the file.
    pub signatures: Vec<Signature>,
    /// Bytes that the envelope takes.
    pub len: usize,
}

/// One signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Which key made it.
    pub key: KeyId,
    /// The ed25519 signature.
    pub bytes: [u8; 64],
}

/// Why bytes are no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The file is something else.
    #[error("this is no {expected}: it starts with `{found}`")]
    Magic {
        /// What was expected.
        expected: &'static str,
        /// The first bytes, escaped.
        found: String,
    },
    /// A later format.
    #[error("{what} of format {found}; this program reads format {FORMAT}: update it first")]
    Format {
        /// What it is.
        what: &'static str,
        /// Its format.
        found: u32,
    },
    /// A length is out of its limits.
    #[error("field `{field}` is {found}: expected 1 to {limit}")]
    Limit {
        /// Name of the field.
        field: &'static str,
        /// The value.
        found: u32,
        /// The limit.
        limit: usize,
    },
    /// Reserved bytes are set.
    #[error("the reserved bytes of the header are not zero")]
    Reserved,
    /// It ends early.
    #[error("the file ends in the header: expected at least {expected} bytes, found {found}")]
    Truncated {
        /// Bytes needed.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawPrefix {
    magic: [u8; 8],
    format: U32,
    body_len: U32,
    n_signatures: U32,
    reserved: [u8; 12],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSignature {
    key: [u8; 16],
    bytes: [u8; 64],
}

impl Kind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Payload => *b"SLWPAYLD",
            Self::Channel => *b"SLWCHANL",
            Self::Sums => *b"SLWSHA2S",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Payload => "update payload",
            Self::Channel => "channel file",
            Self::Sums => "signature of sums",
        }
    }

    /// Returns what a signature over `digest` signs.
    fn message(self, digest: Digest) -> Vec<u8> {
        let domain = format!("slipway {} format {FORMAT}\0", self.name());
        [domain.as_bytes(), &digest.0].concat()
    }
}

impl<'a> Envelope<'a> {
    /// Returns the length of the whole envelope whose first [`PREFIX_LEN`] bytes are at the start of `bytes`.
    pub fn len_from_prefix(kind: Kind, bytes: &[u8]) -> Result<usize, EnvelopeError> {
        let (raw, _) = prefix(kind, bytes)?;
        let body_len = bounded("length of the body", raw.body_len.get(), BODY_MAX)?;
        let n_signatures = bounded("number of signatures", raw.n_signatures.get(), SIGNATURES_MAX)?;
        Ok(PREFIX_LEN + body_len + n_signatures * size_of::<RawSignature>())
    }

    /// Reads the envelope at the start of `bytes`. What follows it is the caller's.
    pub fn parse(kind: Kind, bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let len = Self::len_from_prefix(kind, bytes)?;
        let (raw, rest) = prefix(kind, bytes)?;
        let truncated = EnvelopeError::Truncated { expected: len, found: bytes.len() };
        let body_len = bounded("length of the body", raw.body_len.get(), BODY_MAX)?;
        let (body, rest) = rest.split_at_checked(body_len).ok_or_else(|| truncated.clone())?;
        let n_signatures = bounded("number of signatures", raw.n_signatures.get(), SIGNATURES_MAX)?;
        let (signatures, _) =
            <[RawSignature]>::ref_from_prefix_with_elems(rest, n_signatures).map_err(|_| truncated)?;
        let signatures = signatures.iter().map(|raw| Signature { key: KeyId(raw.key), bytes: raw.bytes });
        Ok(Self { kind, body, signatures: signatures.collect(), len })
    }

    /// Returns the digest of the body, by which a channel file names a payload.
    pub fn digest(&self) -> Digest {
        Digest::of(self.body)
    }

    /// Returns the envelope as it lies in a file: what was parsed gives the bytes that it was parsed from.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = |len: usize| U32::new(u32::try_from(len).expect("parse and seal hold the limits"));
        let prefix = RawPrefix {
            magic: self.kind.magic(),
            format: U32::new(FORMAT),
            body_len: count(self.body.len()),
            n_signatures: count(self.signatures.len()),
            reserved: [0; 12],
        };
        let mut bytes = [prefix.as_bytes(), self.body].concat();
        for signature in &self.signatures {
            let raw = RawSignature { key: signature.key.0, bytes: signature.bytes };
            bytes.extend_from_slice(raw.as_bytes());
        }
        bytes
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        self.kind.message(self.digest())
    }
}

/// Makes an envelope around `body`, signed by `keys` in their order: the same keys give the same bytes.
pub fn seal(kind: Kind, body: &[u8], keys: &[SecretKey]) -> Result<Vec<u8>, EnvelopeError> {
    bounded("length of the body", saturated(body.len()), BODY_MAX)?;
    bounded("number of signatures", saturated(keys.len()), SIGNATURES_MAX)?;
    let message = kind.message(Digest::of(body));
    let sign = |key: &SecretKey| Signature { key: key.public().id(), bytes: key.sign(&message) };
    let len = PREFIX_LEN + body.len() + keys.len() * size_of::<RawSignature>();
    Ok(Envelope { kind, body, signatures: keys.iter().map(sign).collect(), len }.to_bytes())
}

fn prefix(kind: Kind, bytes: &[u8]) -> Result<(&RawPrefix, &[u8]), EnvelopeError> {
    let start = bytes.get(..8).unwrap_or(bytes);
    if start != kind.magic() {
        let found = start.escape_ascii().to_string();
        return Err(EnvelopeError::Magic { expected: kind.name(), found });
    }
    let truncated = EnvelopeError::Truncated { expected: PREFIX_LEN, found: bytes.len() };
    let (raw, rest) = RawPrefix::ref_from_prefix(bytes).map_err(|_| truncated)?;
    if raw.format.get() != FORMAT {
        return Err(EnvelopeError::Format { what: kind.name(), found: raw.format.get() });
    }
    if raw.reserved != [0; 12] {
        return Err(EnvelopeError::Reserved);
    }
    Ok((raw, rest))
}

fn bounded(field: &'static str, found: u32, limit: usize) -> Result<usize, EnvelopeError> {
    match usize::try_from(found) {
        Ok(len) if (1..=limit).contains(&len) => Ok(len),
        Ok(_) | Err(_) => Err(EnvelopeError::Limit { field, found, limit }),
    }
}

/// A length as a field can hold it; what does not fit is far beyond every limit.
fn saturated(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(n: u8) -> Vec<SecretKey> {
        (1..=n).map(|seed| SecretKey::from_seed([seed; 32])).collect()
    }

    #[test]
    fn reads_what_it_seals() {
        let mut bytes = seal(Kind::Payload, b"{}", &keys(2)).unwrap();
        assert_eq!(bytes.len(), 32 + 2 + 2 * 80);
        bytes.extend(b"what follows");
        let envelope = Envelope::parse(Kind::Payload, &bytes).unwrap();
        assert_eq!((envelope.body, envelope.len), (&b"{}"[..], 194));
        assert_eq!(envelope.signatures[1].key, keys(2)[1].public().id());
        assert_eq!(Envelope::len_from_prefix(Kind::Payload, &bytes[..PREFIX_LEN]), Ok(194));
        assert_eq!(envelope.to_bytes(), bytes[..194]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = seal(Kind::Channel, b"{\"a\":1}", &keys(1)).unwrap();
        for len in 0..bytes.len() {
            assert!(Envelope::parse(Kind::Channel, &bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn limits_hold_at_their_ends() {
        let longest = seal(Kind::Payload, &vec![b' '; BODY_MAX], &keys(8)).unwrap();
        assert_eq!(u64::try_from(longest.len()), Ok(ENVELOPE_MAX));
        let body = "length of the body";
        let limit = |field, found, limit| EnvelopeError::Limit { field, found, limit };
        assert_eq!(seal(Kind::Payload, &[], &keys(1)), Err(limit(body, 0, BODY_MAX)));
        assert_eq!(
            seal(Kind::Payload, &vec![b' '; BODY_MAX + 1], &keys(1)),
            Err(limit(body, 65537, BODY_MAX))
        );
        let signatures = "number of signatures";
        assert_eq!(seal(Kind::Payload, b"{}", &[]), Err(limit(signatures, 0, 8)));
        assert_eq!(seal(Kind::Payload, b"{}", &keys(9)), Err(limit(signatures, 9, 8)));
        let mut bytes = seal(Kind::Payload, b"{}", &keys(8)).unwrap();
        for (at, value) in [(12, 65537_u32), (12, 0), (12, u32::MAX), (16, 9), (16, 0), (16, u32::MAX)] {
            let mut changed = bytes.clone();
            changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let found = Envelope::parse(Kind::Payload, &changed);
            assert!(matches!(found, Err(EnvelopeError::Limit { .. })), "{at} {value} {found:?}");
        }
        bytes[31] = 1;
        assert_eq!(Envelope::parse(Kind::Payload, &bytes), Err(EnvelopeError::Reserved));
    }

    #[test]
    fn another_file_shows_how_it_starts() {
        let err = Envelope::parse(Kind::Payload, b"<!DOCTYPE html>").unwrap_err().to_string();
        assert_eq!(err, "this is no update payload: it starts with `<!DOCTYP`");
        let channel = seal(Kind::Channel, b"{}", &keys(1)).unwrap();
        assert!(matches!(Envelope::parse(Kind::Payload, &channel), Err(EnvelopeError::Magic { .. })));
        let mut later = seal(Kind::Payload, b"{}", &keys(1)).unwrap();
        later[8] = 2;
        let err = Envelope::parse(Kind::Payload, &later).unwrap_err().to_string();
        assert_eq!(err, "update payload of format 2; this program reads format 1: update it first");
    }
}
