//! Reads the primary copy, else the backup; nothing is used before its checksum and bounds were checked.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use gpt::header::{Header, HeaderError, read_header_from_arbitrary_device};

use super::{ENTRY_SIZE, MAX_ENTRIES, MIN_ENTRIES, Source, Table, TableError, array};
use crate::LogicalBlockSize;

/// What is wrong with one copy of a table.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The device failed.
    #[error("reading failed: {0}")]
    Device(io::Error),
    /// No header there, or one with a wrong checksum.
    #[error("{0}")]
    Header(HeaderError),
    /// A field of the header has a value that we do not accept.
    #[error("field `{field}`: expected {expected}, found {found}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What is accepted.
        expected: String,
        /// The value on disk.
        found: u64,
    },
    /// The entries do not match the header's checksum.
    #[error("the entries do not match their checksum: {0}")]
    Entries(io::Error),
}

/// One valid copy: its header, and its entries as on disk.
pub(super) struct Copy {
    header: Header,
    entries: Vec<u8>,
}

impl Table {
    /// Reads the partition table of a disk with logical blocks of `block_size`.
    ///
    /// The primary copy counts if it is valid, else the backup at the disk's end, or where the primary header
    /// says it is. Writes nothing.
    pub fn read(dev: &mut (impl Read + Seek), block_size: LogicalBlockSize) -> Result<Self, TableError> {
        let size = dev.seek(SeekFrom::End(0)).map_err(TableError::Device)?;
        let n_blocks = size / block_size.as_u64();
        // MBR, two headers, two arrays of entries.
        if n_blocks < 3 + 2 * array_blocks(MIN_ENTRIES, block_size) {
            return Err(TableError::DiskTooSmall { found: size });
        }
        let last_lba = n_blocks - 1;
        let backup = read_copy(dev, block_size, last_lba, last_lba);
        let (copy, source) = match (read_copy(dev, block_size, 1, last_lba), backup) {
            (Ok(primary), Ok(_)) => (primary, Source::Primary),
            (Ok(primary), Err(_)) => (primary, Source::PrimaryOnly),
            (Err(_), Ok(backup)) => (backup, Source::Backup),
            (Err(primary), Err(backup)) => {
                // The disk grew and then the primary entries were damaged: the header still knows the way.
                let old = read_header(dev, block_size, 1).ok().map(|header| header.backup_lba);
                let old = old.filter(|lba| (2..last_lba).contains(lba));
                match old.map(|lba| read_copy(dev, block_size, lba, last_lba)) {
                    Some(Ok(copy)) => (copy, Source::Backup),
                    _ => return Err(TableError::NoValidCopy { primary, backup }),
                }
            }
        };
        let Copy { header, entries } = copy;
        check_entries(&entries, header.first_usable, last_lba.min(header.last_usable))?;
        Ok(Self {
            block_size,
            disk_guid: header.disk_guid,
            source,
            first_usable_lba: header.first_usable,
            entries,
        })
    }
}

/// Returns how many blocks `n_entries` entries fill.
pub(super) fn array_blocks(n_entries: u32, block_size: LogicalBlockSize) -> u64 {
    (u64::from(n_entries) * 128).div_ceil(block_size.as_u64())
}

fn read_at(dev: &mut (impl Read + Seek), offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    dev.seek(SeekFrom::Start(offset))?;
    dev.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads the header in block `lba`, and checks its checksum only.
fn read_header(
    dev: &mut (impl Read + Seek),
    block_size: LogicalBlockSize,
    lba: u64,
) -> Result<Header, CopyError> {
    let block = read_at(dev, lba * block_size.as_u64(), block_size.as_usize()).map_err(CopyError::Device)?;
    // The gpt crate reads a header from block 1 of whatever it is given.
    let mut two_blocks = Cursor::new([vec![0; block_size.as_usize()], block].concat());
    read_header_from_arbitrary_device(&mut two_blocks, block_size).map_err(CopyError::Header)
}

/// Reads the copy whose header is in block `lba` of a disk that ends with `last_lba`.
pub(super) fn read_copy(
    dev: &mut (impl Read + Seek),
    block_size: LogicalBlockSize,
    lba: u64,
    last_lba: u64,
) -> Result<Copy, CopyError> {
    let header = read_header(dev, block_size, lba)?;
    let field = |field, expected: &dyn ToString, found| {
        Err(CopyError::Field { field, expected: expected.to_string(), found })
    };
    if header.header_size_le != 92 {
        return field("header size", &92, header.header_size_le.into());
    }
    if header.current_lba != lba {
        return field("own block", &lba, header.current_lba);
    }
    if header.part_size != 128 {
        return field("entry size", &128, header.part_size.into());
    }
    if !(MIN_ENTRIES..=MAX_ENTRIES).contains(&header.num_parts) {
        return field("number of entries", &"128 to 1024", header.num_parts.into());
    }
    let max_start = last_lba.saturating_sub(array_blocks(header.num_parts, block_size));
    if !(2..=max_start).contains(&header.part_start) {
        return field("first block of entries", &format!("2 to {max_start}"), header.part_start);
    }
    let len = usize::try_from(header.num_parts).expect("usize has 32 bits") * ENTRY_SIZE;
    let entries = read_at(dev, header.part_start * block_size.as_u64(), len).map_err(CopyError::Device)?;
    // The gpt crate checks the checksum of the entries; it sees them at block 0.
    let moved = Header { part_start: 0, ..header.clone() };
    gpt::partition::file_read_partitions(&mut Cursor::new(&entries), &moved, block_size)
        .map_err(CopyError::Entries)?;
    Ok(Copy { header, entries })
}

/// Checks that every used entry lies in the usable blocks, and that no two overlap.
pub(super) fn check_entries(entries: &[u8], first_usable: u64, last_usable: u64) -> Result<(), TableError> {
    let mut used = vec![];
    for (number, raw) in (1..).zip(entries.chunks_exact(ENTRY_SIZE)) {
        if raw[..16].iter().all(|byte| *byte == 0) {
            continue;
        }
        let first = u64::from_le_bytes(array(&raw[32..40]));
        let last = u64::from_le_bytes(array(&raw[40..48]));
        if last < first || first < first_usable || last_usable < last {
            return Err(TableError::OutOfBounds { number, first, last, first_usable, last_usable });
        }
        used.push((first, last, number));
    }
    used.sort_unstable();
    match used.windows(2).find(|pair| pair[1].0 <= pair[0].1) {
        Some(pair) => Err(TableError::Overlap { first: pair[0].2, second: pair[1].2 }),
        None => Ok(()),
    }
}
