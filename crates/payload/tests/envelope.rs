//! Envelopes: openssl makes the same bytes, and what parses is written as it was.

use payload::{Envelope, Kind, PREFIX_LEN, SIGNATURES_MAX, SecretKey, Trust, seal};
use proptest::prelude::*;

fn keys(n: u8) -> Vec<SecretKey> {
    (1..=n).map(|seed| SecretKey::from_seed([seed; 32])).collect()
}

#[test]
fn openssl_seals_the_same_bytes() {
    // `data/sealed.gen.sh` made the file.
    let digits: String = include_str!("data/sealed.hex").split_whitespace().collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let expected: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect();
    let key = SecretKey::from_seed([7; 32]);
    assert_eq!(seal(Kind::Channel, b"{\"a\":1}", std::slice::from_ref(&key)).unwrap(), expected);
    let envelope = Envelope::parse(Kind::Channel, &expected).unwrap();
    assert_eq!(Trust::new([key.public()], []).verify(&envelope), Ok(vec![key.public().id()]));
}

/// Bytes that begin like an envelope, or nearly.
fn nearly_an_envelope() -> impl Strategy<Value = Vec<u8>> {
    let counts = (0_u32..300, 0_u32..10, prop_oneof![9 => Just(1_u32), 1 => any::<u32>()]);
    (counts, prop::collection::vec(any::<u8>(), 0..1000)).prop_map(
        |((body_len, n_signatures, format), rest)| {
            let numbers = [format, body_len, n_signatures].map(u32::to_le_bytes).concat();
            [&b"SLWPAYLD"[..], &numbers, &[0; 12], &rest].concat()
        },
    )
}

proptest! {
    #[test]
    fn parses_what_it_seals(
        body in prop::collection::vec(any::<u8>(), 1..2000),
        n_keys in 1_u8..=8,
        behind in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let keys = keys(n_keys);
        let sealed = seal(Kind::Payload, &body, &keys).unwrap();
        let bytes = [&sealed[..], &behind].concat();
        let envelope = Envelope::parse(Kind::Payload, &bytes).unwrap();
        prop_assert_eq!(envelope.body, &body[..]);
        prop_assert_eq!(envelope.len, sealed.len());
        prop_assert_eq!(envelope.to_bytes(), sealed.clone());
        prop_assert_eq!(seal(Kind::Payload, envelope.body, &keys).unwrap(), sealed);
    }

    #[test]
    fn what_parses_is_written_as_it_was(bytes in nearly_an_envelope()) {
        if let Ok(envelope) = Envelope::parse(Kind::Payload, &bytes) {
            prop_assert_eq!(envelope.to_bytes(), &bytes[..envelope.len]);
            prop_assert_eq!(Envelope::len_from_prefix(Kind::Payload, &bytes[..PREFIX_LEN]), Ok(envelope.len));
            prop_assert!(envelope.signatures.len() <= SIGNATURES_MAX);
            prop_assert!(Trust::new(keys(2).iter().map(SecretKey::public), []).verify(&envelope).is_err());
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Envelope::parse(Kind::Channel, &bytes).is_err());
    }

    #[test]
    fn a_changed_byte_is_refused_by_parser_or_key(at: prop::sample::Index, flip in 1_u8..) {
        let key = SecretKey::from_seed([1; 32]);
        let mut bytes = seal(Kind::Payload, b"{\"version\": \"1.0.0\"}", std::slice::from_ref(&key)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let trust = Trust::new([key.public()], []);
        let parsed = Envelope::parse(Kind::Payload, &bytes);
        prop_assert!(!parsed.is_ok_and(|envelope| trust.verify(&envelope).is_ok()), "byte {at}");
    }
}
