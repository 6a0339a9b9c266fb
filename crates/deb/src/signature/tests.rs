//! Messages signed here, with keys made here, and the archive's real keys.

use pgp::composed::{ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedSecretKey, SubkeyParamsBuilder};
use pgp::packet::{SignatureConfig, Subpacket, SubpacketData};
use pgp::types::{Duration, Password, SigningKey, Tag};
use rand08::thread_rng;

use super::*;

const TEXT: &str = "Origin: Test\n- dash\nDate: now\n";

/// Later than every key and signature made by these tests.
fn now() -> u64 {
    seconds(Timestamp::now()) + 60
}

fn key(signs: bool) -> SignedSecretKey {
    let mut subkey = SubkeyParamsBuilder::default();
    subkey.key_type(KeyType::Ed25519Legacy).can_sign(true);
    let mut params = SecretKeyParamsBuilder::default();
    params
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(signs)
        .primary_user_id("TEST_KEY_DO_NOT_USE".into())
        .subkeys(vec![subkey.build().unwrap()]);
    params.build().unwrap().generate(thread_rng()).unwrap()
}

fn keyring(key: &SignedSecretKey) -> Keyring {
    let mut keyring = Keyring::default();
    keyring
        .add(
            SignedPublicKey::from(key.clone()).to_armored_string(ArmorOptions::default()).unwrap().as_bytes(),
        )
        .unwrap();
    keyring
}

fn signed(key: &impl SigningKey) -> String {
    let message = CleartextSignedMessage::sign(thread_rng(), TEXT, key, &Password::empty()).unwrap();
    message.to_armored_string(ArmorOptions::default()).unwrap()
}

/// Signs with a signature of another kind than the usual.
fn signed_as(key: &impl SigningKey, change: impl FnOnce(&mut SignatureConfig)) -> String {
    let mut config = SignatureConfig::from_key(thread_rng(), key, SignatureType::Text).unwrap();
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::now())).unwrap(),
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())).unwrap(),
    ];
    change(&mut config);
    let message = CleartextSignedMessage::new(TEXT, config, key, &Password::empty()).unwrap();
    message.to_armored_string(ArmorOptions::default()).unwrap()
}

