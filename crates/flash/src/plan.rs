//! What is written to one device, as a value: the image's chunks, and those that the device has of its own.

use std::io::{self, Read as _, Seek as _, SeekFrom};

use disk_image::fat::{self, FatError};
use disk_image::{Extent, IdentityError, LogicalBlockSize, Uuid, randomize_identity};

use crate::sheet::Sheet;
use crate::survey::is_oem;
use crate::{CHUNK, CHUNK_LEN, Survey};

/// Time of files that are put on `oem`, seconds since 1970; nobody reads it.
const MTIME_SECS: u64 = 1_700_000_000;

/// All that a device gets. Nothing of it was written yet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Length of the device.
    pub device_len: u64,
    /// Length of the image.
    pub image_len: u64,
    /// Bytes of a logical block of the device.
    pub block_size: LogicalBlockSize,
    /// GUID that the disk gets.
    pub disk_guid: Uuid,
    /// What lies between the tables, by offset. Each piece is one chunk.
    pub pieces: Vec<Piece>,
    /// Places behind the partitions that are written to find a device with less room than it says.
    pub probes: Vec<u64>,
    /// The first chunk: the primary table.
    pub(crate) head: Vec<u8>,
    /// As many bytes at the device's end: the backup table.
    pub(crate) tail: Vec<u8>,
}

/// One chunk of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its first byte.
    pub offset: u64,
    /// What it gets.
    pub content: Content,
}

/// What a chunk gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The image's bytes, whose SHA-256 this is.
    Image([u8; 32]),
    /// Bytes that this device alone has.
    Own(Vec<u8>),
    /// Zeros: they matter, because the partition holds something.
    Zero,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The device is too small.
    #[error("the image needs {expected} bytes, the device has {found}: take a larger one")]
    TooSmall {
        /// Bytes needed.
        expected: u64,
        /// Bytes of the device.
        found: u64,
    },
    /// No identity could be made.
    #[error("making the device's identity")]
    Identity(#[from] IdentityError),
    /// A file does not get onto `oem`.
    #[error("putting a file on `oem`")]
    File(#[from] FatError),
    /// The parts of the tables cannot be cut out.
    #[error("making the partition table")]
    Table(#[source] io::Error),
}

impl Plan {
    /// Makes the plan for a device of `device_len` bytes, with identifiers of its own and with `files` (name, bytes)
    /// on `oem`. `fill_random` fills the whole buffer with random bytes.
    ///
    /// Chunks outside of partitions and those of partitions that hold nothing are not part of it.
    pub fn new(
        survey: &Survey,
        device_len: u64,
        files: &[(&str, &[u8])],
        fill_random: impl FnMut(&mut [u8]) -> io::Result<()>,
    ) -> Result<Self, PlanError> {
        if device_len < survey.needs() {
            return Err(PlanError::TooSmall { expected: survey.needs(), found: device_len });
        }
        let mut sheet = Sheet::new(device_len, survey.kept.clone());
        let disk_guid = randomize_identity(&mut sheet, survey.block_size, fill_random)?;
        let oem = survey.partitions.iter().find(|partition| is_oem(partition));
        for (name, bytes) in files {
            let oem = oem.expect("a survey has checked that there is one");
            fat::write_file_durable(&mut sheet, oem.extent, name, bytes, MTIME_SECS)?;
        }
        let pieces = pieces(survey, &sheet);
        Ok(Self {
            device_len,
            image_len: survey.len,
            block_size: survey.block_size,
            disk_guid,
            probes: probes(&pieces, survey.needs() - CHUNK, device_len - CHUNK),
            pieces,
            head: cut(&mut sheet, 0).map_err(PlanError::Table)?,
            tail: cut(&mut sheet, device_len - CHUNK).map_err(PlanError::Table)?,
        })
    }

    /// Returns the bytes that are written if zeros need not be.
    pub fn data_len(&self) -> u64 {
        let is_data = |piece: &&Piece| piece.content != Content::Zero;
        let n_pieces = self.pieces.iter().filter(is_data).count();
        u64::try_from(n_pieces + 2).unwrap_or(u64::MAX).saturating_mul(CHUNK)
    }

    /// Returns the ranges of zeros, each as long as it gets.
    pub(crate) fn zeros(&self) -> Vec<Extent> {
        let mut ranges: Vec<Extent> = vec![];
        for piece in self.pieces.iter().filter(|piece| piece.content == Content::Zero) {
            match ranges.last_mut() {
                Some(last) if last.end() == piece.offset => last.len += CHUNK,
                _ => ranges.push(Extent { offset: piece.offset, len: CHUNK }),
            }
        }
        ranges
    }
}

/// The chunks of all partitions that hold something.
fn pieces(survey: &Survey, sheet: &Sheet) -> Vec<Piece> {
    let digest = |idx: u64| usize::try_from(idx).ok().and_then(|idx| *survey.digests.get(idx)?);
    let mut pieces = vec![];
    for partition in &survey.partitions {
        let (first, end) = (partition.extent.offset / CHUNK, partition.extent.end() / CHUNK);
        let holds_something = (first..end).any(|idx| digest(idx).is_some());
        for idx in (first..end).filter(|_| holds_something) {
            let content = match (sheet.chunk(idx), digest(idx)) {
                (Some(own), _) => Content::Own(own.to_vec()),
                (None, Some(digest)) => Content::Image(digest),
                (None, None) => Content::Zero,
            };
            pieces.push(Piece { offset: idx * CHUNK, content });
        }
    }
    pieces.sort_by_key(|piece| piece.offset);
    pieces
}

/// Returns places from `first` to `end`, as far apart as the longest row of pieces is long.
///
/// A device that begins again at its start after fewer bytes than it says puts one of them into that row, wherever it
/// begins again: any stretch of that length has one. What is read back of the row is wrong then.
fn probes(pieces: &[Piece], first: u64, end: u64) -> Vec<u64> {
    let (mut longest, mut row, mut row_end) = (CHUNK, 0, 0);
    for piece in pieces {
        row = if piece.offset == row_end { row + CHUNK } else { CHUNK };
        row_end = piece.offset + CHUNK;
        longest = longest.max(row);
    }
    let step = usize::try_from(longest).unwrap_or(usize::MAX);
    (first.next_multiple_of(longest)..end).step_by(step).filter(|at| at + CHUNK <= end).collect()
}

fn cut(sheet: &mut Sheet, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; CHUNK_LEN];
    sheet.seek(SeekFrom::Start(offset))?;
    sheet.read_exact(&mut bytes)?;
    Ok(bytes)
}
