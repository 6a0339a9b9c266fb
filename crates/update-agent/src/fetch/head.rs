//! The head of a payload: fetched, its signatures checked, and compared with what the channel offers.

use anyhow::Context;
use payload::{ALIGNMENT, Channel, Digest, Envelope, EnvelopeError, Extent, Kind, Manifest, Trust};
use slots::Version;

use super::{check_padding, read_part, to_u64, to_usize};
use crate::source::Source;

/// A head that is to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What it says.
    pub manifest: Manifest,
    /// The payload's version.
    pub version: Version,
    /// The lowest version that may take it.
    pub min_from: Version,
    /// Digest of the manifest, which names the payload.
    pub digest: Digest,
}

/// Fetches and checks the head. What `channel` offers has to be what it is.
pub fn head(source: &mut dyn Source, trust: &Trust, channel: Option<&Channel>) -> anyhow::Result<Head> {
    if let Some(channel) = channel {
        source.expect_total(channel.payload_len)?;
    }
    let bytes = fetch(source)?;
    let envelope = Envelope::parse(Kind::Payload, &bytes).context("reading the head of the payload")?;
    trust.verify(&envelope).context("checking the signatures of the payload")?;
    let digest = envelope.digest();
    if let Some(expected) =
        channel.map(|channel| channel.manifest_sha256).filter(|expected| *expected != digest)
    {
        anyhow::bail!("manifest_sha256: the channel file offers {expected}, this payload is {digest}");
    }
    let manifest = Manifest::parse(envelope.body, to_u64(envelope.len))?;
    check_padding(&bytes[envelope.len..], to_u64(envelope.len))?;
    if let Some(channel) = channel {
        for (field, expected, found) in [
            ("product", &channel.product, &manifest.product),
            ("version", &channel.version, &manifest.version),
        ] {
            anyhow::ensure!(
                expected == found,
                "{field}: the channel file offers `{expected}`, the payload has `{found}`"
            );
        }
    }
    source.expect_total(manifest.layout.total())?;
    let version = manifest.version.parse().context("reading the version of the payload")?;
    let min_from = manifest.min_from.parse().context("reading min_from of the payload")?;
    Ok(Head { manifest, version, min_from, digest })
}

/// Returns envelope and padding: all bytes in front of the first section.
fn fetch(source: &mut dyn Source) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let res = read_part(source, Extent { offset: 0, len: ALIGNMENT }, &mut bytes);
    let len = match Envelope::len_from_prefix(Kind::Payload, &bytes) {
        // An error page says more by how it starts than by its length.
        Err(err @ EnvelopeError::Magic { .. }) if 8 <= bytes.len() => return Err(err.into()),
        len => len,
    };
    res?;
    let end = to_u64(len?).next_multiple_of(ALIGNMENT);
    let rest = Extent { offset: ALIGNMENT, len: end.saturating_sub(ALIGNMENT) };
    if rest.len != 0 {
        read_part(source, rest, &mut bytes)?;
    }
    bytes.truncate(to_usize(end)?);
    Ok(bytes)
}
