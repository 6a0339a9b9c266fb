//! Builds a hash tree while the data streams by; memory use is a few hash blocks.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use crate::hash::{BlockHasher, RootHash, Salt};
use crate::layout::{BLOCK, BLOCK_SIZE, DIGEST_SIZE, Layout, LayoutError, Level};
use crate::superblock::Superblock;

/// Data blocks read at once: 1 MiB.
pub(crate) const BLOCKS_PER_READ: u64 = 256;

/// Why a tree could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No tree can cover that many blocks.
    #[error("laying out the hash tree")]
    Layout(#[from] LayoutError),
    /// The data ended early.
    #[error("data ended in the blocks from {block} on: expected {expected} blocks of {BLOCK_SIZE} bytes")]
    DataTruncated {
        /// Number of the first block of the read that came up short.
        block: u64,
        /// Number of blocks that were promised.
        expected: u64,
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
    /// Writing superblock or tree failed.
    #[error("writing the hash tree")]
    Write(#[source] io::Error),
}

/// Writes superblock and tree over the first `n_data_blocks` blocks of `data` to `out`, from its present
/// position, and returns the root hash.
///
/// `uuid` is in the byte order of its text. Does not flush or sync `out`, and leaves its position unspecified.
pub fn build(
    data: impl Read,
    n_data_blocks: u64,
    salt: &Salt,
    uuid: [u8; 16],
    mut out: impl Write + Seek,
) -> Result<RootHash, BuildError> {
    Layout::new(n_data_blocks)?;
    let superblock = Superblock { uuid, n_data_blocks, salt: *salt };
    out.write_all(&superblock.to_block()).map_err(BuildError::Write)?;
    build_tree(data, n_data_blocks, salt, out)
}

/// Like [`build`], without the superblock: what an update payload stores.
pub fn build_tree(
    mut data: impl Read,
    n_data_blocks: u64,
    salt: &Salt,
    mut out: impl Write + Seek,
) -> Result<RootHash, BuildError> {
    let layout = Layout::new(n_data_blocks)?;
    let base = out.stream_position().map_err(BuildError::Write)?;
    let hasher = BlockHasher::new(salt);
    let mut tree = TreeWriter::new(&layout, hasher.clone(), base, out);
    let mut buffer = Vec::new();
    let mut block = 0;
    while block < n_data_blocks {
        let n_blocks = (n_data_blocks - block).min(BLOCKS_PER_READ);
        read_blocks(&mut data, n_blocks, &mut buffer).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => BuildError::DataTruncated { block, expected: n_data_blocks },
            _ => BuildError::ReadData { block, source },
        })?;
        for bytes in buffer.chunks_exact(BLOCK_SIZE) {
            tree.push(0, hasher.hash(bytes))?;
        }
        block += n_blocks;
    }
    tree.finish()
}

/// Fills `buffer` with the next `n_blocks` blocks.
pub(crate) fn read_blocks(data: &mut impl Read, n_blocks: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let len = usize::try_from(n_blocks).map_err(io::Error::other)? * BLOCK_SIZE;
    buffer.resize(len, 0);
    data.read_exact(buffer)
}

/// Collects digests level by level and writes each hash block once, when it is full or at the end.
struct TreeWriter<W> {
    levels: Vec<OpenLevel>,
    hasher: BlockHasher,
    base: u64,
    out: W,
    root: Option<RootHash>,
}

/// A level and its hash block that is being filled.
struct OpenLevel {
    place: Level,
    n_written: u64,
    block: Vec<u8>,
}

impl<W: Write + Seek> TreeWriter<W> {
    fn new(layout: &Layout, hasher: BlockHasher, base: u64, out: W) -> Self {
        let open =
            |place: &Level| OpenLevel { place: *place, n_written: 0, block: Vec::with_capacity(BLOCK_SIZE) };
        Self { levels: layout.levels().iter().map(open).collect(), hasher, base, out, root: None }
    }

    /// Takes the digest of the next block below `level_idx`. Above the top level that is the root hash.
    fn push(&mut self, level_idx: usize, digest: [u8; DIGEST_SIZE]) -> Result<(), BuildError> {
        let Some(level) = self.levels.get_mut(level_idx) else {
            self.root = Some(RootHash(digest));
            return Ok(());
        };
        level.block.extend_from_slice(&digest);
        if level.block.len() == BLOCK_SIZE {
            self.close_block(level_idx)?;
        }
        Ok(())
    }

    /// Writes the level's block, zero padded, and hands its digest up.
    fn close_block(&mut self, level_idx: usize) -> Result<(), BuildError> {
        let level = &mut self.levels[level_idx];
        level.block.resize(BLOCK_SIZE, 0);
        let offset = self.base + (level.place.first_block + level.n_written) * BLOCK;
        self.out.seek(SeekFrom::Start(offset)).map_err(BuildError::Write)?;
        self.out.write_all(&level.block).map_err(BuildError::Write)?;
        let digest = self.hasher.hash(&level.block);
        level.block.clear();
        level.n_written += 1;
        self.push(level_idx + 1, digest)
    }

    fn finish(mut self) -> Result<RootHash, BuildError> {
        for level_idx in 0..self.levels.len() {
            if !self.levels[level_idx].block.is_empty() {
                self.close_block(level_idx)?;
            }
        }
        Ok(self.root.expect("a layout has at least one data block, so a digest reached the top"))
    }
}
