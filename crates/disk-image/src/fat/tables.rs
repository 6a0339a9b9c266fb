//! The tables of clusters as a whole, and what has to fit them: a cut leaves clusters that no name has, tables that
//! differ, a wrong count of free clusters, and a boot sector that is not its backup.
//!
//! | bytes | field |
//! | --- | --- |
//! | 4 for each cluster, in each table | next cluster; 0 free, 0x0ffffff7 bad, from 0x0ffffff8 on the last; the top four bits are not part of it |
//! | 0..4, 484..488 of the information sector | "RRaA", "rrAa" |
//! | 488..492 of the information sector | number of free clusters |
//! | 65 of the boot sector | 1: in use, or not unmounted |
//! | 67..71 of the boot sector | serial number |

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::names::names_at;
use super::repair::NAMES_MAX;
use super::slots::SECTOR;
use super::volume::{CLUSTER_MASK, Volume, VolumeError};
use crate::device::{Device, Extent};

const BAD: u32 = 0x0fff_fff7;
const LAST: u32 = 0x0fff_ffff;
/// Where in the boot sector the state is.
const STATE_AT: usize = 65;
const IN_USE: u8 = 1;
/// Where in the boot sector the serial number is.
const SERIAL: std::ops::Range<usize> = 67..71;
/// Where in the information sector the number of free clusters is.
const FREE_COUNT: std::ops::Range<usize> = 488..492;

/// What [`settle`] made right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Clusters that no name had.
    pub lost_clusters: usize,
    /// Sectors that were written for these and for anything else.
    pub sectors: usize,
}

/// A sector's new bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patch {
    at: u64,
    bytes: [u8; SECTOR],
}

/// Frees clusters that no name has, makes the other table like the first, counts what is free, gives the backup
/// of the boot sector its serial number, and marks the FAT32 in `extent`, which must not be mounted, as clean.
/// Writes nothing when all of that is so.
///
/// An error when a name has no whole chain: [`repair_names`](super::repair_names) comes first.
pub fn settle(dev: &mut impl Device, extent: Extent) -> Result<Settled, VolumeError> {
    let (lost_clusters, patches, state) = unsettled(dev, extent)?;
    if patches.is_empty() && state.is_none() {
        return Ok(Settled::default());
    }
    write_all(dev, &patches)?;
    dev.sync()?;
    // It is clean when everything else is durable.
    write_all(dev, state.as_slice())?;
    dev.sync()?;
    Ok(Settled { lost_clusters, sectors: patches.len() + state.iter().len() })
}

/// Returns whether [`settle`] would write nothing.
pub fn is_settled(dev: &mut (impl Read + Seek), extent: Extent) -> Result<bool, VolumeError> {
    let (_, patches, state) = unsettled(dev, extent)?;
    Ok(patches.is_empty() && state.is_none())
}

/// Returns the number of lost clusters, what has to be written, and last the boot sector.
fn unsettled(
    dev: &mut (impl Read + Seek),
    extent: Extent,
) -> Result<(usize, Vec<Patch>, Option<Patch>), VolumeError> {
    let volume = Volume::read(dev, extent)?;
    let mut table = Table::read(dev, &volume)?;
    let used = used_clusters(dev, &volume)?;
    let is_lost = |cluster: &u32| ![0, BAD].contains(&table.next(*cluster)) && !used.contains(cluster);
    let lost: Vec<u32> = (2..=volume.last_cluster()).filter(is_lost).collect();
    lost.iter().for_each(|cluster| table.set(*cluster, 0));
    let mut patches = table.patches(dev, &volume)?;
    let boot = read_sector(dev, extent.offset)?;
    if let Some(at) = volume.backup_at() {
        patches.extend(patched(dev, at, |backup| backup[SERIAL].copy_from_slice(&boot[SERIAL]))?);
    }
    let state = patched(dev, extent.offset, |boot| boot[STATE_AT] &= !IN_USE)?;
    Ok((lost.len(), patches, state))
}