#[track_caller]
fn unusable(message: &str, keyring: &Keyring, now: u64, says: &str) {
    match check_cleartext(message.as_bytes(), keyring, now) {
        Err(SignatureError::Unusable { reason, .. }) => assert!(reason.contains(says), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn returns_the_text_that_a_key_or_its_subkey_signed() {
    let key = key(true);
    for message in [signed(&key.primary_key), signed(&key.secret_subkeys[0].key)] {
        assert_eq!(check_cleartext(message.as_bytes(), &keyring(&key), now()).unwrap(), TEXT);
    }
}

#[test]
fn one_known_key_among_several_is_enough() {
    let (ours, other) = (key(true), key(true));
    let mut both = keyring(&other);
    both.keys.extend(keyring(&ours).keys);
    assert_eq!(check_cleartext(signed(&ours.primary_key).as_bytes(), &both, now()).unwrap(), TEXT);
}

#[test]
fn rejects_a_changed_text() {
    let key = key(true);
    let message = signed(&key.primary_key).replace("Origin: Test", "Origin: Best");
    assert!(matches!(
        check_cleartext(message.as_bytes(), &keyring(&key), now()),
        Err(SignatureError::Wrong { .. })
    ));
}

#[test]
fn rejects_a_foreign_key_and_names_it() {
    let (ours, other) = (key(true), key(true));
    let err = check_cleartext(signed(&other.primary_key).as_bytes(), &keyring(&ours), now()).unwrap_err();
    let id = other.legacy_key_id().to_string();
    assert!(matches!(&err, SignatureError::UnknownKeys { found } if found.contains(&id)), "{err}");
}

#[test]
fn rejects_text_around_the_signed_part() {
    let key = key(true);
    let message = signed(&key.primary_key);
    for around in [format!("Origin: Evil\n{message}"), format!("{message}\nOrigin: Evil\n")] {
        // Either refused, or what was outside is not returned.
        match check_cleartext(around.as_bytes(), &keyring(&key), now()) {
            Ok(text) => assert_eq!(text, TEXT),
            Err(err) => assert!(matches!(err, SignatureError::Message(_)), "{err}"),
        }
    }
}

#[test]
fn rejects_what_is_no_signed_message() {
    let ring = keyring(&key(true));
    assert!(matches!(check_cleartext(b"", &ring, 0), Err(SignatureError::Message(_))));
    assert!(matches!(check_cleartext(TEXT.as_bytes(), &ring, 0), Err(SignatureError::Message(_))));
    assert!(matches!(check_cleartext(b"\xff", &ring, 0), Err(SignatureError::Encoding)));
}

#[test]
fn rejects_signatures_too_weak_or_of_another_kind() {
    let key = key(true);
    let ring = keyring(&key);
    let other = signed_as(&key.primary_key, |config| config.hash_alg = HashAlgorithm::Sha3_256);
    unusable(&other, &ring, now(), "SHA-2");
    let binary = signed_as(&key.primary_key, |config| config.typ = SignatureType::Binary);
    unusable(&binary, &ring, now(), "not one over text");
    let timeless = signed_as(&key.primary_key, |config| {
        config.hashed_subpackets.remove(0);
    });
    unusable(&timeless, &ring, now(), "no time");
}

#[test]
fn rejects_signatures_from_the_future_and_expired_ones() {
    let key = key(true);
    let ring = keyring(&key);
    unusable(&signed(&key.primary_key), &ring, now() - 3 * 86_400, "from the future");
    let hour = Duration::from_secs(3600);
    let short = signed_as(&key.primary_key, |config| {
        config
            .hashed_subpackets
            .push(Subpacket::regular(SubpacketData::SignatureExpirationTime(hour)).unwrap());
    });
    assert!(check_cleartext(short.as_bytes(), &ring, now()).is_ok());
    unusable(&short, &ring, now() + 3600, "expired");
}

#[test]
fn rejects_a_key_that_is_expired_or_not_for_signing() {
    let certifier = key(false);
    unusable(&signed(&certifier.primary_key), &keyring(&certifier), now(), "not one for signing");

    let mut key = key(true);
    let user = &mut key.details.users[0];
    let mut config =
        SignatureConfig::from_key(thread_rng(), &key.primary_key, SignatureType::CertGeneric).unwrap();
    config.hashed_subpackets = user.signatures[0].config().unwrap().hashed_subpackets.clone();
    let day = Duration::from_secs(86_400);
    config.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyExpirationTime(day)).unwrap());
    let primary = &key.primary_key;
    let expiring = config
        .sign_certification(primary, primary.public_key(), &Password::empty(), Tag::UserId, &user.id)
        .unwrap();
    user.signatures = vec![expiring];
    let (message, ring) = (signed(&key.secret_subkeys[0].key), keyring(&key));
    assert!(check_cleartext(message.as_bytes(), &ring, now()).is_ok());
    unusable(&message, &ring, now() + 86_400, "the key is expired");
}

#[test]
fn rejects_keys_whose_parts_do_not_belong_together() {
    let (ours, other) = (key(true), key(true));
    let mut mixed = SignedPublicKey::from(ours);
    mixed.public_subkeys = SignedPublicKey::from(other).public_subkeys;
    let armored = mixed.to_armored_string(ArmorOptions::default()).unwrap();
    let err = Keyring::default().add(armored.as_bytes()).unwrap_err();
    assert!(matches!(err, SignatureError::Binding { .. }), "{err}");
    assert!(matches!(Keyring::default().add(b"hello"), Err(SignatureError::Keys(_))));
}

#[test]
fn reads_the_archives_own_keys() {
    let mut keyring = Keyring::default();
    for bytes in [
        &include_bytes!("../../../../image/archive-keys/debian-archive-trixie-automatic.asc")[..],
        include_bytes!("../../../../image/archive-keys/debian-archive-trixie-security-automatic.asc"),
        include_bytes!("../../../../image/archive-keys/debian-archive-trixie-stable.asc"),
    ] {
        keyring.add(bytes).unwrap();
    }
    let fingerprints: Vec<String> =
        keyring.keys.iter().map(|key| key.fingerprint().to_string().to_uppercase()).collect();
    // As printed on the archive's own page of keys.
    assert_eq!(
        fingerprints,
        [
            "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
            "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
            "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
        ]
    );
}
