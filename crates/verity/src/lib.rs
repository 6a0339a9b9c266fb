//! dm-verity hash trees: layout, building, verifying, and the superblock in front of them.
//!
//! Format 1, SHA-256, data and hash blocks of 4096 bytes, a salt of 32 bytes: the one shape that Slipway
//! writes, and the one that it accepts. The bytes are those of `veritysetup format`; see
//! `docs/formats/verity.md`.
//!
//! ```
//! use std::io::Cursor;
//! use verity::{Salt, build, verify};
//!
//! let data = vec![7u8; 300 * 4096];
//! let mut device = Cursor::new(Vec::new());
//! let root = build(&data[..], 300, &Salt([1; 32]), [2; 16], &mut device).unwrap();
//! device.set_position(0);
//! verify(&data[..], &mut device, &root).unwrap();
//! ```

mod build;
mod hash;
mod layout;
mod leaves;
mod superblock;
mod verified;
mod verify;

pub use build::{BuildError, build, build_tree};
pub use hash::{BlockHasher, ParseHexError, RootHash, Salt};
pub use layout::{
    BLOCK_SIZE, DIGEST_SIZE, DIGESTS_PER_BLOCK, Layout, LayoutError, Level, MAX_DATA_BLOCKS, MAX_LEVELS,
};
pub use leaves::{Leaves, read_leaves};
pub use superblock::{SUPERBLOCK_SIZE, Superblock, SuperblockError};
pub use verified::VerifiedTree;
pub use verify::{Error, verify, verify_tree};
