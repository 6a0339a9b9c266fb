//! Which keys are trusted, and whether an envelope's signatures suffice.

use std::collections::{BTreeMap, BTreeSet};

use crate::envelope::Envelope;
use crate::key::{KeyId, PublicKey};

/// The keys that a machine knows.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: BTreeMap<KeyId, PublicKey>,
    retired: BTreeSet<KeyId>,
}

/// Why signatures do not suffice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Two signatures name one key.
    #[error("two signatures name the key {key}")]
    Duplicate {
        /// The key.
        key: KeyId,
    },
    /// A signature by a known key is not over these bytes.
    #[error(
        "the signature by the key {key} does not verify: the file was changed, or signed for something else"
    )]
    Broken {
        /// The key.
        key: KeyId,
    },
    /// Only a retired key signed.
    #[error("the key {key} is retired, and no trusted key signed beside it")]
    Retired {
        /// The key.
        key: KeyId,
    },
    /// No known key signed.
    #[error("no trusted key signed it: signed by {found}, trusted are {trusted}")]
    Unknown {
        /// The keys that signed.
        found: String,
        /// The keys that are trusted.
        trusted: String,
    },
}

impl Trust {
    /// Trusts `keys`, but for those of them that are retired.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>, retired: impl IntoIterator<Item = KeyId>) -> Self {
        let keys = keys.into_iter().map(|key| (key.id(), key)).collect();
        Self { keys, retired: retired.into_iter().collect() }
    }

    /// Returns the keys that a signature counts of.
    pub fn trusted(&self) -> impl Iterator<Item = KeyId> {
        self.keys.keys().filter(|id| !self.retired.contains(id)).copied()
    }

    /// Checks the signatures: no key twice, each one by a key that we have verifies, retired ones too, and at
    /// least one is by a trusted key. Returns the trusted keys that signed.
    pub fn verify(&self, envelope: &Envelope<'_>) -> Result<Vec<KeyId>, TrustError> {
        let message = envelope.message();
        let mut seen = BTreeSet::new();
        let mut trusted = vec![];
        for signature in &envelope.signatures {
            let key = signature.key;
            if !seen.insert(key) {
                return Err(TrustError::Duplicate { key });
            }
            let Some(public) = self.keys.get(&key) else { continue };
            if !public.accepts(&message, &signature.bytes) {
                return Err(TrustError::Broken { key });
            }
            if !self.retired.contains(&key) {
                trusted.push(key);
            }
        }
        if !trusted.is_empty() {
            return Ok(trusted);
        }
        if let Some(key) = seen.intersection(&self.retired).next() {
            return Err(TrustError::Retired { key: *key });
        }
        Err(TrustError::Unknown { found: list(seen), trusted: list(self.trusted()) })
    }
}

fn list(ids: impl IntoIterator<Item = KeyId>) -> String {
    let ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Kind, seal};
    use crate::key::SecretKey;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn id(seed: u8) -> KeyId {
        key(seed).public().id()
    }

    fn trust(trusted: &[u8], retired: &[u8]) -> Trust {
        Trust::new(trusted.iter().map(|seed| key(*seed).public()), retired.iter().map(|seed| id(*seed)))
    }

    #[track_caller]
    fn check(signers: &[u8], trust: &Trust, expected: Result<Vec<KeyId>, TrustError>) {
        let keys: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
        let bytes = seal(Kind::Payload, b"{}", &keys).unwrap();
        assert_eq!(trust.verify(&Envelope::parse(Kind::Payload, &bytes).unwrap()), expected);
    }

    #[test]
    fn one_trusted_signature_suffices_and_unknown_ones_do_not_matter() {
        check(&[1], &trust(&[1, 2], &[]), Ok(vec![id(1)]));
        check(&[9, 2], &trust(&[1, 2], &[]), Ok(vec![id(2)]));
        check(&[1, 2], &trust(&[1, 2], &[]), Ok(vec![id(1), id(2)]));
    }

    #[test]
    fn rotation_needs_no_flag_day() {
        // The old key signs with the new one; machines that know only one of them take it.
        for known in [&[1][..], &[2], &[1, 2]] {
            let keys = [key(1), key(2)];
            let bytes = seal(Kind::Payload, b"{}", &keys).unwrap();
            assert!(trust(known, &[]).verify(&Envelope::parse(Kind::Payload, &bytes).unwrap()).is_ok());
        }
    }

    #[test]
    fn a_retired_key_alone_is_refused_by_name() {
        check(&[1], &trust(&[1, 2], &[1]), Err(TrustError::Retired { key: id(1) }));
        check(&[1], &trust(&[2], &[1]), Err(TrustError::Retired { key: id(1) }));
        check(&[1, 2], &trust(&[1, 2], &[1]), Ok(vec![id(2)]));
    }

    #[test]
    fn foreign_and_repeated_signers_are_refused() {
        let unknown = TrustError::Unknown { found: id(9).to_string(), trusted: id(1).to_string() };
        check(&[9], &trust(&[1], &[]), Err(unknown));
        check(&[1, 1], &trust(&[1], &[]), Err(TrustError::Duplicate { key: id(1) }));
        check(&[9, 1, 9], &trust(&[1], &[]), Err(TrustError::Duplicate { key: id(9) }));
        let none = TrustError::Unknown { found: id(1).to_string(), trusted: "none".to_owned() };
        check(&[1], &Trust::default(), Err(none));
    }

    #[test]
    fn a_broken_signature_beside_a_valid_one_is_refused() {
        let mut bytes = seal(Kind::Payload, b"{}", &[key(1), key(2)]).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        let envelope = Envelope::parse(Kind::Payload, &bytes).unwrap();
        assert_eq!(trust(&[1, 2], &[]).verify(&envelope), Err(TrustError::Broken { key: id(2) }));
        assert_eq!(trust(&[1, 2], &[2]).verify(&envelope), Err(TrustError::Broken { key: id(2) }));
        // Of an unknown key nobody can tell.
        assert_eq!(trust(&[1], &[]).verify(&envelope), Ok(vec![id(1)]));
    }

    #[test]
    fn a_signature_counts_for_one_kind_and_one_body() {
        let payload = seal(Kind::Payload, b"{}", &[key(1)]).unwrap();
        let mut as_channel = payload.clone();
        as_channel[..8].copy_from_slice(b"SLWCHANL");
        let mut changed = payload;
        changed[33] = b' ';
        for (kind, bytes) in [(Kind::Channel, as_channel), (Kind::Payload, changed)] {
            let envelope = Envelope::parse(kind, &bytes).unwrap();
            assert_eq!(trust(&[1], &[]).verify(&envelope), Err(TrustError::Broken { key: id(1) }));
        }
    }
}
