//! The log on disk: a super block, then one sector per entry with its data behind it.
//!
//! | bytes of the first sector | field (all little endian) |
//! | --- | --- |
//! | 0..8 | magic, [`MAGIC`] |
//! | 8..16 | version, [`VERSION`] |
//! | 16..24 | number of entries |
//! | 24..28 | bytes of a sector: 512 or 4096 |
//!
//! | bytes of an entry's sector | field |
//! | --- | --- |
//! | 0..8 | first sector that it changes |
//! | 8..16 | number of sectors; 0 for a flush or mark |
//! | 16..24 | flags: 1 flush, 2 FUA, 4 discard, 8 mark, 16 metadata |
//! | 24..32 | length of the mark's text, which follows in the same sector |
//!
//! The data of an entry that is no discard fills the sectors behind it.

use std::io::{self, Read, Seek, SeekFrom};

/// First bytes of a log, as a number.
pub const MAGIC: u64 = 0x006a_7366_7773_6872;
/// The only version.
pub const VERSION: u64 = 1;
/// Bytes of the super block that carry fields.
pub const SUPER_SIZE: usize = 28;
/// Bytes of an entry that carry fields.
pub const ENTRY_SIZE: usize = 32;
/// Most entries that are read: far above what hours of a guest's writes give.
pub const ENTRIES_MAX: u64 = 1 << 24;
/// Longest text of a mark, in bytes: it shares a sector with the entry.
pub const MARK_MAX: u64 = 512 - 32;

const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
const METADATA: u64 = 16;

/// Why a log is not read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log failed, or ended early.
    #[error("reading the log of writes at byte {at}")]
    Read {
        /// Where.
        at: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A field of the super block has a value that is not accepted.
    #[error("super block of the log, field `{field}`: expected {expected}, found {found}")]
    Super {
        /// Name of the field.
        field: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// The value.
        found: u64,
    },
    /// A field of an entry has a value that is not accepted.
    #[error("entry {number} of the log, field `{field}`: expected {expected}, found {found}")]
    Entry {
        /// Number of the entry, from 0.
        number: u64,
        /// Name of the field.
        field: &'static str,
        /// What is accepted.
        expected: String,
        /// The value.
        found: u64,
    },
}

/// A log without the data, which stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Bytes of a sector.
    pub sector_size: u64,
    /// Its entries, in the order in which the disk did them.
    pub records: Vec<Record>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Everything before it is on stable storage.
    pub flush: bool,
    /// It is on stable storage itself as soon as it is done.
    pub fua: bool,
    /// What it did.
    pub action: Action,
}

/// What an entry did to the disk. Offsets and lengths are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: a flush alone.
    Nothing,
    /// Wrote bytes.
    Write {
        /// Where on the disk.
        offset: u64,
        /// How many.
        len: u64,
        /// Where in the log they are.
        data_at: u64,
    },
    /// Gave up bytes; what they read as is open.
    Discard {
        /// Where on the disk.
        offset: u64,
        /// How many.
        len: u64,
    },
    /// A note of whoever recorded.
    Mark(Vec<u8>),
}

impl Log {
    /// Reads all entries that the super block counts. Does not read their data, but checks that it is there.
    pub fn read(log: &mut (impl Read + Seek)) -> Result<Self, LogError> {
        let log_len = log.seek(SeekFrom::End(0)).map_err(|source| LogError::Read { at: 0, source })?;
        let mut bytes = [0; SUPER_SIZE];
        read_at(log, 0, &mut bytes)?;
        let refuse = |field, expected, found| Err(LogError::Super { field, expected, found });
        if word(&bytes, 0) != MAGIC {
            return refuse("magic", "0x6a736677736872", word(&bytes, 0));
        }
        if word(&bytes, 8) != VERSION {
            return refuse("version", "1", word(&bytes, 8));
        }
        let n_records = word(&bytes, 16);
        if ENTRIES_MAX < n_records {
            return refuse("number of entries", "at most 2^24", n_records);
        }
        let sector_size = u64::from(u32::from_le_bytes(bytes[24..28].try_into().expect("four bytes")));
        if sector_size != 512 && sector_size != 4096 {
            return refuse("sector size", "512 or 4096", sector_size);
        }
        let mut records = Vec::new();
        let mut at = sector_size;
        for number in 0..n_records {
            let (record, next) = read_record(log, log_len, sector_size, number, at)?;
            records.push(record);
            at = next;
        }
        Ok(Self { sector_size, records })
    }
}

