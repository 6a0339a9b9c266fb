//! The block in front of a hash tree: what `veritysetup` and `systemd-veritysetup` read parameters from.
//!
//! All integers little endian; the rest of the 4096-byte block is zero.
//!
//! | bytes | field | value |
//! | --- | --- | --- |
//! | 0..8 | signature | `verity\0\0` |
//! | 8..12 | version | 1 |
//! | 12..16 | hash type | 1 (salt first) |
//! | 16..32 | UUID | bytes in the order of the text |
//! | 32..64 | algorithm | `sha256`, zero padded |
//! | 64..68 | data block size | 4096 |
//! | 68..72 | hash block size | 4096 |
//! | 72..80 | data blocks | 1 to 2³² |
//! | 80..82 | salt length | 32 |
//! | 82..88 | padding | 0 |
//! | 88..344 | salt | 32 bytes, zero padded |
//! | 344..512 | padding | 0 |

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::hash::Salt;
use crate::layout::{BLOCK_SIZE, Layout, LayoutError};

/// Bytes of the superblock that carry meaning. On disk it fills a whole block.
pub const SUPERBLOCK_SIZE: usize = 512;

const SIGNATURE: [u8; 8] = *b"verity\0\0";
const VERSION: u32 = 1;
const HASH_TYPE: u32 = 1;
const BLOCK_SIZE_FIELD: u32 = 4096;
const SALT_SIZE: u16 = 32;

/// What differs between the trees that Slipway makes; everything else is fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// UUID of the tree, in the byte order of its text. Identifies only; not part of any hash.
    pub uuid: [u8; 16],
    /// Number of 4096-byte data blocks that the tree covers.
    pub n_data_blocks: u64,
    /// Salt of all hashes.
    pub salt: Salt,
}

/// Why a block is not a superblock that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// Fewer than 512 bytes.
    #[error("verity superblock is truncated: expected {SUPERBLOCK_SIZE} bytes, found {found}")]
    Truncated {
        /// Bytes given.
        found: usize,
    },
    /// The signature differs.
    #[error("verity superblock: expected signature {SIGNATURE:?}, found {found:?}")]
    Signature {
        /// The first eight bytes.
        found: [u8; 8],
    },
    /// A number differs from the one that we accept.
    #[error("verity superblock, field `{field}`: expected {expected}, found {found}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// The value that we accept.
        expected: u32,
        /// The value on disk.
        found: u32,
    },
    /// The hash algorithm is not SHA-256.
    #[error("verity superblock, field `algorithm`: expected \"sha256\", found {found:?}")]
    Algorithm {
        /// The field, with bytes that are no UTF-8 replaced.
        found: String,
    },
    /// Bytes that must be zero are not.
    #[error("verity superblock, field `{field}`: expected zeros")]
    Padding {
        /// Name of the field.
        field: &'static str,
    },
    /// The number of data blocks is out of range.
    #[error("verity superblock, field `data_blocks`")]
    DataBlocks(#[source] LayoutError),
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSuperblock {
    signature: [u8; 8],
    version: U32,
    hash_type: U32,
    uuid: [u8; 16],
    algorithm: [u8; 32],
    data_block_size: U32,
    hash_block_size: U32,
    data_blocks: U64,
    salt_size: U16,
    pad1: [u8; 6],
    salt: [u8; 256],
    pad2: [u8; 168],
}

impl Superblock {
    /// Reads a superblock from the first 512 of `bytes`; more bytes are allowed and ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, SuperblockError> {
        let (raw, _) = RawSuperblock::ref_from_prefix(bytes)
            .map_err(|_| SuperblockError::Truncated { found: bytes.len() })?;
        if raw.signature != SIGNATURE {
            return Err(SuperblockError::Signature { found: raw.signature });
        }
        for (field, expected, found) in [
            ("version", VERSION, raw.version.get()),
            ("hash_type", HASH_TYPE, raw.hash_type.get()),
            ("data_block_size", BLOCK_SIZE_FIELD, raw.data_block_size.get()),
            ("hash_block_size", BLOCK_SIZE_FIELD, raw.hash_block_size.get()),
            ("salt_size", u32::from(SALT_SIZE), u32::from(raw.salt_size.get())),
        ] {
            if found != expected {
                return Err(SuperblockError::Field { field, expected, found });
            }
        }
        if raw.algorithm != algorithm() {
            let found = String::from_utf8_lossy(&raw.algorithm).trim_end_matches('\0').to_owned();
            return Err(SuperblockError::Algorithm { found });
        }
        let (salt, salt_pad) = raw.salt.split_at(32);
        for (field, bytes) in [("pad1", &raw.pad1[..]), ("salt", salt_pad), ("pad2", &raw.pad2[..])] {
            if bytes.iter().any(|byte| *byte != 0) {
                return Err(SuperblockError::Padding { field });
            }
        }
        Layout::new(raw.data_blocks.get()).map_err(SuperblockError::DataBlocks)?;
        let salt = Salt(salt.try_into().expect("the slice was split off at 32 bytes"));
        Ok(Self { uuid: raw.uuid, n_data_blocks: raw.data_blocks.get(), salt })
    }

    /// Returns the whole 4096-byte block as it lies in front of the tree.
    pub fn to_block(&self) -> [u8; BLOCK_SIZE] {
        let mut salt = [0; 256];
        salt[..32].copy_from_slice(&self.salt.0);
        let raw = RawSuperblock {
            signature: SIGNATURE,
            version: VERSION.into(),
            hash_type: HASH_TYPE.into(),
            uuid: self.uuid,
            algorithm: algorithm(),
            data_block_size: BLOCK_SIZE_FIELD.into(),
            hash_block_size: BLOCK_SIZE_FIELD.into(),
            data_blocks: self.n_data_blocks.into(),
            salt_size: SALT_SIZE.into(),
            pad1: [0; 6],
            salt,
            pad2: [0; 168],
        };
        let mut block = [0; BLOCK_SIZE];
        block[..SUPERBLOCK_SIZE].copy_from_slice(raw.as_bytes());
        block
    }
}

