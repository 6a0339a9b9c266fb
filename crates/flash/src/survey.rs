//! Reads an image once, before any device is touched: whether it is one of ours, and what each chunk of it is.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;

use disk_image::{LogicalBlockSize, Partition, PartitionType, Table, TableError};
use sha2::{Digest as _, Sha256};
use slots::{SlotLabel, Version};

use crate::sheet::Sheet;
use crate::{CHUNK, is_zero, read_chunk};

/// Longest image, in bytes. What a small compressed file unpacks to is bounded by it.
const IMAGE_MAX: u64 = 64 << 30;
/// Longest `oem` partition, in bytes: it is kept in memory.
const OEM_MAX: u64 = 256 << 20;
/// A disk that any table is within, to read one whose disk is not known.
const ANY_DISK: u64 = 1 << 50;

/// What an image is, chunk by chunk. Exists only for an image of ours.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Length in bytes, a multiple of [`CHUNK`].
    pub len: u64,
    /// Version in slot A.
    pub version: Version,
    /// Bytes of a logical block, in which the table counts.
    pub block_size: LogicalBlockSize,
    /// Its partitions, each aligned to chunks.
    pub partitions: Vec<Partition>,
    /// SHA-256 of each chunk; `None` where all of it is zero.
    pub(crate) digests: Vec<Option<[u8; 32]>>,
    /// The chunks of which each device has its own: the table, the start of `esp`, all of `oem`.
    pub(crate) kept: BTreeMap<u64, Vec<u8>>,
}

/// Why something is not taken for an image.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// It cannot be read.
    #[error("reading the image")]
    Read(#[source] io::Error),
    /// No table at its start.
    #[error("this is no image of ours: it has no partition table")]
    NoTable(#[source] TableError),
    /// Another disk's table.
    #[error("this is no image of ours: it has no partition {missing}")]
    Missing {
        /// What is missing.
        missing: &'static str,
    },
    /// A partition lies elsewhere than we put one.
    #[error("this is no image of ours: partition {number} does not start and end at multiples of 1 MiB")]
    Unaligned {
        /// Number of the partition.
        number: u32,
    },
    /// A partition too large to be kept in memory.
    #[error("partition `oem` has {found} bytes: expected at most {OEM_MAX}")]
    OemTooLarge {
        /// Its length.
        found: u64,
    },
    /// It ends early, or is no multiple of a MiB.
    #[error(
        "the image ends at byte {found}: expected a multiple of 1 MiB, {expected} at least; get it again"
    )]
    Truncated {
        /// Bytes needed.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// Longer than any image.
    #[error("the image has more than {IMAGE_MAX} bytes")]
    TooLong,
    /// The caller wants to end.
    #[error("interrupted")]
    Interrupted,
}

impl Survey {
    /// Returns the size in bytes of the smallest device that the image fits on, with a backup table behind it.
    pub fn needs(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.extent.end()).max().unwrap_or_default() + CHUNK
    }
}

/// Reads an image, whose table counts in blocks of `block_size`, to its end. `seen` is told how many bytes have been
/// read, and may end it.
pub fn survey(
    image: &mut dyn Read,
    block_size: LogicalBlockSize,
    seen: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Survey, SurveyError> {
    let mut buffer = vec![];
    read_chunk(image, &mut buffer).map_err(SurveyError::Read)?;
    let mut len = len_of(&buffer);
    if len < CHUNK {
        return Err(SurveyError::Truncated { expected: CHUNK, found: len });
    }
    let (version, partitions) = check_table(buffer.clone(), block_size)?;
    let (mut digests, mut kept) = (vec![None], BTreeMap::from([(0, buffer.clone())]));
    loop {
        read_chunk(image, &mut buffer).map_err(SurveyError::Read)?;
        if buffer.is_empty() {
            break;
        }
        let (start, is_whole) = (len, len_of(&buffer) == CHUNK);
        len += len_of(&buffer);
        if IMAGE_MAX < len {
            return Err(SurveyError::TooLong);
        }
        if !is_whole {
            return Err(SurveyError::Truncated { expected: CHUNK, found: len });
        }
        let is_data = !is_zero(&buffer);
        digests.push(is_data.then(|| Sha256::digest(&buffer).into()));
        if is_data && partitions.iter().any(|partition| is_kept(partition, start)) {
            kept.insert(start / CHUNK, buffer.clone());
        }
        if seen(len).is_break() {
            return Err(SurveyError::Interrupted);
        }
    }
    let survey = Survey { len, version, block_size, partitions, digests, kept };
    let expected = survey.needs() - CHUNK;
    if len < expected {
        return Err(SurveyError::Truncated { expected, found: len });
    }
    Ok(survey)
}

fn len_of(buffer: &[u8]) -> u64 {
    u64::try_from(buffer.len()).unwrap_or(u64::MAX)
}

fn is_esp(partition: &Partition) -> bool {
    partition.type_guid == PartitionType::Esp.guid()
}

pub(crate) fn is_oem(partition: &Partition) -> bool {
    partition.type_guid == PartitionType::BasicData.guid() && partition.label == "oem"
}

/// Whether the chunk that starts there is changed for each device.
fn is_kept(partition: &Partition, start: u64) -> bool {
    let extent = partition.extent;
    let is_within = (extent.offset..extent.end()).contains(&start);
    // The serial number of a FAT is in its first sectors.
    is_within && (is_oem(partition) || is_esp(partition) && start == extent.offset)
}

/// Checks that the table is that of an image, and returns its version and partitions.
fn check_table(
    first_chunk: Vec<u8>,
    block_size: LogicalBlockSize,
) -> Result<(Version, Vec<Partition>), SurveyError> {
    let mut sheet = Sheet::new(ANY_DISK, [(0, first_chunk)].into());
    let table = Table::read(&mut sheet, block_size).map_err(SurveyError::NoTable)?;
    let partitions = table.partitions();
    let missing = |missing| SurveyError::Missing { missing };
    if partitions.iter().filter(|partition| is_esp(partition)).count() != 1 {
        return Err(missing("`esp`"));
    }
    let oem = partitions.iter().find(|partition| is_oem(partition)).ok_or_else(|| missing("`oem`"))?;
    if OEM_MAX < oem.extent.len {
        return Err(SurveyError::OemTooLarge { found: oem.extent.len });
    }
    let version = partitions.iter().find_map(|partition| match SlotLabel::parse(&partition.label) {
        Ok(SlotLabel::Usr(version)) if partition.type_guid == PartitionType::UsrX86_64.guid() => {
            Some(version)
        }
        // Other labels are no slot's, or an empty one's.
        Ok(_) | Err(_) => None,
    });
    let version = version.ok_or_else(|| missing("`usr_<version>`"))?;
    for partition in &partitions {
        let extent = partition.extent;
        if !extent.offset.is_multiple_of(CHUNK) || !extent.len.is_multiple_of(CHUNK) || extent.offset < CHUNK
        {
            return Err(SurveyError::Unaligned { number: partition.number });
        }
    }
    Ok((version, partitions))
}
