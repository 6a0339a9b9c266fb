//! Verifies data against tree and root hash, and names the first block that is wrong.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use crate::build::{BLOCKS_PER_READ, read_blocks};
use crate::hash::{BlockHasher, RootHash, Salt};
use crate::layout::{BLOCK, BLOCK_SIZE, DIGEST_SIZE, DIGESTS_PER_BLOCK, Layout, LayoutError};
use crate::superblock::{Superblock, SuperblockError};

/// Why data does not verify.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The superblock is not one that we accept.
    #[error("reading the verity superblock")]
    Superblock(#[from] SuperblockError),
    /// No tree can cover that many blocks.
    #[error("laying out the hash tree")]
    Layout(#[from] LayoutError),
    /// A data block differs from what was hashed.
    #[error("data block {block} is corrupted: expected hash {expected}, found {found}")]
    DataBlock {
        /// Number of the block, from zero.
        block: u64,
        /// The hash in the tree.
        expected: RootHash,
        /// The hash of the bytes read.
        found: RootHash,
    },
    /// A hash block differs from what was hashed; for the top block, the root hash may be another tree's.
    #[error(
        "hash tree block {block} of level {level} (0 = leaves) is corrupted: expected hash {expected}, \
         found {found}"
    )]
    TreeBlock {
        /// Level of the block; 0 holds the hashes of data.
        level: usize,
        /// Number of the block within its level, from zero.
        block: u64,
        /// The hash one level up, or the root hash.
        expected: RootHash,
        /// The hash of the bytes read.
        found: RootHash,
    },
    /// The data ended early.
    #[error("data ended in the blocks from {block} on: expected {expected} blocks of {BLOCK_SIZE} bytes")]
    DataTruncated {
        /// Number of the first block of the read that came up short.
        block: u64,
        /// Number of blocks that the tree covers.
        expected: u64,
    },
    /// The tree ended early.
    #[error("hash tree ended before block {block} of level {level} (0 = leaves)")]
    TreeTruncated {
        /// Level of the missing block.
        level: usize,
        /// Number of the block within its level.
        block: u64,
    },
    /// A tree in memory has another length than one over that many blocks.
    #[error("hash tree has {found} bytes: expected {expected}")]
    TreeLength {
        /// Length of a tree over the data's blocks.
        expected: u64,
        /// Length in bytes.
        found: usize,
    },
    /// A superblock that nobody vouches for claims more data than there can be.
    #[error("verity superblock: {found} data blocks, where at most {limit} have room")]
    TooManyBlocks {
        /// Most blocks that the caller accepts.
        limit: u64,
        /// Blocks that the superblock claims.
        found: u64,
    },
    /// Reading the data failed.
    #[error("reading data from block {block}")]
    ReadData {
        /// Number of the first block of the read.
        block: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Reading superblock or tree failed.
    #[error("reading the hash tree")]
    ReadTree(#[source] io::Error),
}

/// Verifies `data` against superblock and tree in `hash_device` (from its present position) and `root`.
///
/// Number of blocks and salt come from the superblock; wrong ones lead to another root hash. The UUID is not
/// protected by anything. Bytes of `data` and `hash_device` behind the last block are not looked at.
pub fn verify(data: impl Read, mut hash_device: impl Read + Seek, root: &RootHash) -> Result<(), Error> {
    let mut block = [0; BLOCK_SIZE];
    hash_device.read_exact(&mut block).map_err(Error::ReadTree)?;
    let superblock = Superblock::parse(&block)?;
    verify_tree(data, superblock.n_data_blocks, &superblock.salt, hash_device, root)
}

/// Like [`verify`], for a tree without superblock, as in an update payload.
pub fn verify_tree(
    mut data: impl Read,
    n_data_blocks: u64,
    salt: &Salt,
    mut tree: impl Read + Seek,
    root: &RootHash,
) -> Result<(), Error> {
    let layout = Layout::new(n_data_blocks)?;
    let base = tree.stream_position().map_err(Error::ReadTree)?;
    let hasher = BlockHasher::new(salt);
    let mut tree = TreeReader::new(layout, hasher.clone(), base, tree, *root);
    let mut buffer = Vec::new();
    let mut block = 0;
    while block < n_data_blocks {
        let n_blocks = (n_data_blocks - block).min(BLOCKS_PER_READ);
        read_blocks(&mut data, n_blocks, &mut buffer).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::DataTruncated { block, expected: n_data_blocks },
            _ => Error::ReadData { block, source },
        })?;
        for bytes in buffer.chunks_exact(BLOCK_SIZE) {
            let expected = tree.digest_of_child(0, block)?;
            let found = RootHash(hasher.hash(bytes));
            if found != expected {
                return Err(Error::DataBlock { block, expected, found });
            }
            block += 1;
        }
    }
    Ok(())
}

/// Reads hash blocks on demand, top down, and keeps one verified block per level.
struct TreeReader<T> {
    layout: Layout,
    hasher: BlockHasher,
    base: u64,
    tree: T,
    root: RootHash,
    /// Per level: the number of the verified block that is kept, and its bytes.
    kept: Vec<(Option<u64>, Vec<u8>)>,
}

impl<T: Read + Seek> TreeReader<T> {
    fn new(layout: Layout, hasher: BlockHasher, base: u64, tree: T, root: RootHash) -> Self {
        let kept = layout.levels().iter().map(|_| (None, vec![0; BLOCK_SIZE])).collect();
        Self { layout, hasher, base, tree, root, kept }
    }

    /// Returns the hash that the `child`-th block below level `level` must have.
    fn digest_of_child(&mut self, level: usize, child: u64) -> Result<RootHash, Error> {
        if level == self.kept.len() {
            return Ok(self.root);
        }
        let block = child / DIGESTS_PER_BLOCK;
        if self.kept[level].0 != Some(block) {
            self.load(level, block)?;
        }
        let idx = usize::try_from(child % DIGESTS_PER_BLOCK).expect("less than 128");
        let digests = self.kept[level].1.as_chunks::<DIGEST_SIZE>().0;
        Ok(RootHash(digests[idx]))
    }

    fn load(&mut self, level: usize, block: u64) -> Result<(), Error> {
        let expected = self.digest_of_child(level + 1, block)?;
        let offset = self.base + (self.layout.levels()[level].first_block + block) * BLOCK;
        self.tree.seek(SeekFrom::Start(offset)).map_err(Error::ReadTree)?;
        let (number, bytes) = &mut self.kept[level];
        *number = None;
        self.tree.read_exact(bytes).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::TreeTruncated { level, block },
            _ => Error::ReadTree(source),
        })?;
        let found = RootHash(self.hasher.hash(bytes));
        if found != expected {
            return Err(Error::TreeBlock { level, block, expected, found });
        }
        *number = Some(block);
        Ok(())
    }
}
