//! Cleartext signatures (RFC 9580, section 7) of `InRelease` files.
//!
//! One valid signature by one key of the ring is enough, as it is for apt: Debian signs with the keys of two
//! releases, of which an image knows only its own. What was signed is returned and nothing else of the file
//! is to be used.

use std::io::Cursor;

use pgp::composed::{CleartextSignedMessage, Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Timestamp};
use thiserror::Error;

/// Most keys in one file.
pub const KEYS_MAX: usize = 64;

/// Most signatures that are looked at.
pub const SIGNATURES_MAX: usize = 32;

/// Why a text is not vouched for.
#[derive(Debug, Error)]
pub enum SignatureError {
    /// Not a key file.
    #[error("reading the public keys")]
    Keys(#[source] pgp::errors::Error),
    /// A key whose parts do not belong together.
    #[error("the key {fingerprint} is not whole")]
    Binding {
        /// Of the primary key.
        fingerprint: String,
        /// What is wrong with it.
        #[source]
        source: pgp::errors::Error,
    },
    /// No key, or more than [`KEYS_MAX`].
    #[error("the file has {found} keys, expected 1 to {KEYS_MAX}")]
    KeyCount {
        /// How many it has.
        found: usize,
    },
    /// Not a text with a signature, or with something before or after it.
    #[error("reading the signed text")]
    Message(#[source] pgp::errors::Error),
    /// The text is not UTF-8.
    #[error("the signed text is not UTF-8")]
    Encoding,
    /// None of the signatures is by a key of the ring.
    #[error("signed by {found}, none of which is a trusted key")]
    UnknownKeys {
        /// Ids of the keys that signed, with commas.
        found: String,
    },
    /// A trusted key's signature that does not fit the text.
    #[error("the signature by key {key} is wrong: the file was changed or damaged")]
    Wrong {
        /// Fingerprint of the key.
        key: String,
    },
    /// A trusted key that may not sign any more, or a signature too weak.
    #[error("the signature by key {key} does not count: {reason}")]
    Unusable {
        /// Fingerprint of the key.
        key: String,
        /// Why not.
        reason: &'static str,
    },
}

/// The keys that are trusted. Each is whole: its parts are bound to it by its own signatures.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: Vec<SignedPublicKey>,
}

impl Keyring {
    /// Adds the keys of one file, armored or not.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), SignatureError> {
        let (keys, _armor) =
            SignedPublicKey::from_reader_many(Cursor::new(bytes)).map_err(SignatureError::Keys)?;
        let keys: Vec<_> = keys.take(KEYS_MAX + 1).collect::<Result<_, _>>().map_err(SignatureError::Keys)?;
        if !(1..=KEYS_MAX).contains(&keys.len()) {
            return Err(SignatureError::KeyCount { found: keys.len() });
        }
        for key in keys {
            key.verify_bindings().map_err(|source| SignatureError::Binding {
                fingerprint: key.fingerprint().to_string(),
                source,
            })?;
            self.keys.push(key);
        }
        Ok(())
    }
}

/// Returns the text inside a signed message, with `\n` line ends, if a key of the ring that is valid at `now`
/// (seconds since 1970) vouches for it.
pub fn check_cleartext(message: &[u8], keyring: &Keyring, now: u64) -> Result<String, SignatureError> {
    let message = std::str::from_utf8(message).map_err(|_| SignatureError::Encoding)?;
    let (message, _headers) =
        CleartextSignedMessage::from_string(message).map_err(SignatureError::Message)?;
    let text = message.signed_text();
    let mut failure = None;
    for signature in message.signatures().iter().take(SIGNATURES_MAX) {
        for key in &keyring.keys {
            match check_by(signature, key, &text, now) {
                Some(Ok(())) => return Ok(text.replace("\r\n", "\n")),
                Some(Err(err)) => failure = Some(err),
                None => {}
            }
        }
    }
    Err(failure.unwrap_or_else(|| {
        let ids = message.signatures().iter().flat_map(Signature::issuer_key_id).map(|id| id.to_string());
        SignatureError::UnknownKeys { found: ids.collect::<Vec<_>>().join(", ") }
    }))
}

