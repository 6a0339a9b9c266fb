//! A payload file: its signed head, and whether every byte behind it is what the head says.

#[cfg(test)]
pub mod made;
mod sections;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use payload::{Digest, Envelope, KeyId, Kind, Manifest, PREFIX_LEN, Trust};

use crate::log::Cancel;

/// Bytes that are read at once.
const BUFFER_LEN: usize = 1 << 20;

/// The head of a payload. Its lengths are checked; [`verify`] alone says whether it is to be believed.
#[derive(Clone, Debug)]
pub struct Head {
    /// Envelope as it lies in the file.
    pub bytes: Vec<u8>,
    /// What the payload holds.
    pub manifest: Manifest,
    /// Version in it.
    pub version: slots::Version,
    /// Lowest version that may take it.
    pub min_from: slots::Version,
    /// SHA-256 of the manifest, by which a channel file names the payload.
    pub digest: Digest,
    /// Keys that signed, in the order of the file; their signatures are not checked.
    pub signers: Vec<KeyId>,
}

/// Reads the head of a file, and nothing behind it.
pub fn inspect(path: &Path) -> anyhow::Result<Head> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let bytes = envelope(file).with_context(|| path.display().to_string())?;
    head(bytes).with_context(|| path.display().to_string())
}

/// Checks every byte of a file, from start to end. Returns the head and the trusted keys that signed.
pub fn verify(path: &Path, trust: &Trust, cancel: &Cancel) -> anyhow::Result<(Head, Vec<KeyId>)> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let reader = BufReader::with_capacity(BUFFER_LEN, cancel.stream(file));
    verify_stream(reader, trust).with_context(|| path.display().to_string())
}

fn verify_stream(mut reader: impl Read, trust: &Trust) -> anyhow::Result<(Head, Vec<KeyId>)> {
    let bytes = envelope(&mut reader)?;
    // What nobody vouches for is not even parsed.
    let trusted =
        trust.verify(&Envelope::parse(Kind::Payload, &bytes)?).context("checking the signatures")?;
    let head = head(bytes)?;
    sections::verify(&mut reader, u64::try_from(head.bytes.len())?, &head.manifest)?;
    Ok((head, trusted))
}

/// Reads the envelope at the start; its length is checked against its limit before it is used.
fn envelope(mut reader: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![];
    let prefix = u64::try_from(PREFIX_LEN)?;
    reader.by_ref().take(prefix).read_to_end(&mut bytes).context("reading the header")?;
    let len = Envelope::len_from_prefix(Kind::Payload, &bytes)?;
    reader.take(u64::try_from(len)? - prefix).read_to_end(&mut bytes).context("reading the envelope")?;
    Envelope::parse(Kind::Payload, &bytes)?;
    Ok(bytes)
}

fn head(bytes: Vec<u8>) -> anyhow::Result<Head> {
    let envelope = Envelope::parse(Kind::Payload, &bytes)?;
    let manifest = Manifest::parse(envelope.body, u64::try_from(envelope.len)?)?;
    let version = |field: &str, text: &str| -> anyhow::Result<slots::Version> {
        text.parse().with_context(|| format!("payload manifest, field `{field}`"))
    };
    Ok(Head {
        version: version("version", &manifest.version)?,
        min_from: version("min_from", &manifest.min_from)?,
        digest: envelope.digest(),
        signers: envelope.signatures.iter().map(|signature| signature.key).collect(),
        manifest,
        bytes,
    })
}

