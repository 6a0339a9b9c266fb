//! The block list of a UKI or a hash tree: length and SHA-256 of each block of it, in order, without gaps.
//!
//! | bytes | field |
//! | --- | --- |
//! | 36 n + 0..4 | length of block n in bytes, 1 to 4096, little-endian |
//! | 36 n + 4..36 | its SHA-256 |
//!
//! Blocks are 4 KiB counted from starts. Those of a UKI are its PE sections, which are aligned to 512 bytes only: a
//! section that has not changed gives the same blocks wherever it lies. In a hash tree every thirty-second hash or so
//! is a start, chosen by the hash itself: hashes that only moved, because data in front of theirs grew, give the
//! same blocks. The list says where blocks end, so a reader needs no PE parser for it.

use std::io::{self, ErrorKind, Read};

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::digest::Digest;

/// Longest block in bytes.
pub const BLOCK_SIZE: usize = 4096;
/// Longest UKI in bytes: five times what we make.
pub const UKI_MAX: u64 = 256 << 20;
/// Most blocks in a list: those of the longest UKI, and a short one for each of 96 sections and the gap behind it. The
/// longest `/usr` has a tree of half as many.
pub const BLOCKS_MAX: u64 = UKI_MAX / 4096 + 200;
/// Bytes of a hash in a tree.
const HASH_LEN: usize = 32;
/// One hash in so many ends a block of a tree.
const TREE_SPREAD: u8 = 32;
/// What the first byte of such a hash is, modulo [`TREE_SPREAD`].
const TREE_MARK: u8 = 7;
/// Bytes of a block in the list.
pub(crate) const ROW_LEN: u64 = 36;

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// First byte in the file.
    pub offset: u64,
    /// Length in bytes.
    pub len: usize,
    /// SHA-256 of its bytes.
    pub hash: Digest,
}

/// All blocks of a file, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockList(Vec<Block>);

/// Why there is no block list, or none of that file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockListError {
    /// The length is no multiple of a row.
    #[error("the block list has {found} bytes: expected a multiple of {ROW_LEN}")]
    Length {
        /// Length in bytes.
        found: usize,
    },
    /// More blocks than a list can have.
    #[error("the block list has {found} blocks: expected 1 to {BLOCKS_MAX}")]
    Count {
        /// Number of blocks.
        found: u64,
    },
    /// A block is empty or too long.
    #[error("block {idx} has {found} bytes: expected 1 to {BLOCK_SIZE}")]
    Block {
        /// Position in the list.
        idx: usize,
        /// Length in bytes.
        found: u32,
    },
    /// The blocks do not add up to the file.
    #[error("the blocks have {found} bytes together, the file has {expected}")]
    Sum {
        /// Length of the file.
        expected: u64,
        /// Sum of the blocks' lengths.
        found: u64,
    },
}