/// Checks a signature by a key or its subkeys. Returns none when another key made it.
fn check_by(
    signature: &Signature,
    key: &SignedPublicKey,
    text: &str,
    now: u64,
) -> Option<Result<(), SignatureError>> {
    let subkey = key.public_subkeys.iter().find(|subkey| issued_by(signature, *subkey));
    let fingerprint = match subkey {
        Some(subkey) => subkey.fingerprint().to_string(),
        None if issued_by(signature, key) => key.fingerprint().to_string(),
        None => return None,
    };
    let usable = signature_usable(signature, now)
        .and_then(|()| primary_usable(key, subkey.is_none(), now))
        .and_then(|()| subkey.map_or(Ok(()), |subkey| subkey_usable(subkey, now)));
    if let Err(reason) = usable {
        return Some(Err(SignatureError::Unusable { key: fingerprint, reason }));
    }
    let verified = match subkey {
        Some(subkey) => signature.verify(subkey, text.as_bytes()),
        None => signature.verify(key, text.as_bytes()),
    };
    // The library's reason (which of two numbers differs) tells a reader nothing more.
    Some(verified.map_err(|_| SignatureError::Wrong { key: fingerprint }))
}

fn issued_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    signature.issuer_fingerprint().contains(&&key.fingerprint())
        || signature.issuer_fingerprint().is_empty()
            && signature.issuer_key_id().contains(&&key.legacy_key_id())
}

fn signature_usable(signature: &Signature, now: u64) -> Result<(), &'static str> {
    if signature.typ() != Some(SignatureType::Text) {
        return Err("it is not one over text");
    }
    let strong = [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
    if !signature.hash_alg().is_some_and(|hash| strong.contains(&hash)) {
        return Err("its hash is not of the SHA-2 family");
    }
    let created = signature.created().map(seconds).ok_or("it has no time")?;
    if now.saturating_add(24 * 60 * 60) < created {
        return Err("it is from the future: is this machine's clock right?");
    }
    not_after(created, signature.signature_expiration_time(), now).map_err(|()| "it is expired")
}

fn primary_usable(key: &SignedPublicKey, signs: bool, now: u64) -> Result<(), &'static str> {
    if !key.details.revocation_signatures.is_empty() {
        return Err("the key is revoked");
    }
    // The newest self-signature is the one that counts (RFC 9580, section 5.2.3.10).
    let own =
        key.details.users.iter().flat_map(|user| &user.signatures).chain(&key.details.direct_signatures);
    let newest = own.filter(|sig| sig.created().is_some()).max_by_key(|sig| sig.created().map(seconds));
    let newest = newest.ok_or("the key has no signature of its own")?;
    not_after(seconds(key.created_at()), newest.key_expiration_time(), now)
        .map_err(|()| "the key is expired")?;
    if signs && !newest.key_flags().sign() {
        return Err("the key is not one for signing");
    }
    Ok(())
}

fn subkey_usable(subkey: &SignedPublicSubKey, now: u64) -> Result<(), &'static str> {
    if subkey.signatures.iter().any(|sig| sig.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err("the subkey is revoked");
    }
    let newest = subkey.signatures.iter().max_by_key(|sig| sig.created().map(seconds));
    let newest = newest.ok_or("the subkey is not bound to its key")?;
    not_after(seconds(subkey.created_at()), newest.key_expiration_time(), now)
        .map_err(|()| "the subkey is expired")?;
    if !newest.key_flags().sign() {
        return Err("the subkey is not one for signing");
    }
    Ok(())
}

/// Tells whether `now` is within a lifetime; none or zero means for ever.
fn not_after(created: u64, lifetime: Option<pgp::types::Duration>, now: u64) -> Result<(), ()> {
    let lifetime = lifetime.map_or(0, |lifetime| u64::from(lifetime.as_secs()));
    if lifetime != 0 && created.saturating_add(lifetime) < now { Err(()) } else { Ok(()) }
}

fn seconds(time: Timestamp) -> u64 {
    u64::from(time.as_secs())
}

#[cfg(test)]
mod tests;
