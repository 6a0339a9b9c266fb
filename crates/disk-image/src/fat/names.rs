//! The names in a folder as firmware sees them, with the place of every slot that makes them.
//!
//! A name is one slot with a short name, after the slots of a long one. Where these do not fit the short one,
//! as after a cut between two sectors, the short name is what shows.
//!
//! | bytes of a slot | short name | part of a long name |
//! | --- | --- | --- |
//! | 0 | first character; 0: nothing behind, 0xe5: deleted | number from 1, the last with 0x40 |
//! | 0..11 | name and suffix, padded with blanks | |
//! | 11 | attributes | 0x0f |
//! | 12 | 0x08, 0x10: name, suffix in lower case | 0 |
//! | 13 | | checksum of the short name |
//! | 20..22, 26..28 | first cluster, high and low half | |
//! | 28..32 | length in bytes | |
//! | 1..11, 14..26, 28..32 | | 13 characters, UTF-16 |

use std::io::{Read, Seek, SeekFrom};

use super::slots::FOLDER;
use super::volume::{Volume, VolumeError};

/// Bytes of a slot.
pub(super) const SLOT: usize = 32;
/// First byte of a deleted slot.
pub(super) const DELETED: u8 = 0xe5;
/// Slots of a folder, by the specification.
pub(super) const SLOTS_MAX: u32 = 1 << 16;
pub(super) const LONG_NAME: u8 = 0x0f;
const VOLUME_LABEL: u8 = 0x08;
/// A slot with this bit in its number is the last part of a long name, and comes first.
pub(super) const LAST_PART: u8 = 0x40;
/// Parts of a long name of 255 characters.
const PARTS_MAX: u8 = 20;

/// A file or folder as its folder names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The long name, if its slots are whole.
    pub long: Option<String>,
    /// The short name.
    pub short: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// First cluster; 0 for an empty file.
    pub first_cluster: u32,
    /// Length in bytes; 0 for a folder.
    pub len: u32,
    /// Where on the device its slots are, the short name last.
    pub slots: Vec<u64>,
}

impl Name {
    /// Returns the name that is shown.
    pub fn shown(&self) -> &str {
        self.long.as_deref().unwrap_or(&self.short)
    }
}

/// Returns the names in the folder at `path` (`""` is the root folder), in the order on disk, without `.`, `..`
/// and the volume's label.
pub fn read_folder(
    dev: &mut (impl Read + Seek),
    volume: &Volume,
    path: &str,
) -> Result<Vec<Name>, VolumeError> {
    let first = find_folder(dev, volume, path)?;
    names_at(dev, volume, first)
}

/// Returns the first cluster of the folder at `path`.
pub(super) fn find_folder(
    dev: &mut (impl Read + Seek),
    volume: &Volume,
    path: &str,
) -> Result<u32, VolumeError> {
    let mut first = volume.root;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let is_it = |name: &Name| name.is_folder && name.shown().eq_ignore_ascii_case(part);
        let found = names_at(dev, volume, first)?.into_iter().find(is_it);
        first = found.ok_or_else(|| VolumeError::NoFolder(path.to_owned()))?.first_cluster;
    }
    Ok(first)
}

/// Returns the names in the folder that begins with cluster `first`.
pub(super) fn names_at(
    dev: &mut (impl Read + Seek),
    volume: &Volume,
    first: u32,
) -> Result<Vec<Name>, VolumeError> {
    let len = usize::try_from(volume.cluster_len()).expect("at most 512 KiB");
    let per_cluster = u32::try_from(len / SLOT).expect("at most 2^14");
    let mut names = Vec::new();
    let mut long = LongName::default();
    let mut bytes = vec![0; len];
    for cluster in volume.chain(dev, first, SLOTS_MAX.div_ceil(per_cluster))? {
        let cluster_at = volume.cluster_at(cluster);
        dev.seek(SeekFrom::Start(cluster_at))?;
        dev.read_exact(&mut bytes)?;
        for (idx, slot) in (0_u64..).zip(bytes.as_chunks::<SLOT>().0) {
            let at = cluster_at + idx * 32;
            match (slot[0], slot[11]) {
                (0, _) => return Ok(names),
                (DELETED, _) => long = LongName::default(),
                (_, attributes) if attributes & 0x3f == LONG_NAME => long.take(slot, at),
                (b'.', _) => long = LongName::default(),
                (_, attributes) if attributes & VOLUME_LABEL != 0 => long = LongName::default(),
                _ => names.push(std::mem::take(&mut long).finish(slot, at)),
            }
        }
    }
    Ok(names)
}

/// The parts of a long name that came so far, last part first.
#[derive(Debug, Default)]
struct LongName {
    /// Number of the part that has to come next; 0 when all are there.
    next: u8,
    checksum: u8,
    units: Vec<u16>,
    slots: Vec<u64>,
}

impl LongName {
    fn take(&mut self, slot: &[u8; SLOT], at: u64) {
        let number = slot[0] & !LAST_PART;
        if slot[0] & LAST_PART != 0 && (1..=PARTS_MAX).contains(&number) {
            *self = Self { next: number, checksum: slot[13], units: Vec::new(), slots: Vec::new() };
        } else if self.slots.is_empty() || number != self.next || slot[13] != self.checksum {
            *self = Self::default();
            return;
        }
        let part = slot[1..11].iter().chain(&slot[14..26]).chain(&slot[28..32]).copied();
        let part: Vec<u8> = part.collect();
        let mut units: Vec<u16> = part.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        units.append(&mut self.units);
        self.units = units;
        self.slots.push(at);
        self.next -= 1;
    }

    /// The name whose short name is `slot`: with the long one if that is whole and made for it.
    fn finish(mut self, slot: &[u8; SLOT], at: u64) -> Name {
        let is_whole = !self.slots.is_empty() && self.next == 0 && self.checksum == checksum(&slot[..11]);
        let end = self.units.iter().position(|unit| *unit == 0).unwrap_or(self.units.len());
        let long = is_whole.then(|| String::from_utf16_lossy(&self.units[..end]));
        if !is_whole {
            self.slots.clear();
        }
        self.slots.push(at);
        let half = |at: usize| u32::from(u16::from_le_bytes([slot[at], slot[at + 1]]));
        Name {
            long,
            short: short_name(slot),
            is_folder: slot[11] & FOLDER != 0,
            first_cluster: half(20) << 16 | half(26),
            len: half(28) | half(30) << 16,
            slots: self.slots,
        }
    }
}

fn short_name(slot: &[u8; SLOT]) -> String {
    let text = |bytes: &[u8], is_lower: bool| {
        // Beyond ASCII it depends on the machine's code page, which no name of ours needs.
        let text = String::from_utf8_lossy(bytes).trim_end_matches(' ').to_owned();
        if is_lower { text.to_ascii_lowercase() } else { text }
    };
    let (name, suffix) = (text(&slot[..8], slot[12] & 8 != 0), text(&slot[8..11], slot[12] & 16 != 0));
    if suffix.is_empty() { name } else { format!("{name}.{suffix}") }
}

/// The checksum that ties a long name to its short one.
pub(super) fn checksum(short: &[u8]) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}