/// Reads the entry at `at`, and returns it with the place of the next one.
fn read_record(
    log: &mut (impl Read + Seek),
    log_len: u64,
    sector_size: u64,
    number: u64,
    at: u64,
) -> Result<(Record, u64), LogError> {
    let refuse = |field, expected: &dyn ToString, found| {
        Err(LogError::Entry { number, field, expected: expected.to_string(), found })
    };
    let mut bytes = [0; ENTRY_SIZE];
    read_at(log, at, &mut bytes)?;
    let (sector, n_sectors, flags, mark_len) =
        (word(&bytes, 0), word(&bytes, 8), word(&bytes, 16), word(&bytes, 24));
    if flags & !(FLUSH | FUA | DISCARD | MARK | METADATA) != 0 {
        return refuse("flags", &"1, 2, 4, 8 and 16", flags);
    }
    let Some(len) = n_sectors.checked_mul(sector_size) else {
        return refuse("number of sectors", &"bytes below 2^64", n_sectors);
    };
    let offset = sector.checked_mul(sector_size);
    let Some(offset) = offset.filter(|offset| offset.checked_add(len).is_some()) else {
        return refuse("first sector", &"bytes below 2^64", sector);
    };
    let data_at = at + sector_size;
    let (action, next) = if flags & MARK != 0 {
        if n_sectors != 0 {
            return refuse("number of sectors of a mark", &0, n_sectors);
        }
        if MARK_MAX < mark_len {
            return refuse("length of a mark", &format!("at most {MARK_MAX}"), mark_len);
        }
        let mut text = vec![0; usize::try_from(mark_len).expect("at most MARK_MAX")];
        read_at(log, at + 32, &mut text)?;
        (Action::Mark(text), data_at)
    } else if flags & DISCARD != 0 {
        (Action::Discard { offset, len }, data_at)
    } else if n_sectors == 0 {
        (Action::Nothing, data_at)
    } else {
        let left = log_len.saturating_sub(data_at);
        if left < len {
            return refuse("bytes of data", &format!("at most {left}"), len);
        }
        (Action::Write { offset, len, data_at }, data_at + len)
    };
    Ok((Record { flush: flags & FLUSH != 0, fua: flags & FUA != 0, action }, next))
}

fn read_at(log: &mut (impl Read + Seek), at: u64, bytes: &mut [u8]) -> Result<(), LogError> {
    let read = log.seek(SeekFrom::Start(at)).and_then(|_| log.read_exact(bytes));
    read.map_err(|source| LogError::Read { at, source })
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Makes a log of `records`, for tests of its readers: byte `n` of a write's data is `fill(record, n)`.
/// Where the data lies is made anew.
pub fn encode(sector_size: u32, records: &[Record], fill: impl Fn(usize, u64) -> u8) -> Vec<u8> {
    let unit = u64::from(sector_size);
    let size = usize::try_from(sector_size).expect("usize has 32 bits");
    let count = u64::try_from(records.len()).expect("a length fits 64 bits");
    let mut log = [MAGIC, VERSION, count].map(u64::to_le_bytes).concat();
    log.extend(sector_size.to_le_bytes());
    log.resize(size, 0);
    for (number, record) in records.iter().enumerate() {
        let flags = u64::from(record.flush) * FLUSH + u64::from(record.fua) * FUA;
        let (fields, text, data_len) = match &record.action {
            Action::Nothing => ([0, 0, flags, 0], &[][..], 0),
            Action::Write { offset, len, .. } => ([offset / unit, len / unit, flags, 0], &[][..], *len),
            Action::Discard { offset, len } => ([offset / unit, len / unit, flags | DISCARD, 0], &[][..], 0),
            Action::Mark(text) => {
                let len = u64::try_from(text.len()).expect("a length fits 64 bits");
                ([0, 0, flags | MARK, len], &text[..], 0)
            }
        };
        let end = log.len() + size;
        log.extend(fields.map(u64::to_le_bytes).concat());
        log.extend(text);
        log.resize(end, 0);
        log.extend((0..data_len).map(|n| fill(number, n)));
    }
    log
}