/// Returns the clusters that names have.
fn used_clusters(dev: &mut (impl Read + Seek), volume: &Volume) -> Result<BTreeSet<u32>, VolumeError> {
    let mut used = BTreeSet::new();
    let mut n_names = 0;
    let mut folders = vec![volume.root];
    let mut seen = BTreeSet::from([volume.root]);
    while let Some(first) = folders.pop() {
        used.extend(volume.chain(dev, first, volume.last_cluster())?);
        for name in names_at(dev, volume, first)? {
            n_names += 1;
            if NAMES_MAX < n_names {
                return Err(VolumeError::TooManyNames { limit: NAMES_MAX });
            }
            if name.is_folder && seen.insert(name.first_cluster) {
                folders.push(name.first_cluster);
            } else if name.first_cluster != 0 {
                used.extend(volume.chain(dev, name.first_cluster, volume.last_cluster())?);
            }
        }
    }
    Ok(used)
}

/// The first table, which all readers use.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    last_cluster: u32,
}

impl Table {
    pub(super) fn read(dev: &mut (impl Read + Seek), volume: &Volume) -> io::Result<Self> {
        let bytes = read_copy(dev, volume, volume.tables_at()[0])?;
        Ok(Self { bytes, last_cluster: volume.last_cluster() })
    }

    /// Returns the clusters that are free, in order.
    pub(super) fn free_clusters(&self) -> Vec<u32> {
        (2..=self.last_cluster).filter(|cluster| self.next(*cluster) == 0).collect()
    }

    /// Makes a chain of `clusters`.
    pub(super) fn link(&mut self, clusters: &[u32]) {
        let next = clusters.iter().skip(1).copied().chain([LAST]);
        clusters.iter().zip(next).for_each(|(cluster, next)| self.set(*cluster, next));
    }

    /// Returns what has to be written so that all tables are this one, and the number of free clusters is its own.
    /// The first table is last.
    pub(super) fn patches(&self, dev: &mut (impl Read + Seek), volume: &Volume) -> io::Result<Vec<Patch>> {
        let mut patches = Vec::new();
        for at in volume.tables_at().into_iter().rev() {
            let there = read_copy(dev, volume, at)?;
            let wanted = self.bytes.as_chunks::<SECTOR>().0;
            for (idx, (old, new)) in (0_u64..).zip(there.as_chunks::<SECTOR>().0.iter().zip(wanted)) {
                patches.extend((old != new).then_some(Patch { at: at + idx * 512, bytes: *new }));
            }
        }
        if let Some(at) = volume.info_at() {
            let n_free = u32::try_from(self.free_clusters().len()).expect("at most CLUSTERS_MAX");
            patches.extend(patched(dev, at, |info| {
                if info.starts_with(b"RRaA") && info[484..488] == *b"rrAa" {
                    info[FREE_COUNT].copy_from_slice(&n_free.to_le_bytes());
                }
            })?);
        }
        Ok(patches)
    }

    fn next(&self, cluster: u32) -> u32 {
        let at = place(cluster);
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes")) & CLUSTER_MASK
    }

    fn set(&mut self, cluster: u32, next: u32) {
        let at = place(cluster);
        let field = &mut self.bytes[at..at + 4];
        let old = u32::from_le_bytes(field.try_into().expect("four bytes"));
        field.copy_from_slice(&((old & !CLUSTER_MASK) | next).to_le_bytes());
    }
}

pub(super) fn write_all(dev: &mut (impl Write + Seek), patches: &[Patch]) -> io::Result<()> {
    patches.iter().try_for_each(|patch| {
        dev.seek(SeekFrom::Start(patch.at))?;
        dev.write_all(&patch.bytes)
    })
}

/// Reads those sectors of the table at `at` that are about clusters.
fn read_copy(dev: &mut (impl Read + Seek), volume: &Volume, at: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (place(volume.last_cluster()) + 4).next_multiple_of(SECTOR)];
    dev.seek(SeekFrom::Start(at))?;
    dev.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_sector(dev: &mut (impl Read + Seek), at: u64) -> io::Result<[u8; SECTOR]> {
    let mut bytes = [0; SECTOR];
    dev.seek(SeekFrom::Start(at))?;
    dev.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Returns the sector as `change` leaves it, if that is another.
fn patched(
    dev: &mut (impl Read + Seek),
    at: u64,
    change: impl FnOnce(&mut [u8; SECTOR]),
) -> io::Result<Option<Patch>> {
    let old = read_sector(dev, at)?;
    let mut bytes = old;
    change(&mut bytes);
    Ok((bytes != old).then_some(Patch { at, bytes }))
}

fn place(cluster: u32) -> usize {
    usize::try_from(cluster).expect("usize has 32 bits") * 4
}
