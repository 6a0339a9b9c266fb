//! The hashes of data blocks as a verity partition claims them, for looking up blocks that may be there.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use crate::build::{BLOCKS_PER_READ, read_blocks};
use crate::layout::{BLOCK, DIGEST_SIZE, Layout};
use crate::superblock::Superblock;
use crate::verify::Error;

/// What a verity partition says about its data. Nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Leaves {
    /// Superblock. Hashes under another salt say nothing about blocks of ours.
    pub superblock: Superblock,
    /// Hash of each data block in order; none for a single block, whose hash is not in the tree.
    pub digests: Vec<[u8; DIGEST_SIZE]>,
}

/// Reads superblock and leaf level of `hash_device`, from its present position, and no other level.
///
/// A tree over more than `max_data_blocks` blocks is refused: the number chooses how much memory is taken, and
/// no honest one is larger than the data's partition. Who copies a block of the data because of its leaf checks
/// that block against a verified hash.
pub fn read_leaves(mut hash_device: impl Read + Seek, max_data_blocks: u64) -> Result<Leaves, Error> {
    let base = hash_device.stream_position().map_err(Error::ReadTree)?;
    let mut block = Vec::new();
    read_blocks(&mut hash_device, 1, &mut block).map_err(Error::ReadTree)?;
    let superblock = Superblock::parse(&block)?;
    let found = superblock.n_data_blocks;
    if max_data_blocks < found {
        return Err(Error::TooManyBlocks { limit: max_data_blocks, found });
    }
    let layout = Layout::new(found)?;
    let Some(level) = layout.levels().first() else { return Ok(Leaves { superblock, digests: vec![] }) };
    let start = base + (1 + level.first_block) * BLOCK;
    hash_device.seek(SeekFrom::Start(start)).map_err(Error::ReadTree)?;
    let n_digests = usize::try_from(found).expect("it is at most what the caller has memory for");
    let mut digests = Vec::with_capacity(n_digests);
    let mut buffer = Vec::new();
    let mut block = 0;
    while block < level.n_blocks {
        let n_blocks = (level.n_blocks - block).min(BLOCKS_PER_READ);
        read_blocks(&mut hash_device, n_blocks, &mut buffer).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::TreeTruncated { level: 0, block },
            _ => Error::ReadTree(source),
        })?;
        let read = buffer.as_chunks::<DIGEST_SIZE>().0;
        // The last block is padded.
        digests.extend_from_slice(&read[..read.len().min(n_digests - digests.len())]);
        block += n_blocks;
    }
    Ok(Leaves { superblock, digests })
}