/// Why a file's blocks could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ReadBlocksError {
    /// The file is empty, or too large.
    #[error("listing the blocks of the file")]
    List(#[from] BlockListError),
    /// The file ended early.
    #[error("the file ended in the block at {offset}: expected {expected} bytes")]
    Truncated {
        /// First byte of the block.
        offset: u64,
        /// Length of the file.
        expected: u64,
    },
    /// Reading the file failed.
    #[error("reading the block at {offset}")]
    Read {
        /// First byte of the block.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawBlock {
    len: U32,
    hash: [u8; 32],
}

impl BlockList {
    /// Lists the blocks of `file` that start at `starts` and at every [`BLOCK_SIZE`] bytes from there. The
    /// order of starts does not matter; one outside the file is left out.
    pub fn of(file: &[u8], starts: impl IntoIterator<Item = u64>) -> Result<Self, BlockListError> {
        Self::read(file, to_u64(file.len()), starts).map_err(|err| match err {
            ReadBlocksError::List(err) => err,
            ReadBlocksError::Truncated { .. } | ReadBlocksError::Read { .. } => {
                unreachable!("a slice has the bytes of its length")
            }
        })
    }

    /// Like [`BlockList::of`], for a file of `file_len` bytes that is not in memory: keeps one block of it.
    pub fn read(
        mut file: impl Read,
        file_len: u64,
        starts: impl IntoIterator<Item = u64>,
    ) -> Result<Self, ReadBlocksError> {
        let cuts = cuts(file_len, starts);
        let block = to_u64(BLOCK_SIZE);
        let found = cuts.windows(2).map(|pair| (pair[1] - pair[0]).div_ceil(block)).sum();
        let mut blocks = Vec::with_capacity(checked_count(found)?);
        let mut buffer = [0; BLOCK_SIZE];
        for pair in cuts.windows(2) {
            let mut offset = pair[0];
            while offset < pair[1] {
                let len = usize::try_from((pair[1] - offset).min(block)).expect("a block is short");
                let bytes = &mut buffer[..len];
                file.read_exact(bytes).map_err(|source| match source.kind() {
                    ErrorKind::UnexpectedEof => ReadBlocksError::Truncated { offset, expected: file_len },
                    _ => ReadBlocksError::Read { offset, source },
                })?;
                blocks.push(Block { offset, len, hash: Digest::of(bytes) });
                offset += to_u64(len);
            }
        }
        Ok(Self(blocks))
    }

    /// Lists the blocks of a hash tree, or of hashes in a row: a block begins behind each hash whose first byte is
    /// [`TREE_MARK`] in its lower bits.
    pub fn of_hashes(hashes: &[u8]) -> Result<Self, BlockListError> {
        let (rows, _) = hashes.as_chunks::<HASH_LEN>();
        // Zeros pad a tree and are no mark, or each would be a block.
        let ends = (1_u64..).zip(rows).filter(|(_, hash)| hash[0] % TREE_SPREAD == TREE_MARK);
        Self::of(hashes, ends.map(|(idx, _)| idx * to_u64(HASH_LEN)))
    }

    /// Reads a list of the blocks of a file of `file_len` bytes.
    pub fn parse(bytes: &[u8], file_len: u64) -> Result<Self, BlockListError> {
        let rows = <[RawBlock]>::ref_from_bytes(bytes);
        let rows = rows.map_err(|_| BlockListError::Length { found: bytes.len() })?;
        let mut blocks = Vec::with_capacity(checked_count(to_u64(rows.len()))?);
        let mut offset = 0;
        for (idx, row) in rows.iter().enumerate() {
            let found = row.len.get();
            let len = usize::try_from(found).unwrap_or(usize::MAX);
            if !(1..=BLOCK_SIZE).contains(&len) {
                return Err(BlockListError::Block { idx, found });
            }
            blocks.push(Block { offset, len, hash: Digest(row.hash) });
            offset += u64::from(found);
        }
        if offset != file_len {
            return Err(BlockListError::Sum { expected: file_len, found: offset });
        }
        Ok(Self(blocks))
    }

    /// Returns the list as stored in a payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let row = |block: &Block| RawBlock {
            len: U32::new(u32::try_from(block.len).expect("a block has at most BLOCK_SIZE bytes")),
            hash: block.hash.0,
        };
        self.0.iter().map(row).flat_map(|row| row.as_bytes().to_vec()).collect()
    }

    /// Returns the blocks in order.
    pub fn blocks(&self) -> &[Block] {
        &self.0
    }
}