/// The section that a byte of the file lies in.
pub fn section_at(head: &Head, at: u64) -> &'static str {
    let layout = &head.manifest.layout;
    let named = [
        ("uki_blocks", layout.uki_blocks),
        ("uki", layout.uki),
        ("loader", layout.loader),
        ("tree_blocks", layout.tree_blocks),
        ("tree", layout.tree),
        ("usr", layout.usr),
    ];
    let found = named.into_iter().find(|(_, extent)| (extent.offset..extent.end()).contains(&at));
    match found {
        Some((name, _)) => name,
        None if at < u64::try_from(head.bytes.len()).unwrap_or(u64::MAX) => "envelope",
        None => "padding",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::made::{Made, SEED};
    use super::*;
    use payload::SecretKey;

    fn trust(seed: u8) -> Trust {
        Trust::new([SecretKey::from_seed([seed; 32]).public()], [])
    }

    #[track_caller]
    fn error(bytes: &[u8]) -> String {
        format!("{:#}", verify_stream(bytes, &trust(SEED)).unwrap_err())
    }

    #[test]
    fn accepts_what_the_stage_writes() {
        let made = Made::new("0.2.0");
        let (head, trusted) = verify_stream(made.bytes.as_slice(), &trust(SEED)).unwrap();
        assert_eq!(
            (head.version.to_string().as_str(), head.min_from.to_string().as_str()),
            ("0.2.0", "0.1.0")
        );
        assert_eq!(trusted, head.signers);
        assert_eq!(head.manifest.usr_blocks(), 130);
        assert_eq!(Made::new("0.2.0").bytes, made.bytes, "same inputs, same bytes");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.payload");
        fs::write(&path, &made.bytes).unwrap();
        assert_eq!(inspect(&path).unwrap().digest, head.digest);
    }

    #[test]
    fn rejects_another_key_before_anything_else_is_looked_at() {
        let mut bytes = Made::new("0.2.0").bytes;
        bytes.truncate(3000);
        let text = format!("{:#}", verify_stream(bytes.as_slice(), &trust(9)).unwrap_err());
        assert!(text.contains("checking the signatures: no trusted key signed it"), "{text}");
    }

    #[test]
    fn names_the_check_and_the_place_of_every_changed_byte() {
        let made = Made::new("0.2.0");
        let head = verify_stream(made.bytes.as_slice(), &trust(SEED)).unwrap().0;
        let layout = head.manifest.layout;
        let end = |extent: payload::Extent| extent.end() - 1;
        for (at, check) in [
            (0, "no update payload"),
            (20, "reserved bytes"),
            (60, "does not verify"),
            (u64::try_from(head.bytes.len()).unwrap() - 1, "does not verify"),
            (u64::try_from(head.bytes.len()).unwrap(), "the padding at byte"),
            (layout.uki_blocks.offset + 9, "the block list of the UKI at byte"),
            (end(layout.uki_blocks) + 1, "the padding at byte"),
            (layout.uki.offset + 0x400, "block 1 of the UKI at byte"),
            (end(layout.uki), "of the UKI at byte"),
            (layout.loader.offset, "the loader at byte"),
            (layout.tree_blocks.offset, "the block list of the hash tree at byte"),
            (layout.tree.offset, "checking the hash tree at byte"),
            (end(layout.tree), "checking the hash tree at byte"),
            (layout.usr.offset + 5 * 4096 + 7, "block 5 of /usr at byte"),
            (end(layout.usr), "block 129 of /usr at byte"),
        ] {
            let mut bytes = made.bytes.clone();
            bytes[usize::try_from(at).unwrap()] ^= 1;
            let found = error(&bytes);
            assert!(found.contains(check), "byte {at}: {found}");
        }
        assert_eq!(section_at(&head, 3), "envelope");
        assert_eq!(section_at(&head, layout.uki.offset), "uki");
        assert_eq!(section_at(&head, layout.uki.offset - 1), "padding");
        assert_eq!(section_at(&head, end(layout.usr)), "usr");
    }

    #[test]
    fn names_the_place_of_a_truncation_and_of_what_follows() {
        let mut bytes = Made::new("0.2.0").bytes;
        for len in [0, 20, 100, 3000, 4100, 4096 * 2 + 5, bytes.len() / 2, bytes.len() - 1] {
            let found = error(&bytes[..len]);
            assert!(found.contains("ends") || found.contains("no update payload"), "{len}: {found}");
        }
        bytes.push(0);
        let found = error(&bytes);
        assert!(found.contains(&format!("more bytes follow from byte {}", bytes.len() - 1)), "{found}");
    }
}
