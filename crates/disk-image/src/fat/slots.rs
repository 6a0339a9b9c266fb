//! Slots of a folder: made for a name, placed, and taken out, so that no cut shows half a name.

use std::io::{self, Read, Seek, SeekFrom};

use super::names::{DELETED, LAST_PART, LONG_NAME, Name, SLOT, SLOTS_MAX, checksum};
use super::rename::ChangeError;
use super::volume::Volume;
use crate::device::Device;

/// What a disk writes whole: no cut divides it.
pub(super) const SECTOR: usize = 512;
/// Characters in one slot of a long name.
const PART: usize = 13;
/// Longest name, in UTF-16 units.
const NAME_MAX: usize = 255;
/// Bytes of a short name's slot that belong to the content: times, clusters, length.
pub(super) const CONTENT: std::ops::Range<usize> = 13..32;
/// Attribute of a plain file that was written.
const ARCHIVE: u8 = 0x20;
/// Attribute of a folder.
pub(super) const FOLDER: u8 = 0x10;
/// 1980-01-01, the first day that FAT can say: nothing of ours asks a file on the ESP for its time.
const FIRST_DAY: u16 = 0x21;

/// Refuses what is no name of a file.
pub(super) fn check_name(name: &str) -> Result<(), ChangeError> {
    let is_allowed = |c: char| !c.is_control() && !"\"*/:<>?\\|".contains(c);
    if !(1..=NAME_MAX).contains(&name.encode_utf16().count()) || !name.chars().all(is_allowed) {
        return Err(ChangeError::Name(name.to_owned()));
    }
    Ok(())
}

/// Returns the slot of a short name for a file, without its name.
pub(super) fn file_slot(first_cluster: u32, len: u32) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    let [low, high] = [first_cluster & 0xffff, first_cluster >> 16].map(u32::to_le_bytes);
    slot[11] = ARCHIVE;
    slot[16..18].copy_from_slice(&FIRST_DAY.to_le_bytes());
    slot[18..20].copy_from_slice(&FIRST_DAY.to_le_bytes());
    slot[20..22].copy_from_slice(&high[..2]);
    slot[24..26].copy_from_slice(&FIRST_DAY.to_le_bytes());
    slot[26..28].copy_from_slice(&low[..2]);
    slot[28..32].copy_from_slice(&len.to_le_bytes());
    slot
}