/// Returns where blocks are counted from: start and end of the file, and the starts between.
fn cuts(file_len: u64, starts: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let inside = starts.into_iter().filter(|start| *start < file_len);
    let mut cuts: Vec<u64> = [0, file_len].into_iter().chain(inside).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

fn checked_count(found: u64) -> Result<usize, BlockListError> {
    match usize::try_from(found) {
        Ok(count) if (1..=BLOCKS_MAX).contains(&found) => Ok(count),
        Ok(_) | Err(_) => Err(BlockListError::Count { found }),
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).expect("usize has at most 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn blocks_are_counted_from_each_start() {
        let file = vec![7; 10_000];
        let list = BlockList::of(&file, [5000, 512, 512, 20_000, 10_000]).unwrap();
        let lens: Vec<_> = list.blocks().iter().map(|block| (block.offset, block.len)).collect();
        assert_eq!(lens, [(0, 512), (512, 4096), (4608, 392), (5000, 4096), (9096, 904)]);
        assert!(list.blocks().iter().all(|block| block.hash == Digest::of(&vec![7; block.len])));
    }

    #[test]
    fn a_section_that_moved_has_the_same_blocks() {
        let section: Vec<u8> = (0..20_000_u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
        let hashes = |head: usize| {
            let file = [vec![1; head], section.clone()].concat();
            let list = BlockList::of(&file, [to_u64(head)]).unwrap();
            let start = list.blocks().iter().position(|block| block.offset == to_u64(head)).unwrap();
            list.blocks()[start..].iter().map(|block| block.hash).collect::<Vec<_>>()
        };
        assert_eq!(hashes(512), hashes(1536));
    }

    #[test]
    fn hashes_that_moved_are_in_the_same_blocks() {
        let hashes: Vec<u8> = (0..2000_u32).flat_map(|n| Digest::of(&n.to_le_bytes()).0).collect();
        let list = BlockList::of_hashes(&hashes).unwrap();
        let n_blocks = list.blocks().len();
        assert!((40..120).contains(&n_blocks), "{n_blocks}");
        let old: HashSet<Digest> = list.blocks().iter().map(|block| block.hash).collect();
        // One hash more in front, one changed, padding behind.
        let mut moved = [&[9; 32][..], &hashes, &[0; 4096 - 32]].concat();
        moved[40_000] ^= 0x40;
        let list = BlockList::of_hashes(&moved).unwrap();
        let n_new = list.blocks().iter().filter(|block| !old.contains(&block.hash)).count();
        assert!((1..6).contains(&n_new), "{n_new} of {n_blocks}");
        assert!(list.blocks().iter().all(|block| block.len.is_multiple_of(32)));
    }

    #[test]
    fn rows_lie_where_the_table_says() {
        let bytes = BlockList::of(&[1; 5000], []).unwrap().to_bytes();
        let second = [&904_u32.to_le_bytes()[..], &Digest::of(&[1; 904]).0].concat();
        assert_eq!((bytes.len(), &bytes[..4], &bytes[36..]), (72, &[0, 0x10, 0, 0][..], &second[..]));
    }

    #[test]
    fn rejects_what_is_no_list_of_that_file() {
        let bytes = BlockList::of(&[1; 5000], []).unwrap().to_bytes();
        BlockList::parse(&bytes, 5000).unwrap();
        let check = |bytes: &[u8], expected| assert_eq!(BlockList::parse(bytes, 5000), Err(expected));
        check(&bytes[..71], BlockListError::Length { found: 71 });
        check(&[], BlockListError::Count { found: 0 });
        let found = BLOCKS_MAX + 1;
        check(&vec![0; 36 * usize::try_from(found).unwrap()], BlockListError::Count { found });
        check(&bytes[..36], BlockListError::Sum { expected: 5000, found: 4096 });
        for (len, found) in [(0_u32, 0), (4097, 4097), (u32::MAX, u32::MAX)] {
            let mut changed = bytes.clone();
            changed[36..40].copy_from_slice(&len.to_le_bytes());
            check(&changed, BlockListError::Block { idx: 1, found });
        }
    }

    #[test]
    fn a_file_without_a_list_says_why() {
        assert_eq!(BlockList::of(&[], [0]), Err(BlockListError::Count { found: 0 }));
        let read = |file: &[u8], len| BlockList::read(file, len, [512]).unwrap_err();
        let found = read(&[1; 5000], 5001);
        let expected = ReadBlocksError::Truncated { offset: 4608, expected: 5001 };
        assert_eq!(found.to_string(), expected.to_string());
        // The length alone decides how much memory is taken.
        assert!(matches!(read(&[], u64::MAX), ReadBlocksError::List(BlockListError::Count { .. })));
        let largest = BLOCKS_MAX * 4096;
        assert!(matches!(read(&[], largest), ReadBlocksError::List(BlockListError::Count { .. })));
        assert!(matches!(read(&[], largest - 4096), ReadBlocksError::Truncated { offset: 0, .. }));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(
            file in prop::collection::vec(any::<u8>(), 1..30_000),
            starts in prop::collection::vec(0_u64..30_000, 0..8),
        ) {
            let list = BlockList::of(&file, starts).unwrap();
            prop_assert_eq!(BlockList::parse(&list.to_bytes(), to_u64(file.len())).unwrap(), list.clone());
            let whole: usize = list.blocks().iter().map(|block| block.len).sum();
            prop_assert_eq!(whole, file.len());
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), len: u64) {
            if let Ok(list) = BlockList::parse(&bytes, len) {
                prop_assert_eq!(list.to_bytes(), bytes);
            }
        }
    }
}
