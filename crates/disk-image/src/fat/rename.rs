//! Changes of names in a folder of a FAT32 that nobody has mounted: after a cut at any moment each name is whole,
//! and has its whole file.
//!
//! The kernel's driver writes a new name without clusters, takes the old one out, and gives the new one its
//! clusters when it next writes the file's inode: a cut in between leaves an empty file and lost clusters.
//! Here the slots of the long name are written anew where they are, with the sector that holds them all, and
//! the short name stays. Where that does not fit, a boot entry gets its new name beside the old one, and that is
//! taken out afterwards; [`repair_names`](super::repair_names) knows both. Any other file is rather without a name
//! for a moment: to a file system, two names with one chain are a fault, and lost clusters are none.

use std::io;

use super::names::{DELETED, Name, SLOT, checksum, find_folder, names_at};
use super::slots::{
    CONTENT, check_name, file_slot, long_slots, read_slot, room, sector_of, slot_at, slots_for, take_out,
    write_in_sector, write_into,
};
use super::store::Stored;
use super::tables::settle;
use super::volume::{Volume, VolumeError};
use crate::device::{Device, Extent};

/// End of a boot entry's name.
pub(super) const ENTRY_END: &str = ".efi";

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
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
    /// The volume has not enough free clusters.
    #[error("no space: expected {wanted} free clusters, found {free}")]
    NoSpace {
        /// Clusters that the file takes.
        wanted: u64,
        /// Clusters that are free.
        free: u64,
    },
    /// What was to be stored cannot be read.
    #[error("reading what is to be stored")]
    Source(#[source] io::Error),
}

impl From<io::Error> for ChangeError {
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
) -> Result<(), ChangeError> {
    check_name(to)?;
    let volume = Volume::read(dev, extent)?;
    let folder = find_folder(dev, &volume, path)?;
    let names = names_at(dev, &volume, folder)?;
    let old = find(&names, from).filter(|name| !name.is_folder);
    let old = old.ok_or_else(|| ChangeError::Missing(from.to_owned()))?;
    if find(&names, to).is_some() {
        return Err(ChangeError::Exists(to.to_owned()));
    }
    if !rename_in_place(dev, old, to)? {
        let slots = slots_for(read_slot(dev, short_at(old))?, &names, to)?;
        let is_entry = old.shown().to_ascii_lowercase().ends_with(ENTRY_END);
        let leaving = if is_entry { &[][..] } else { &old.slots };
        let at = room(dev, &volume, folder, slots.len(), leaving)?;
        if is_entry {
            write_into(dev, &at, &slots)?;
            dev.sync()?;
            take_out(dev, old)?;
        } else {
            take_out(dev, old)?;
            dev.sync()?;
            write_into(dev, &at, &slots)?;
        }
    }
    Ok(dev.sync()?)
}

/// Gives what was stored a name in the folder at `path`, with one write of one sector, and syncs. A file of that
/// name has the new content from then on, and its old clusters are free.
pub fn put_whole(
    dev: &mut impl Device,
    extent: Extent,
    path: &str,
    name: &str,
    stored: &Stored,
) -> Result<(), ChangeError> {
    check_name(name)?;
    let volume = Volume::read(dev, extent)?;
    let folder = find_folder(dev, &volume, path)?;
    let names = names_at(dev, &volume, folder)?;
    let new = file_slot(stored.first_cluster, stored.len);
    match find(&names, name) {
        Some(old) if old.is_folder => return Err(ChangeError::Exists(name.to_owned())),
        Some(old) => {
            let mut slot = read_slot(dev, short_at(old))?;
            slot[CONTENT].copy_from_slice(&new[CONTENT]);
            write_in_sector(dev, short_at(old), &[slot])?;
            dev.sync()?;
            settle(dev, extent)?;
        }
        None => {
            let slots = slots_for(new, &names, name)?;
            let at = room(dev, &volume, folder, slots.len(), &[])?;
            write_into(dev, &at, &slots)?;
        }
    }
    Ok(dev.sync()?)
}

/// Removes files, and folders with all that is in them, from the folder at `path`, and syncs; missing ones are
/// fine. A cut leaves a name with all that it had, or none. Clusters that another name has too stay.
pub fn remove_whole(
    dev: &mut impl Device,
    extent: Extent,
    path: &str,
    names: &[&str],
) -> Result<(), ChangeError> {
    let volume = Volume::read(dev, extent)?;
    let folder = match find_folder(dev, &volume, path) {
        Err(VolumeError::NoFolder(_)) => return Ok(()),
        found => found?,
    };
    let there = names_at(dev, &volume, folder)?;
    let is_it = |name: &&Name| names.iter().any(|wanted| name.shown().eq_ignore_ascii_case(wanted));
    for name in there.iter().filter(is_it) {
        take_out(dev, name)?;
    }
    dev.sync()?;
    settle(dev, extent)?;
    Ok(())
}

/// Writes the new long name over the old one, if it takes no more slots and all are in one sector.
fn rename_in_place(dev: &mut impl Device, old: &Name, to: &str) -> Result<bool, ChangeError> {
    let (short_at, long_at) = old.slots.split_last().expect("a name has a slot");
    let first_at = old.slots[0];
    let is_run = old.slots.windows(2).all(|pair| pair[0] + slot_at(1) == pair[1]);
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

pub(super) fn find<'a>(names: &'a [Name], wanted: &str) -> Option<&'a Name> {
    names.iter().find(|name| name.shown().eq_ignore_ascii_case(wanted) || name.short == wanted)
}

fn short_at(name: &Name) -> u64 {
    *name.slots.last().expect("a name has a slot")
}
