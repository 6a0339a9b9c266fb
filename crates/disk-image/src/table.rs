//! GUID partition table: read, change in memory, write once (UEFI specification 2.10, section 5.3).
//!
//! The `gpt` crate knows the headers and their checksums. What it does not give is done here: entries keep
//! every bit that we do not set, partition numbers stay, lengths are checked before use, and the two copies are
//! written in an order that survives a power cut.

mod read;
mod write;

use std::io;

use crate::device::Extent;
use crate::plan::DiskPlan;
use crate::{LogicalBlockSize, Uuid};

pub use read::CopyError;

/// Longest partition label in UTF-16 units.
pub const LABEL_MAX: usize = 36;

/// Size of a partition entry in bytes; others are refused.
const ENTRY_SIZE: usize = 128;
/// Number of entries of the tables we make, and the fewest that the specification allows.
const MIN_ENTRIES: u32 = 128;
/// Most entries accepted: 128 KiB. No tool makes more.
const MAX_ENTRIES: u32 = 1024;

/// A partition table in memory. Nothing reaches the disk before [`Table::write`].
#[derive(Clone, Debug)]
pub struct Table {
    block_size: LogicalBlockSize,
    disk_guid: Uuid,
    source: Source,
    first_usable_lba: u64,
    /// All entries, used or not, as on disk.
    entries: Vec<u8>,
}

/// Which copy a table was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Made in memory.
    Plan,
    /// The primary copy; the backup at the disk's end is valid too.
    Primary,
    /// The primary copy; the backup is damaged, or not at the disk's end. [`Table::write`] repairs it.
    PrimaryOnly,
    /// The backup copy; the primary is damaged. [`Table::write`] repairs it.
    Backup,
}

/// A used entry of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number from 1, as in `/dev/sda1`.
    pub number: u32,
    /// Type GUID.
    pub type_guid: Uuid,
    /// The partition's own UUID.
    pub uuid: Uuid,
    /// Name, at most 36 UTF-16 units; what is no UTF-16 is replaced.
    pub label: String,
    /// Attribute bits.
    pub attributes: u64,
    /// Place on the disk.
    pub extent: Extent,
}

/// Why a table cannot be read, changed or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The device failed.
    #[error("accessing the disk")]
    Device(#[source] io::Error),
    /// Neither copy is valid.
    #[error("the disk has no valid GPT (primary: {primary}; backup: {backup})")]
    NoValidCopy {
        /// What is wrong with the primary copy.
        primary: CopyError,
        /// What is wrong with the backup copy.
        backup: CopyError,
    },
    /// The disk is smaller than a table.
    #[error("the disk has {found} bytes, too few for a partition table")]
    DiskTooSmall {
        /// Size of the disk in bytes.
        found: u64,
    },
    /// A partition does not lie in the space for partitions.
    #[error(
        "partition {number} lies in blocks {first} to {last}: expected within {first_usable} to {last_usable}"
    )]
    OutOfBounds {
        /// Number of the partition.
        number: u32,
        /// Its first block.
        first: u64,
        /// Its last block.
        last: u64,
        /// First block that a partition may have.
        first_usable: u64,
        /// Last block that a partition may have.
        last_usable: u64,
    },
    /// Two partitions share blocks.
    #[error("partitions {first} and {second} overlap")]
    Overlap {
        /// Number of the one that starts first.
        first: u32,
        /// Number of the other.
        second: u32,
    },
    /// No used entry has that number.
    #[error("the disk has no partition {number}")]
    NoPartition {
        /// The number asked for.
        number: u32,
    },
    /// A label does not fit an entry.
    #[error("partition label `{label}` has {found} UTF-16 units: expected at most {LABEL_MAX}")]
    LabelTooLong {
        /// The label.
        label: String,
        /// Its length in UTF-16 units.
        found: usize,
    },
    /// More partitions than entries.
    #[error("{found} partitions: expected at most {MIN_ENTRIES}")]
    TooManyPartitions {
        /// Number of partitions.
        found: usize,
    },
    /// A header could not be made.
    #[error("making the GPT header")]
    Header(#[source] gpt::header::HeaderError),
}

