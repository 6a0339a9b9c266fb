//! Renames a file within its folder so that a cut at any moment leaves it under one whole name, or under both.
//!
//! The kernel's driver writes a new name without clusters, takes the old one out, and gives the new one its
//! clusters when it next writes the file's inode: a cut in between leaves an empty file and lost clusters.
//! Here the slots of the long name are written anew where they are, with the sector that holds them all, and
//! the short name stays. Where that does not fit, the new name is written whole beside the old one, and that is
//! taken out afterwards; [`repair_names`](super::repair_names) knows both.

use std::io::{self, Read, Seek, SeekFrom};

use super::names::{DELETED, LAST_PART, LONG_NAME, Name, SLOT, checksum, find_folder, names_at, take_out};
use super::volume::{Volume, VolumeError};
use crate::device::{Device, Extent};

/// What a disk writes whole: no cut divides it.
const SECTOR: usize = 512;
/// Characters in one slot of a long name.
const PART: usize = 13;
/// Longest name, in UTF-16 units.
const NAME_MAX: usize = 255;

/// Why a file was not renamed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// The volume is not read.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// There is no such file.
    #[error("no file `{0}` in the folder")]
    Missing(String),
    /// The new name is taken.
    #[error("`{0}` is there already")]
    Exists(String),
    /// The new name is none.
    #[error(
        "`{0}` is no file name: expected 1 to 255 characters, none of them a control character or one of \"*/:<>?\\|"
    )]
    Name(String),
    /// The folder has no place in one sector for another name.
    #[error("no room for a name of {slots} slots in one sector of the folder")]
    NoRoom {
        /// Slots that it takes.
        slots: usize,
    },
}

impl From<io::Error> for RenameError {
    fn from(error: io::Error) -> Self {
        VolumeError::from(error).into()
    }
}

/// Renames a file in the folder at `path` of the FAT32 in `extent`, which must not be mounted, and syncs.
pub fn rename_whole(
    dev: &mut impl Device,
    extent: Extent,
    path: &str,
    from: &str,
    to: &str,
) -> Result<(), RenameError> {
    let is_allowed = |c: char| !c.is_control() && !"\"*/:<>?\\|".contains(c);
    if !(1..=NAME_MAX).contains(&to.encode_utf16().count()) || !to.chars().all(is_allowed) {
        return Err(RenameError::Name(to.to_owned()));
    }
    let volume = Volume::read(dev, extent)?;
    let folder = find_folder(dev, &volume, path)?;
    let names = names_at(dev, &volume, folder)?;
    let find = |wanted: &str| {
        names.iter().find(|name| name.shown().eq_ignore_ascii_case(wanted) || name.short == wanted)
    };
    let old = find(from).filter(|name| !name.is_folder);
    let old = old.ok_or_else(|| RenameError::Missing(from.to_owned()))?;
    if find(to).is_some() {
        return Err(RenameError::Exists(to.to_owned()));
    }
    if !rename_in_place(dev, old, to)? {
        let slots = beside(dev, old, &names, to)?;
        let at = room(dev, &volume, folder, slots.len())?;
        write_in_sector(dev, at, &slots)?;
        dev.sync()?;
        take_out(dev, old)?;
    }
    Ok(dev.sync()?)
}

/// Gives two files in the folder at `path` each other's content, and syncs: the way to replace a file of a fixed
/// name. A cut leaves each name with one of the two contents, whole, at worst both with the same.
pub fn exchange_whole(
    dev: &mut impl Device,
    extent: Extent,
    path: &str,
    one: &str,
    two: &str,
) -> Result<(), RenameError> {
    let volume = Volume::read(dev, extent)?;
    let folder = find_folder(dev, &volume, path)?;
    let names = names_at(dev, &volume, folder)?;
    let mut places = [0; 2];
    for (place, wanted) in places.iter_mut().zip([one, two]) {
        let is_it = |name: &&Name| !name.is_folder && name.shown().eq_ignore_ascii_case(wanted);
        let found = names.iter().find(is_it).ok_or_else(|| RenameError::Missing(wanted.to_owned()))?;
        *place = *found.slots.last().expect("a name has a slot");
    }
    let [mut first, mut second] = [read_slot(dev, places[0])?, read_slot(dev, places[1])?];
    // Times, clusters and length are those of the content; the attributes are the name's.
    first[13..32].swap_with_slice(&mut second[13..32]);
    write_in_sector(dev, places[0], &[first])?;
    write_in_sector(dev, places[1], &[second])?;
    Ok(dev.sync()?)
}

/// Writes the new long name over the old one, if it takes no more slots and all are in one sector.
fn rename_in_place(dev: &mut impl Device, old: &Name, to: &str) -> Result<bool, RenameError> {
    let (short_at, long_at) = old.slots.split_last().expect("a name has a slot");
    let first_at = old.slots[0];
    let is_run = old.slots.windows(2).all(|pair| pair[0] + slot_len() == pair[1]);
    if !is_run || sector_of(first_at) != sector_of(*short_at) {
        return Ok(false);
    }
    let parts = long_slots(to, checksum(&read_slot(dev, *short_at)?[..11]));
    let Some(n_spare) = long_at.len().checked_sub(parts.len()) else { return Ok(false) };
    let mut deleted = [0; SLOT];
    deleted[0] = DELETED;
    let slots: Vec<_> = std::iter::repeat_n(deleted, n_spare).chain(parts).collect();
    write_in_sector(dev, first_at, &slots)?;
    Ok(true)
}

