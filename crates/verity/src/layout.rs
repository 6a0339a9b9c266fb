//! Where the blocks of a hash tree lie: pure arithmetic.
//!
//! The top level comes first, the leaves last. A tree over one data block has no levels: its root hash is the
//! hash of that block.

/// Size of data and of hash blocks in bytes.
pub const BLOCK_SIZE: usize = 4096;
/// Size of one SHA-256 digest in bytes.
pub const DIGEST_SIZE: usize = 32;
/// Digests in one hash block.
pub const DIGESTS_PER_BLOCK: u64 = 128;
/// Largest number of data blocks accepted (16 TiB): far above any partition of ours, far below overflow.
pub const MAX_DATA_BLOCKS: u64 = 1 << 32;
/// Levels of a tree over [`MAX_DATA_BLOCKS`].
pub const MAX_LEVELS: usize = 5;

/// [`BLOCK_SIZE`] for arithmetic on offsets.
pub(crate) const BLOCK: u64 = 4096;

/// One level of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Number of the level's first block, counted from the start of the tree (after the superblock).
    pub first_block: u64,
    /// Number of hash blocks in the level.
    pub n_blocks: u64,
}

/// The shape of the tree over a number of data blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    n_data_blocks: u64,
    levels: Vec<Level>,
}

/// Why there is no tree over that many blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A tree needs at least one data block.
    #[error("the data has no block: expected 1 to {MAX_DATA_BLOCKS}")]
    Empty,
    /// More blocks than [`MAX_DATA_BLOCKS`].
    #[error("the data has {found} blocks: expected at most {MAX_DATA_BLOCKS}")]
    TooLarge {
        /// The number of blocks asked for.
        found: u64,
    },
}

impl Layout {
    /// Returns the shape of the tree over `n_data_blocks` blocks of 4096 bytes.
    pub fn new(n_data_blocks: u64) -> Result<Self, LayoutError> {
        if n_data_blocks == 0 {
            return Err(LayoutError::Empty);
        }
        if MAX_DATA_BLOCKS < n_data_blocks {
            return Err(LayoutError::TooLarge { found: n_data_blocks });
        }
        let mut levels = Vec::with_capacity(MAX_LEVELS);
        let mut n_children = n_data_blocks;
        while 1 < n_children {
            n_children = n_children.div_ceil(DIGESTS_PER_BLOCK);
            levels.push(Level { first_block: 0, n_blocks: n_children });
        }
        let mut first_block = 0;
        for level in levels.iter_mut().rev() {
            level.first_block = first_block;
            first_block += level.n_blocks;
        }
        Ok(Self { n_data_blocks, levels })
    }

    /// Returns the number of data blocks.
    pub fn n_data_blocks(&self) -> u64 {
        self.n_data_blocks
    }

    /// Returns the levels, leaves (level 0) first. Empty for a single data block.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Returns the number of hash blocks in the tree, without the superblock's.
    pub fn tree_blocks(&self) -> u64 {
        self.levels.iter().map(|level| level.n_blocks).sum()
    }

    /// Returns the length of the tree in bytes, without the superblock.
    pub fn tree_len(&self) -> u64 {
        self.tree_blocks() * BLOCK
    }

    /// Returns the length in bytes of superblock and tree: what a verity partition must hold.
    pub fn device_len(&self) -> u64 {
        (self.tree_blocks() + 1) * BLOCK
    }

    /// Returns the length of the data in bytes.
    pub fn data_len(&self) -> u64 {
        self.n_data_blocks * BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(n_data_blocks: u64, leaves_first: &[(u64, u64)]) {
        let layout = Layout::new(n_data_blocks).unwrap();
        let levels: Vec<_> = layout.levels().iter().map(|l| (l.first_block, l.n_blocks)).collect();
        assert_eq!(levels, leaves_first);
    }

    #[test]
    fn top_level_lies_first() {
        check(1, &[]);
        check(2, &[(0, 1)]);
        check(128, &[(0, 1)]);
        check(129, &[(1, 2), (0, 1)]);
        check(16_384, &[(1, 128), (0, 1)]);
        check(16_385, &[(3, 129), (1, 2), (0, 1)]);
    }

    #[test]
    fn lengths_of_a_full_slot_fit_its_verity_partition() {
        let layout = Layout::new(262_144).unwrap();
        assert_eq!(layout.data_len(), 1 << 30);
        assert_eq!(layout.tree_blocks(), 2048 + 16 + 1);
        assert!(layout.device_len() < 16 << 20);
    }

    #[test]
    fn largest_tree_has_max_levels() {
        assert_eq!(Layout::new(MAX_DATA_BLOCKS).unwrap().levels().len(), MAX_LEVELS);
    }

    #[test]
    fn rejects_no_blocks_and_too_many() {
        assert_eq!(Layout::new(0), Err(LayoutError::Empty));
        let found = MAX_DATA_BLOCKS + 1;
        assert_eq!(Layout::new(found), Err(LayoutError::TooLarge { found }));
        assert_eq!(Layout::new(u64::MAX), Err(LayoutError::TooLarge { found: u64::MAX }));
    }
}