impl Table {
    /// Makes the table of a new disk; see [`crate::write_table`].
    pub(crate) fn create(plan: &DiskPlan, extents: &[Extent]) -> Result<Self, TableError> {
        let max = usize::try_from(MIN_ENTRIES).expect("128 fits");
        if max < plan.partitions.len() {
            return Err(TableError::TooManyPartitions { found: plan.partitions.len() });
        }
        let mut table = Self {
            block_size: plan.block_size,
            disk_guid: plan.disk_guid,
            source: Source::Plan,
            first_usable_lba: 0,
            entries: vec![0; max * ENTRY_SIZE],
        };
        for (number, (partition, extent)) in (1..).zip(plan.partitions.iter().zip(extents)) {
            let lba = |byte| byte / plan.block_size.as_u64();
            let raw = &mut table.entries[entry_range(number)];
            raw[0..16].copy_from_slice(&partition.kind.guid().to_bytes_le());
            raw[32..40].copy_from_slice(&lba(extent.offset).to_le_bytes());
            raw[40..48].copy_from_slice(&(lba(extent.end()) - 1).to_le_bytes());
            table.set_uuid(number, partition.uuid)?;
            table.set_label(number, &partition.label)?;
        }
        Ok(table)
    }

    /// Returns which copy the table was read from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Returns the GUID of the disk.
    pub fn disk_guid(&self) -> Uuid {
        self.disk_guid
    }

    /// Changes the GUID of the disk, in memory.
    pub fn set_disk_guid(&mut self, guid: Uuid) {
        self.disk_guid = guid;
    }

    /// Returns the used entries in order of their numbers.
    pub fn partitions(&self) -> Vec<Partition> {
        (1..).zip(self.entries.chunks_exact(ENTRY_SIZE)).filter_map(|(n, raw)| self.decode(n, raw)).collect()
    }

    /// Returns the partition `number`.
    pub fn partition(&self, number: u32) -> Result<Partition, TableError> {
        let raw = number.checked_sub(1).and_then(|_| self.entries.get(entry_range(number)));
        raw.and_then(|raw| self.decode(number, raw)).ok_or(TableError::NoPartition { number })
    }

    /// Changes a partition's label, in memory; all other bits of the entry stay.
    pub fn set_label(&mut self, number: u32, label: &str) -> Result<(), TableError> {
        let units: Vec<_> = label.encode_utf16().collect();
        if LABEL_MAX < units.len() {
            return Err(TableError::LabelTooLong { label: label.to_owned(), found: units.len() });
        }
        let mut field: Vec<_> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        field.resize(2 * LABEL_MAX, 0);
        self.entry_mut(number)?[56..128].copy_from_slice(&field);
        Ok(())
    }

    /// Changes a partition's own UUID, in memory; all other bits of the entry stay.
    pub fn set_uuid(&mut self, number: u32, uuid: Uuid) -> Result<(), TableError> {
        self.entry_mut(number)?[16..32].copy_from_slice(&uuid.to_bytes_le());
        Ok(())
    }

    fn entry_mut(&mut self, number: u32) -> Result<&mut [u8], TableError> {
        self.partition(number)?;
        Ok(&mut self.entries[entry_range(number)])
    }

    /// Returns the used entry `raw`, or `None` for an unused one. Its blocks were checked on reading.
    fn decode(&self, number: u32, raw: &[u8]) -> Option<Partition> {
        let guid = |at: usize| Uuid::from_bytes_le(array(&raw[at..at + 16]));
        let word = |at: usize| u64::from_le_bytes(array(&raw[at..at + 8]));
        let type_guid = guid(0);
        if type_guid.is_nil() {
            return None;
        }
        let (first, last, block_size) = (word(32), word(40), self.block_size.as_u64());
        let units: Vec<_> = raw[56..128].as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        let n_units = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
        Some(Partition {
            number,
            type_guid,
            uuid: guid(16),
            label: String::from_utf16_lossy(&units[..n_units]),
            attributes: word(48),
            extent: Extent { offset: first * block_size, len: (last - first + 1) * block_size },
        })
    }

    fn n_entries(&self) -> u32 {
        u32::try_from(self.entries.len() / ENTRY_SIZE).expect("at most MAX_ENTRIES")
    }
}

/// Returns the bytes of entry `number`, counted from 1.
fn entry_range(number: u32) -> std::ops::Range<usize> {
    let start = (usize::try_from(number).expect("usize has 32 bits") - 1) * ENTRY_SIZE;
    start..start + ENTRY_SIZE
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cuts N bytes")
}
