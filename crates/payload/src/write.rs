//! Writing a payload: lengths and digests first, then signatures, then the sections as they are.

use std::io::{self, Read, Write};

use crate::blocks::{BlockList, BlockListError};
use crate::digest::Digest;
use crate::envelope::{EnvelopeError, Kind, seal};
use crate::key::SecretKey;
use crate::layout::{ALIGNMENT, Layout, LayoutError, SectionLens};
use crate::manifest::{Architecture, Manifest, ManifestError};

/// What a payload is made of.
#[derive(Debug)]
pub struct Parts<'a, U> {
    /// Name of the product.
    pub product: &'a str,
    /// Version.
    pub version: &'a str,
    /// Lowest version that may take it.
    pub min_from: &'a str,
    /// Time of the locked packages, seconds since 1970.
    pub build_time: u64,
    /// dm-verity root hash.
    pub root_hash: [u8; 32],
    /// Salt of the tree.
    pub salt: [u8; 32],
    /// UUID for the tree's superblock.
    pub verity_uuid: [u8; 16],
    /// UKI.
    pub uki: &'a [u8],
    /// Its blocks.
    pub uki_blocks: &'a BlockList,
    /// Boot loader.
    pub loader: &'a [u8],
    /// Hash tree without superblock.
    pub tree: &'a [u8],
    /// `/usr` image.
    pub usr: U,
    /// Its length in bytes.
    pub usr_len: u64,
}