fn algorithm() -> [u8; 32] {
    let mut field = [0; 32];
    field[..6].copy_from_slice(b"sha256");
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Superblock {
        Superblock { uuid: *b"0123456789abcdef", n_data_blocks: 0x0102_0304, salt: Salt([0xa5; 32]) }
    }

    #[track_caller]
    fn check_rejects(offset: usize, byte: u8, expected: SuperblockError) {
        let mut block = sample().to_block();
        assert_ne!(block[offset], byte);
        block[offset] = byte;
        assert_eq!(Superblock::parse(&block), Err(expected));
    }

    #[test]
    fn round_trips() {
        let block = sample().to_block();
        assert_eq!(Superblock::parse(&block), Ok(sample()));
        assert_eq!(Superblock::parse(&block[..SUPERBLOCK_SIZE]), Ok(sample()));
        assert!(block[SUPERBLOCK_SIZE..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn fields_lie_where_the_table_says() {
        let block = sample().to_block();
        assert_eq!(&block[..16], b"verity\0\0\x01\0\0\0\x01\0\0\0");
        assert_eq!(&block[16..32], b"0123456789abcdef");
        assert_eq!(&block[32..39], b"sha256\0");
        assert_eq!(block[64..90], *b"\0\x10\0\0\0\x10\0\0\x04\x03\x02\x01\0\0\0\0\x20\0\0\0\0\0\0\0\xa5\xa5");
    }

    #[test]
    fn rejects_truncated_superblock() {
        assert_eq!(
            Superblock::parse(&sample().to_block()[..511]),
            Err(SuperblockError::Truncated { found: 511 })
        );
    }

    #[test]
    fn rejects_every_foreign_shape() {
        check_rejects(0, b'V', SuperblockError::Signature { found: *b"Verity\0\0" });
        let field = |field, expected, found| SuperblockError::Field { field, expected, found };
        check_rejects(8, 2, field("version", 1, 2));
        check_rejects(12, 0, field("hash_type", 1, 0));
        check_rejects(64, 1, field("data_block_size", 4096, 4097));
        check_rejects(69, 0x20, field("hash_block_size", 4096, 8192));
        check_rejects(81, 0xff, field("salt_size", 32, 0xff20));
        check_rejects(35, b'5', SuperblockError::Algorithm { found: "sha556".to_owned() });
        check_rejects(82, 1, SuperblockError::Padding { field: "pad1" });
        check_rejects(88 + 32, 1, SuperblockError::Padding { field: "salt" });
        check_rejects(511, 1, SuperblockError::Padding { field: "pad2" });
        check_rejects(
            79,
            0x80,
            SuperblockError::DataBlocks(LayoutError::TooLarge { found: 0x8000_0000_0102_0304 }),
        );
    }

    #[test]
    fn rejects_a_tree_over_nothing() {
        let block = Superblock { n_data_blocks: 0, ..sample() }.to_block();
        assert_eq!(Superblock::parse(&block), Err(SuperblockError::DataBlocks(LayoutError::Empty)));
    }
}
