//! The sums of a folder of files, `SHA256SUMS` as sha256sum(1) writes it, and the detached signature beside it.
//! `docs/formats/sums.md` describes both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::envelope::{Envelope, EnvelopeError, Kind, seal};
use crate::key::{KeyId, SecretKey};
use crate::text::shown;
use crate::trust::{Trust, TrustError};

/// Name of the file with the sums.
pub const SUMS_FILE: &str = "SHA256SUMS";
/// Name of the file with their signature.
pub const SIGNATURE_FILE: &str = "SHA256SUMS.sig";
/// Longest file of sums, in bytes: some ten thousand files.
pub const SUMS_MAX: u64 = 1 << 20;

/// The sum of each file, by its name from the folder on. Exists only if every line is one of a sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums(pub BTreeMap<String, Digest>);

/// Why sums are not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SumsError {
    /// The signature's file is none.
    #[error("the signature of the sums")]
    Envelope(#[from] EnvelopeError),
    /// Nobody vouches for it.
    #[error("checking the signature of the sums")]
    Trust(#[from] TrustError),
    /// Something follows the signature.
    #[error("{found} bytes follow the signature of the sums: expected none")]
    Trailing {
        /// Number of bytes.
        found: usize,
    },
    /// The signed text is none of sums.
    #[error("the signature of the sums: {0}")]
    Json(String),
    /// The sums are others.
    #[error(
        "the signature is for sums with SHA-256 {expected}, these have {found}: both are to be got again"
    )]
    Other {
        /// What was signed.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// A line is none.
    #[error(
        "line {line} of the sums: expected 64 hexadecimal digits, two blanks and a name, found `{found}`"
    )]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// The line, shortened.
        found: String,
    },
    /// A file has two sums.
    #[error("line {line} of the sums: a second one of `{name}`")]
    Second {
        /// Number of the line, from 1.
        line: usize,
        /// The file.
        name: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Wire {
    sha256: String,
    length: u64,
}

/// Returns the bytes of the signature's file for the sums in `text`.
pub fn sign(text: &[u8], keys: &[SecretKey]) -> Result<Vec<u8>, SumsError> {
    let body = serde_json::to_vec_pretty(&wire(text)).map_err(|err| SumsError::Json(err.to_string()))?;
    Ok(seal(Kind::Sums, &body, keys)?)
}

/// Checks the signature of the sums in `text` and returns them, and the trusted keys that signed.
pub fn open(text: &[u8], signature: &[u8], trust: &Trust) -> Result<(Sums, Vec<KeyId>), SumsError> {
    let envelope = Envelope::parse(Kind::Sums, signature)?;
    if envelope.len != signature.len() {
        return Err(SumsError::Trailing { found: signature.len() - envelope.len });
    }
    let trusted = trust.verify(&envelope)?;
    let json = |err: &dyn std::fmt::Display| SumsError::Json(err.to_string());
    let signed: Wire = serde_json::from_slice(envelope.body).map_err(|err| json(&err))?;
    let (expected, found) = (signed.sha256.parse().map_err(|err| json(&err))?, Digest::of(text));
    if expected != found || signed.length != wire(text).length {
        return Err(SumsError::Other { expected, found });
    }
    Ok((parse(text)?, trusted))
}

fn wire(text: &[u8]) -> Wire {
    Wire { sha256: Digest::of(text).to_string(), length: u64::try_from(text.len()).unwrap_or(u64::MAX) }
}

fn parse(text: &[u8]) -> Result<Sums, SumsError> {
    let mut sums = BTreeMap::new();
    for (line, text) in (1..).zip(String::from_utf8_lossy(text).lines()) {
        let wrong = || SumsError::Line { line, found: shown(text) };
        // The second blank is a star for who opens files as binary ones.
        let (digest, name) = text.split_once(' ').ok_or_else(wrong)?;
        let name = name.strip_prefix([' ', '*']).filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        let digest: Digest = digest.parse().map_err(|_| wrong())?;
        if sums.insert(name.to_owned(), digest).is_some() {
            return Err(SumsError::Second { line, name: shown(name) });
        }
    }
    Ok(Sums(sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn trust(seed: u8) -> Trust {
        Trust::new([key(seed).public()], [])
    }

    fn text() -> String {
        format!("{}  slipway_1.0.0.raw.zst\n{} *packages/a.deb\n", Digest::of(b"a"), Digest::of(b"b"))
    }

    #[test]
    fn what_was_signed_opens_with_its_key_alone() {
        let signature = sign(text().as_bytes(), &[key(1)]).unwrap();
        let (sums, by) = open(text().as_bytes(), &signature, &trust(1)).unwrap();
        assert_eq!(by, [key(1).public().id()]);
        assert_eq!(sums.0["slipway_1.0.0.raw.zst"], Digest::of(b"a"));
        assert_eq!(sums.0["packages/a.deb"], Digest::of(b"b"));
        let refused = open(text().as_bytes(), &signature, &trust(2)).unwrap_err();
        assert!(matches!(refused, SumsError::Trust(TrustError::Unknown { .. })), "{refused}");
    }

    #[test]
    fn other_sums_and_other_files_are_refused() {
        let signature = sign(text().as_bytes(), &[key(1)]).unwrap();
        let other = open(text().replace("1.0.0", "1.0.1").as_bytes(), &signature, &trust(1)).unwrap_err();
        assert!(matches!(other, SumsError::Other { .. }), "{other}");
        let longer = [&signature[..], b"x"].concat();
        let refused = open(text().as_bytes(), &longer, &trust(1)).unwrap_err();
        assert_eq!(refused, SumsError::Trailing { found: 1 });
        let channel = seal(Kind::Channel, b"{}", &[key(1)]).unwrap();
        let refused = open(text().as_bytes(), &channel, &trust(1)).unwrap_err();
        assert!(matches!(refused, SumsError::Envelope(EnvelopeError::Magic { .. })), "{refused}");
        let nothing = seal(Kind::Sums, b"{}", &[key(1)]).unwrap();
        let refused = open(text().as_bytes(), &nothing, &trust(1)).unwrap_err();
        assert!(matches!(refused, SumsError::Json(_)), "{refused}");
    }

    #[test]
    fn lines_that_are_no_sums_are_refused_by_number() {
        let digest = Digest::of(b"a");
        for line in ["", "x", &format!("{digest}"), &format!("{digest}  "), &format!("\\{digest}  a")] {
            let text = format!("{digest}  a\n{line}\n");
            let signature = sign(text.as_bytes(), &[key(1)]).unwrap();
            let refused = open(text.as_bytes(), &signature, &trust(1)).unwrap_err();
            assert_eq!(refused, SumsError::Line { line: 2, found: shown(line) });
        }
        let text = format!("{digest}  a\n{digest} *a\n");
        let signature = sign(text.as_bytes(), &[key(1)]).unwrap();
        let refused = open(text.as_bytes(), &signature, &trust(1)).unwrap_err();
        assert_eq!(refused, SumsError::Second { line: 2, name: "a".to_owned() });
    }
}