/// Returns the slots of a name for the file of `old` beside it, with a short name that is not taken.
fn beside(
    dev: &mut impl Device,
    old: &Name,
    names: &[Name],
    to: &str,
) -> Result<Vec<[u8; SLOT]>, RenameError> {
    let mut short = read_slot(dev, *old.slots.last().expect("a name has a slot"))?;
    let taken = |bytes: &[u8]| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let (name, suffix) = (text(&bytes[..8]), text(&bytes[8..]));
        let shown = if suffix.is_empty() { name } else { format!("{name}.{suffix}") };
        names.iter().any(|name| name.short.eq_ignore_ascii_case(&shown))
    };
    let free = (1..10_000_u32).map(|number| short_bytes(to, number)).find(|bytes| !taken(bytes));
    short[..11].copy_from_slice(&free.ok_or(RenameError::NoRoom { slots: 1 })?);
    // The case of the old short name is not that of the new one.
    short[12] = 0;
    let mut slots = long_slots(to, checksum(&short[..11]));
    slots.push(short);
    Ok(slots)
}

/// Returns the short name `NAME~<number>.SUF` for a long one.
fn short_bytes(long: &str, number: u32) -> [u8; 11] {
    let (stem, suffix) = long.rsplit_once('.').unwrap_or((long, ""));
    let allowed = |text: &str| -> Vec<u8> {
        let is_left_out = |c: &char| !matches!(c, ' ' | '.');
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_~".contains(c) { c } else { '_' };
        let text: String = text.chars().filter(is_left_out).map(plain).collect();
        text.to_ascii_uppercase().into_bytes()
    };
    let tail = format!("~{number}");
    let mut bytes = [b' '; 11];
    let stem = allowed(stem);
    let stem = &stem[..stem.len().min(8 - tail.len())];
    bytes[..stem.len()].copy_from_slice(stem);
    bytes[stem.len()..stem.len() + tail.len()].copy_from_slice(tail.as_bytes());
    let suffix = allowed(suffix);
    let suffix = &suffix[..suffix.len().min(3)];
    bytes[8..8 + suffix.len()].copy_from_slice(suffix);
    bytes
}

/// Returns the slots of a long name, last part first, for the short name with that checksum.
fn long_slots(name: &str, checksum: u8) -> Vec<[u8; SLOT]> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let n_parts = units.len().div_ceil(PART);
    let slot = |(idx, part): (usize, &[u16])| {
        // Zero ends a name that does not fill its last slot; ones fill the rest.
        let ended = part.iter().copied().chain([0]).chain(std::iter::repeat(u16::MAX));
        let text: Vec<u8> = ended.take(PART).flat_map(u16::to_le_bytes).collect();
        let mut slot = [0; SLOT];
        let is_last = if idx + 1 == n_parts { LAST_PART } else { 0 };
        slot[0] = u8::try_from(idx + 1).expect("a name has at most 20 parts") | is_last;
        (slot[11], slot[13]) = (LONG_NAME, checksum);
        slot[1..11].copy_from_slice(&text[..10]);
        slot[14..26].copy_from_slice(&text[10..22]);
        slot[28..32].copy_from_slice(&text[22..]);
        slot
    };
    units.chunks(PART).enumerate().map(slot).rev().collect()
}

/// Returns where in the folder `n_slots` slots in a row are free, in one sector.
///
/// Nothing but zeros may follow the last name, so free slots behind it count only up to a sector's last but
/// with a zero behind them, or where the next sector begins with one.
fn room(dev: &mut impl Device, volume: &Volume, folder: u32, n_slots: usize) -> Result<u64, RenameError> {
    let no_room = RenameError::NoRoom { slots: n_slots };
    for cluster in volume.chain(dev, folder, super::names::SLOTS_MAX)? {
        let start = volume.cluster_at(cluster);
        for sector in (start..start + volume.cluster_len()).step_by(SECTOR) {
            let mut bytes = [0; SECTOR];
            dev.seek(SeekFrom::Start(sector))?;
            dev.read_exact(&mut bytes)?;
            let firsts: Vec<u8> = bytes.as_chunks::<SLOT>().0.iter().map(|slot| slot[0]).collect();
            let is_free = |first: &u8| *first == DELETED || *first == 0;
            let found = firsts.windows(n_slots).position(|run| run.iter().all(is_free));
            let ends_here = firsts.iter().position(|first| *first == 0);
            match (found, ends_here) {
                (Some(at), None) => return Ok(sector + slot_at(at)),
                // What is behind the new name has to read as the end again.
                (Some(at), Some(end)) if at + n_slots <= end || firsts.get(at + n_slots) == Some(&0) => {
                    return Ok(sector + slot_at(at));
                }
                (_, Some(_)) => return Err(no_room),
                (None, None) => {}
            }
        }
    }
    Err(no_room)
}

/// Changes slots with one write of the sector that holds them.
fn write_in_sector(dev: &mut impl Device, at: u64, slots: &[[u8; SLOT]]) -> io::Result<()> {
    let start = sector_of(at);
    let mut bytes = [0; SECTOR];
    dev.seek(SeekFrom::Start(start))?;
    dev.read_exact(&mut bytes)?;
    let idx = usize::try_from(at - start).expect("below 512");
    bytes[idx..idx + slots.len() * SLOT].copy_from_slice(slots.as_flattened());
    dev.seek(SeekFrom::Start(start))?;
    dev.write_all(&bytes)
}

fn read_slot(dev: &mut (impl Read + Seek), at: u64) -> io::Result<[u8; SLOT]> {
    let mut slot = [0; SLOT];
    dev.seek(SeekFrom::Start(at))?;
    dev.read_exact(&mut slot)?;
    Ok(slot)
}

fn sector_of(at: u64) -> u64 {
    at / 512 * 512
}

fn slot_len() -> u64 {
    slot_at(1)
}

fn slot_at(idx: usize) -> u64 {
    u64::try_from(idx * SLOT).expect("an offset in a sector")
}