/// Returns the slots of the name `to` for the file whose short name's slot is `short`, with a short name that is
/// not taken.
pub(super) fn slots_for(
    mut short: [u8; SLOT],
    names: &[Name],
    to: &str,
) -> Result<Vec<[u8; SLOT]>, ChangeError> {
    let taken = |bytes: &[u8]| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let (name, suffix) = (text(&bytes[..8]), text(&bytes[8..]));
        let shown = if suffix.is_empty() { name } else { format!("{name}.{suffix}") };
        names.iter().any(|name| name.short.eq_ignore_ascii_case(&shown))
    };
    let free = (1..10_000_u32).map(|number| short_bytes(to, number)).find(|bytes| !taken(bytes));
    short[..11].copy_from_slice(&free.ok_or(ChangeError::NoRoom { slots: 1 })?);
    // The case of an old short name is not that of the new one.
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
pub(super) fn long_slots(name: &str, checksum: u8) -> Vec<[u8; SLOT]> {
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

/// Where slots are to be written.
#[derive(Debug)]
pub(super) struct Room {
    /// The first slot.
    at: u64,
    /// The slot in the sector before with which the folder ended so far.
    old_end: Option<u64>,
}

/// Finds `n_slots` free slots in a row in one sector of a folder. Those of `leaving` count as free.
///
/// Nothing but zeros may follow the last name, so free slots behind it count only with a zero behind them.
pub(super) fn room(
    dev: &mut (impl Read + Seek),
    volume: &Volume,
    folder: u32,
    n_slots: usize,
    leaving: &[u64],
) -> Result<Room, ChangeError> {
    let no_room = || ChangeError::NoRoom { slots: n_slots };
    let mut sectors = Vec::new();
    for cluster in volume.chain(dev, folder, SLOTS_MAX)? {
        let start = volume.cluster_at(cluster);
        sectors.extend((start..start + volume.cluster_len()).step_by(SECTOR));
    }
    let per_sector = SECTOR / SLOT;
    if per_sector < n_slots {
        return Err(no_room());
    }
    for (idx, sector) in sectors.iter().enumerate() {
        let firsts = first_bytes(dev, *sector, leaving)?;
        let is_free = |first: &u8| *first == DELETED || *first == 0;
        let found = firsts.windows(n_slots).position(|run| run.iter().all(is_free));
        let end = firsts.iter().position(|first| *first == 0);
        let next = sectors.get(idx + 1);
        let next_ends = match next {
            Some(next) => first_bytes(dev, *next, leaving)?.iter().all(|first| *first == 0),
            None => true,
        };
        match (found, end) {
            (Some(at), None) => return Ok(Room { at: sector + slot_at(at), old_end: None }),
            (Some(at), Some(end)) => {
                // What is behind the new name has to read as the end again.
                let behind = firsts.get(at + n_slots);
                if at + n_slots <= end || behind == Some(&0) || (behind.is_none() && next_ends) {
                    return Ok(Room { at: sector + slot_at(at), old_end: None });
                }
            }
            (None, Some(_)) => {}
            (None, None) => continue,
        }
        let (Some(end), Some(next), true) = (end, next, next_ends) else { break };
        return Ok(Room { at: *next, old_end: Some(sector + slot_at(end)) });
    }
    Err(no_room())
}

/// Writes slots where there is room. They show with the last write.
pub(super) fn write_into(dev: &mut impl Device, room: &Room, slots: &[[u8; SLOT]]) -> io::Result<()> {
    write_in_sector(dev, room.at, slots)?;
    let Some(old_end) = room.old_end else { return Ok(()) };
    dev.sync()?;
    change_sector(dev, sector_of(old_end), |bytes| {
        bytes[in_sector(old_end)..].as_chunks_mut::<SLOT>().0.iter_mut().for_each(|slot| slot[0] = DELETED);
    })
}

/// Returns the first byte of each slot of a sector.
fn first_bytes(dev: &mut (impl Read + Seek), sector: u64, leaving: &[u64]) -> io::Result<Vec<u8>> {
    let mut bytes = [0; SECTOR];
    dev.seek(SeekFrom::Start(sector))?;
    dev.read_exact(&mut bytes)?;
    let first = |(idx, slot): (usize, &[u8; SLOT])| {
        if leaving.contains(&(sector + slot_at(idx))) { DELETED } else { slot[0] }
    };
    Ok(bytes.as_chunks::<SLOT>().0.iter().enumerate().map(first).collect())
}

/// Marks the slots of a name as deleted: with one write where one sector has them all. Else the sector with the
/// short name goes first, and for good: a long name without it shows as nothing. Leaves the clusters as they are.
pub(super) fn take_out(dev: &mut impl Device, name: &Name) -> io::Result<()> {
    let mut sectors: Vec<u64> = name.slots.iter().rev().map(|at| sector_of(*at)).collect();
    sectors.dedup();
    for (n_done, sector) in sectors.into_iter().enumerate() {
        if n_done != 0 {
            dev.sync()?;
        }
        change_sector(dev, sector, |bytes| {
            for at in name.slots.iter().filter(|at| sector_of(**at) == sector) {
                bytes[in_sector(*at)] = DELETED;
            }
        })?;
    }
    Ok(())
}

/// Changes slots with one write of the sector that holds them.
pub(super) fn write_in_sector(dev: &mut impl Device, at: u64, slots: &[[u8; SLOT]]) -> io::Result<()> {
    let idx = in_sector(at);
    change_sector(dev, sector_of(at), |bytes| {
        bytes[idx..idx + slots.len() * SLOT].copy_from_slice(slots.as_flattened());
    })
}

fn change_sector(dev: &mut impl Device, at: u64, change: impl FnOnce(&mut [u8; SECTOR])) -> io::Result<()> {
    let mut bytes = [0; SECTOR];
    dev.seek(SeekFrom::Start(at))?;
    dev.read_exact(&mut bytes)?;
    change(&mut bytes);
    dev.seek(SeekFrom::Start(at))?;
    dev.write_all(&bytes)
}

pub(super) fn read_slot(dev: &mut (impl Read + Seek), at: u64) -> io::Result<[u8; SLOT]> {
    let mut slot = [0; SLOT];
    dev.seek(SeekFrom::Start(at))?;
    dev.read_exact(&mut slot)?;
    Ok(slot)
}

pub(super) fn sector_of(at: u64) -> u64 {
    at / 512 * 512
}

/// Returns the bytes of `n` slots.
pub(super) fn slot_at(n: usize) -> u64 {
    u64::try_from(n * SLOT).expect("an offset in a sector")
}

fn in_sector(at: u64) -> usize {
    usize::try_from(at - sector_of(at)).expect("below 512")
}