/// Why a payload could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The hash tree has too many blocks.
    #[error("listing the blocks of the hash tree")]
    TreeBlocks(#[from] BlockListError),
    /// A section is too long.
    #[error("laying out the payload")]
    Layout(#[from] LayoutError),
    /// Too many keys, or none.
    #[error("signing the payload")]
    Envelope(#[from] EnvelopeError),
    /// A field has a value that no machine would take.
    #[error("checking the payload before it is written")]
    Manifest(#[from] ManifestError),
    /// A section ended early.
    #[error("section `{section}` ended after {found} bytes: expected {expected}")]
    Short {
        /// Name of the section.
        section: &'static str,
        /// Expected length.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// Reading a section or writing the payload failed.
    #[error("writing the payload")]
    Io(#[from] io::Error),
}

/// Writes a payload signed by `keys`, and returns its manifest. What was written is whole only when this
/// returns without error.
pub fn write<U: Read>(
    parts: Parts<'_, U>,
    keys: &[SecretKey],
    mut out: impl Write,
) -> Result<Manifest, WriteError> {
    let lists = Lists {
        uki: parts.uki_blocks.to_bytes(),
        // An image of one block has no tree.
        tree: match parts.tree {
            [] => vec![],
            tree => BlockList::of_hashes(tree)?.to_bytes(),
        },
    };
    let lens = SectionLens {
        uki_blocks: to_u64(lists.uki.len()),
        uki: to_u64(parts.uki.len()),
        loader: to_u64(parts.loader.len()),
        tree_blocks: to_u64(lists.tree.len()),
        tree: to_u64(parts.tree.len()),
        usr: parts.usr_len,
    };
    let (manifest, envelope) = head(&parts, &lists, &lens, keys)?;
    let layout = manifest.layout;
    let mut at = to_u64(envelope.len());
    out.write_all(&envelope)?;
    let mut section = |name, from: &mut dyn Read, extent: crate::Extent| -> Result<(), WriteError> {
        io::copy(&mut io::repeat(0).take(extent.offset - at), &mut out)?;
        let found = io::copy(&mut from.take(extent.len), &mut out)?;
        if found != extent.len {
            return Err(WriteError::Short { section: name, expected: extent.len, found });
        }
        at = extent.end();
        Ok(())
    };
    section("uki_blocks", &mut lists.uki.as_slice(), layout.uki_blocks)?;
    section("uki", &mut { parts.uki }, layout.uki)?;
    section("loader", &mut { parts.loader }, layout.loader)?;
    section("tree_blocks", &mut lists.tree.as_slice(), layout.tree_blocks)?;
    section("tree", &mut { parts.tree }, layout.tree)?;
    section("usr", &mut { parts.usr }, layout.usr)?;
    Ok(manifest)
}

/// The block lists as stored.
struct Lists {
    uki: Vec<u8>,
    tree: Vec<u8>,
}

/// Makes manifest and envelope.
fn head<U>(
    parts: &Parts<'_, U>,
    lists: &Lists,
    lens: &SectionLens,
    keys: &[SecretKey],
) -> Result<(Manifest, Vec<u8>), WriteError> {
    let manifest = Manifest {
        product: parts.product.to_owned(),
        version: parts.version.to_owned(),
        architecture: Architecture::X86_64,
        min_from: parts.min_from.to_owned(),
        root_hash: Digest(parts.root_hash),
        salt: Digest(parts.salt),
        verity_uuid: parts.verity_uuid,
        // The manifest says where the sections begin, behind the envelope that it is in: the longest one with
        // the most signatures ends within the first multiple.
        layout: Layout::new(ALIGNMENT, lens)?,
        uki_sha256: Digest::of(parts.uki),
        uki_blocks_sha256: Digest::of(&lists.uki),
        loader_sha256: Digest::of(parts.loader),
        tree_blocks_sha256: Digest::of(&lists.tree),
        build_time: parts.build_time,
    };
    let body = manifest.to_json();
    let envelope = seal(Kind::Payload, &body, keys)?;
    // Refuses what a reader would, before anything is written.
    Manifest::parse(&body, to_u64(envelope.len()))?;
    Ok((manifest, envelope))
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).expect("usize has at most 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Envelope;

    fn written(product: &str, usr: &[u8], keys: &[SecretKey]) -> Result<(Manifest, Vec<u8>), WriteError> {
        let uki = vec![5; 5000];
        let blocks = BlockList::of(&uki, [512]).unwrap();
        let parts = Parts {
            product,
            version: "1.0.0",
            min_from: "0.1.0",
            build_time: 9,
            root_hash: [1; 32],
            salt: [2; 32],
            verity_uuid: [3; 16],
            uki: &uki,
            uki_blocks: &blocks,
            loader: b"loader",
            tree: &[6; 4096],
            usr,
            usr_len: 8192,
        };
        let mut bytes = vec![];
        write(parts, keys, &mut bytes).map(|manifest| (manifest, bytes))
    }

    fn keys(n: u8) -> Vec<SecretKey> {
        (1..=n).map(|seed| SecretKey::from_seed([seed; 32])).collect()
    }

    #[test]
    fn sections_lie_where_the_manifest_says_and_padding_is_zero() {
        for n_keys in [1, 8] {
            let (manifest, bytes) = written("slipway", &[7; 8192], &keys(n_keys)).unwrap();
            let envelope = Envelope::parse(Kind::Payload, &bytes).unwrap();
            assert_eq!(Manifest::parse(envelope.body, to_u64(envelope.len)).as_ref(), Ok(&manifest));
            let layout = manifest.layout;
            assert_eq!(to_u64(bytes.len()), layout.total());
            let part = |extent: crate::Extent| {
                let start = usize::try_from(extent.offset).unwrap();
                &bytes[start..start + usize::try_from(extent.len).unwrap()]
            };
            assert_eq!(Digest::of(part(layout.uki)), manifest.uki_sha256);
            assert_eq!(Digest::of(part(layout.uki_blocks)), manifest.uki_blocks_sha256);
            assert_eq!(part(layout.loader), b"loader");
            assert_eq!(Digest::of(part(layout.tree_blocks)), manifest.tree_blocks_sha256);
            assert_eq!((part(layout.tree), part(layout.usr)), (&[6; 4096][..], &[7; 8192][..]));
            for padding in layout.padding(to_u64(envelope.len)) {
                assert!(part(padding).iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn equal_parts_give_equal_bytes() {
        let write = || written("slipway", &[7; 8192], &keys(2)).unwrap().1;
        assert_eq!(write(), write());
    }

    #[test]
    fn what_no_machine_would_take_is_not_written() {
        let err = written("slipway", &[7; 8191], &keys(1)).unwrap_err();
        assert_eq!(err.to_string(), "section `usr` ended after 8191 bytes: expected 8192");
        for n_keys in [0, 9] {
            let found = written("slipway", &[7; 8192], &keys(n_keys));
            assert!(matches!(found, Err(WriteError::Envelope(_))), "{found:?}");
        }
        let found = written("../x", &[7; 8192], &keys(1));
        assert!(matches!(found, Err(WriteError::Manifest(_))), "{found:?}");
    }
}
