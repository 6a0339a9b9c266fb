//! Flips a byte of each block in memory and asks our own verifier, block by block.

use std::fs::{self, File};
use std::io::{Cursor, Read as _, Seek as _, SeekFrom};

use anyhow::Context as _;

use crate::command::test::Judged;
use crate::ctx::Ctx;
use crate::seeded::Random;

const BLOCK: usize = 4096;
/// Blocks that are verified together: a whole subtree of the hash tree, whose root is one leaf block.
const GROUP: usize = 128;

/// Every block of the image.
pub fn every_block(ctx: &Ctx, judged: &Judged) -> anyhow::Result<()> {
    let n_groups = judged.manifest.usr_blocks.div_ceil(u64::try_from(GROUP)?);
    for group in 0..n_groups {
        ctx.cancel.check()?;
        check_group(judged, group, |_| true)?;
    }
    Ok(())
}

/// `n` blocks that the seed chooses.
pub fn some_blocks(judged: &Judged, n: u32) -> anyhow::Result<()> {
    let mut random = Random::new(judged.seed);
    for _ in 0..n {
        let block = random.below(judged.manifest.usr_blocks);
        let (group, within) = (block / u64::try_from(GROUP)?, usize::try_from(block)? % GROUP);
        check_group(judged, group, |idx| idx == within)?;
    }
    Ok(())
}

/// The leaf block that lists a group's hashes is a hash tree's only node for the group alone: building it
/// from the blocks must give the sealed one, and no longer once a byte of any block is flipped.
fn check_group(judged: &Judged, group: u64, wanted: impl Fn(usize) -> bool) -> anyhow::Result<()> {
    let n_left = judged.manifest.usr_blocks - group * u64::try_from(GROUP)?;
    let n_blocks = usize::try_from(n_left.min(u64::try_from(GROUP)?))?;
    let mut data = vec![0; n_blocks * BLOCK];
    let usr = judged.artifact("usr")?;
    let mut file = File::open(&usr).with_context(|| format!("opening {}", usr.display()))?;
    file.seek(SeekFrom::Start(group * u64::try_from(GROUP * BLOCK)?))?;
    file.read_exact(&mut data).with_context(|| format!("reading {}", usr.display()))?;
    let sealed = leaf_block(judged, group)?;
    anyhow::ensure!(leaf_of(judged, &data)? == sealed, "group {group}: the sealed hashes do not fit");
    let mut random = Random::new(judged.seed ^ group);
    for idx in (0..n_blocks).filter(|idx| wanted(*idx)) {
        let at = idx * BLOCK + usize::try_from(random.below(4096))?;
        let bit = 1 << random.below(8);
        data[at] ^= bit;
        // Only the changed block's hash can differ: its neighbors need not be hashed again.
        let block = &data[idx * BLOCK..(idx + 1) * BLOCK];
        let hash = hash_of(judged, block)?;
        anyhow::ensure!(
            hash != sealed[idx * 32..(idx + 1) * 32],
            "block {idx} of group {group}: the flipped byte is not found"
        );
        data[at] ^= bit;
    }
    Ok(())
}

/// Leaf blocks are the last of the tree, one for each group.
fn leaf_block(judged: &Judged, group: u64) -> anyhow::Result<Vec<u8>> {
    let path = judged.artifact("verity")?;
    let n_groups = judged.manifest.usr_blocks.div_ceil(u64::try_from(GROUP)?);
    let len = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?.len();
    let at = (n_groups - group) * u64::try_from(BLOCK)?;
    let at = len.checked_sub(at).with_context(|| format!("{} is too short", path.display()))?;
    let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    file.seek(SeekFrom::Start(at))?;
    let mut block = vec![0; BLOCK];
    file.read_exact(&mut block).with_context(|| format!("reading {}", path.display()))?;
    Ok(block)
}

fn leaf_of(judged: &Judged, data: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut leaf = Vec::with_capacity(BLOCK);
    for block in data.chunks(BLOCK) {
        leaf.extend(hash_of(judged, block)?);
    }
    leaf.resize(BLOCK, 0);
    Ok(leaf)
}

/// The root hash of an image of one block is that block's hash.
fn hash_of(judged: &Judged, block: &[u8]) -> anyhow::Result<[u8; 32]> {
    let salt: verity::Salt = judged.manifest.salt.parse().context("reading the salt")?;
    let root = verity::build_tree(block, 1, &salt, Cursor::new(Vec::new()))?;
    Ok(root.0)
}
