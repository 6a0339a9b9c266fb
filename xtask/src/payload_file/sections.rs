//! Checks what follows a payload's envelope, in the order of the file: each byte against what vouches for it.

use std::io::{ErrorKind, Read};

use anyhow::{Context as _, bail, ensure};
use payload::{BLOCK_SIZE, BlockList, Digest, Extent, Manifest};
use sha2::{Digest as _, Sha256};
use verity::{BlockHasher, RootHash, Salt, VerifiedTree};

/// A reader that knows where it is.
struct At<R> {
    reader: R,
    offset: u64,
}

/// Checks padding and sections up to the end of the file.
pub fn verify(reader: impl Read, envelope_len: u64, manifest: &Manifest) -> anyhow::Result<()> {
    let layout = &manifest.layout;
    let mut at = At { reader, offset: envelope_len };

    at.padding(layout.uki_blocks)?;
    let list = at.whole(layout.uki_blocks, "the block list of the UKI")?;
    equal(layout.uki_blocks, "the block list of the UKI", manifest.uki_blocks_sha256, Digest::of(&list))?;
    let blocks = BlockList::parse(&list, layout.uki.len).with_context(|| {
        format!("checking the block list of the UKI at byte {}", layout.uki_blocks.offset)
    })?;

    at.padding(layout.uki)?;
    uki(&mut at, layout.uki, &blocks, manifest.uki_sha256)?;

    at.padding(layout.loader)?;
    let loader = at.whole(layout.loader, "the loader")?;
    equal(layout.loader, "the loader", manifest.loader_sha256, Digest::of(&loader))?;

    at.padding(layout.tree_blocks)?;
    let list = at.whole(layout.tree_blocks, "the block list of the hash tree")?;
    equal(
        layout.tree_blocks,
        "the block list of the hash tree",
        manifest.tree_blocks_sha256,
        Digest::of(&list),
    )?;

    at.padding(layout.tree)?;
    let bytes = at.whole(layout.tree, "the hash tree")?;
    let (salt, root) = (Salt(manifest.salt.0), RootHash(manifest.root_hash.0));
    let tree = VerifiedTree::new(bytes, manifest.usr_blocks(), &salt, &root)
        .with_context(|| format!("checking the hash tree at byte {}", layout.tree.offset))?;
    // Machines that have most of the tree ask for the blocks of the list.
    let expected = match tree.bytes() {
        [] => vec![],
        tree => BlockList::of_hashes(tree)?.to_bytes(),
    };
    ensure!(
        list == expected,
        "the block list of the hash tree at byte {} is not that of the tree behind it",
        layout.tree_blocks.offset
    );

    at.padding(layout.usr)?;
    let hasher = BlockHasher::new(&salt);
    let mut buffer = [0; verity::BLOCK_SIZE];
    for (block, expected) in (0_u64..).zip(tree.leaves()) {
        let offset = at.offset;
        at.fill(&mut buffer, || format!("block {block} of /usr"))?;
        let found = hasher.hash(&buffer);
        ensure!(
            found == expected,
            "block {block} of /usr at byte {offset}: hash {}, the tree has {}",
            Digest(found),
            Digest(expected)
        );
    }
    at.end()
}

fn uki(at: &mut At<impl Read>, extent: Extent, blocks: &BlockList, whole: Digest) -> anyhow::Result<()> {
    let mut sum = Sha256::new();
    let mut buffer = [0; BLOCK_SIZE];
    for (idx, block) in blocks.blocks().iter().enumerate() {
        let offset = at.offset;
        let bytes = &mut buffer[..block.len];
        at.fill(bytes, || format!("block {idx} of the UKI"))?;
        let found = Digest::of(bytes);
        ensure!(
            found == block.hash,
            "block {idx} of the UKI at byte {offset}: SHA-256 {found}, the list has {}",
            block.hash
        );
        sum.update(bytes);
    }
    equal(extent, "the UKI", whole, Digest(sum.finalize().into()))
}

fn equal(extent: Extent, what: &str, expected: Digest, found: Digest) -> anyhow::Result<()> {
    ensure!(
        found == expected,
        "{what} at byte {}: SHA-256 {found}, the manifest has {expected}",
        extent.offset
    );
    Ok(())
}

impl<R: Read> At<R> {
    /// Fills the buffer.
    fn fill(&mut self, buffer: &mut [u8], what: impl Fn() -> String) -> anyhow::Result<()> {
        let start = self.offset;
        let mut n = 0;
        while n < buffer.len() {
            match self.reader.read(&mut buffer[n..]) {
                Ok(0) => {
                    let end = start + u64::try_from(n)?;
                    bail!("the file ends at byte {end}, within {}, which starts at {start}", what());
                }
                Ok(more) => n += more,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err).with_context(|| format!("reading {} at byte {start}", what())),
            }
        }
        self.offset += u64::try_from(n)?;
        Ok(())
    }

    /// Reads a section whole; the layout has bounded its length.
    fn whole(&mut self, extent: Extent, what: &str) -> anyhow::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(extent.len)?];
        self.fill(&mut bytes, || what.to_owned())?;
        Ok(bytes)
    }

    /// Goes to the start of a section; the bytes in front of it are zero.
    fn padding(&mut self, extent: Extent) -> anyhow::Result<()> {
        let start = self.offset;
        let mut bytes = vec![0; usize::try_from(extent.offset.saturating_sub(start))?];
        self.fill(&mut bytes, || "the padding".to_owned())?;
        if let Some(idx) = bytes.iter().position(|byte| *byte != 0) {
            bail!("the padding at byte {} is not zero", start + u64::try_from(idx)?);
        }
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let mut byte = [0];
        loop {
            match self.reader.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => bail!("more bytes follow from byte {}, where the payload ends", self.offset),
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err).context("reading the end of the file"),
            }
        }
    }
}
