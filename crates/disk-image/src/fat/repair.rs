//! Takes names out of a FAT32 that a cut left there and that a file system must not meet.
//!
//! | what a cut left | what a file system would do with it |
//! | --- | --- |
//! | two names with one chain of clusters, from a rename | free the chain of both when one is removed |
//! | a file whose chain is not in the table, from creating it | fail and turn read-only when it is removed, or give its clusters to another file |
//! | a folder whose cluster is not written, from making it | the same |
//! | an empty boot entry, from a rename | nothing, but it is no entry |
//!
//! Only slots of folders change: the clusters stay, at worst lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read, Seek, SeekFrom};

use super::names::{Name, names_at};
use super::rename::ENTRY_END;
use super::slots::take_out;
use super::volume::{Volume, VolumeError};
use crate::device::{Device, Extent};

/// Names that are looked at; an ESP of ours has a few dozen.
pub(super) const NAMES_MAX: usize = 4096;

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another name has the same clusters.
    Shared,
    /// Its clusters are not those of a file of its length, or of a folder.
    Broken,
    /// A boot entry without a byte.
    Empty,
}

/// A name that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenName {
    /// Path from the root folder.
    pub path: String,
    /// Why.
    pub fault: Fault,
}

impl fmt::Display for TakenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.fault {
            Fault::Shared => "has the clusters of another name",
            Fault::Broken => "has no whole chain of clusters",
            Fault::Empty => "is empty",
        };
        write!(f, "{} {why}", self.path)
    }
}

/// Takes the names that a cut left half made out of the FAT32 in `extent`, which must not be mounted, and
/// returns them. Writes nothing when there are none.
///
/// Of names with the same clusters one stays: one that ends in `.efi` before any other, and among those one
/// without a boot counter. A short name goes before its long one, which shows as nothing alone.
pub fn repair_names(dev: &mut impl Device, extent: Extent) -> Result<Vec<TakenName>, VolumeError> {
    let faulty = faulty_names(dev, extent)?;
    for (_, name) in &faulty {
        take_out(dev, name)?;
    }
    if !faulty.is_empty() {
        dev.sync()?;
    }
    Ok(faulty.into_iter().map(|(taken, _)| taken).collect())
}

/// Returns the names that [`repair_names`] would take, with their slots. Reads only, so it tells the truth of a
/// mounted volume at best.
pub fn faulty_names(
    dev: &mut (impl Read + Seek),
    extent: Extent,
) -> Result<Vec<(TakenName, Name)>, VolumeError> {
    let volume = Volume::read(dev, extent)?;
    let mut faulty = Vec::new();
    let mut n_names = 0;
    let mut by_cluster: BTreeMap<u32, Vec<(String, Name)>> = BTreeMap::new();
    let mut seen = BTreeSet::from([volume.root]);
    let mut folders = vec![(String::new(), volume.root)];
    while let Some((folder, first)) = folders.pop() {
        for name in names_at(dev, &volume, first)? {
            n_names += 1;
            if NAMES_MAX < n_names {
                return Err(VolumeError::TooManyNames { limit: NAMES_MAX });
            }
            let path = format!("{folder}{}", name.shown());
            if let Some(fault) = fault_of(dev, &volume, &name)? {
                faulty.push((TakenName { path, fault }, name));
                continue;
            }
            if name.is_folder && seen.insert(name.first_cluster) {
                folders.push((format!("{path}/"), name.first_cluster));
            }
            if name.first_cluster != 0 {
                by_cluster.entry(name.first_cluster).or_default().push((path, name));
            }
        }
    }
    for mut sharing in by_cluster.into_values() {
        // The sort is stable: of two that are alike the first in the folder stays.
        sharing.sort_by_key(|(_, name)| rank(name));
        let others = sharing.into_iter().skip(1);
        faulty.extend(others.map(|(path, name)| (TakenName { path, fault: Fault::Shared }, name)));
    }
    Ok(faulty)
}

/// Says what is wrong with a name alone. An error is one of the device.
fn fault_of(
    dev: &mut (impl Read + Seek),
    volume: &Volume,
    name: &Name,
) -> Result<Option<Fault>, VolumeError> {
    if name.is_folder {
        return Ok((!is_folder_whole(dev, volume, name.first_cluster)?).then_some(Fault::Broken));
    }
    if name.first_cluster == 0 && name.len == 0 {
        return Ok(name.shown().to_ascii_lowercase().ends_with(ENTRY_END).then_some(Fault::Empty));
    }
    match volume.file_extents(dev, name.first_cluster, name.len) {
        Err(VolumeError::Device(error)) => Err(error.into()),
        // Clusters behind the end are lost to others, but nothing goes wrong with them.
        Err(VolumeError::Length { expected, found, .. }) if expected < found => Ok(None),
        Err(_) => Ok(Some(Fault::Broken)),
        Ok(_) => Ok(None),
    }
}

/// Says whether the chain is whole and begins with the slot of the folder itself.
fn is_folder_whole(dev: &mut (impl Read + Seek), volume: &Volume, first: u32) -> Result<bool, VolumeError> {
    match volume.chain(dev, first, super::names::SLOTS_MAX) {
        Err(VolumeError::Device(error)) => return Err(error.into()),
        Err(_) => return Ok(false),
        Ok(_) => {}
    }
    let mut dot = [0; 11];
    dev.seek(SeekFrom::Start(volume.cluster_at(first)))?;
    dev.read_exact(&mut dot)?;
    Ok(&dot == b".          ")
}

/// Lower stays.
fn rank(name: &Name) -> u8 {
    let shown = name.shown().to_ascii_lowercase();
    match (shown.ends_with(ENTRY_END), name.long.is_some(), shown.contains('+')) {
        (true, true, false) => 0,
        (true, true, true) => 1,
        // A short name alone tells neither version nor tries.
        (true, false, _) => 2,
        (false, _, _) => 3,
    }
}
