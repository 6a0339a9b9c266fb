//! Puts files and folders on a FAT32 that nobody has mounted, before they have a name: a cut leaves lost clusters.

use std::io::{Read, SeekFrom};

use super::names::{Name, SLOT, names_at};
use super::rename::{ChangeError, find};
use super::slots::{FOLDER, check_name, file_slot, room, slots_for, write_into};
use super::tables::{Table, write_all};
use super::volume::Volume;
use crate::device::{Device, Extent};

/// Copied at a time.
const CHUNK: usize = 1 << 20;

/// A file's bytes on the volume, durable, for [`put_whole`](super::put_whole).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// First cluster; 0 for an empty file.
    pub(super) first_cluster: u32,
    /// Length in bytes.
    pub(super) len: u32,
    /// Where on the device the bytes are.
    pub extents: Vec<Extent>,
}

/// Stores `len` bytes of `from` on the FAT32 in `extent`, first the bytes, then their chain, and syncs.
pub fn store(
    dev: &mut impl Device,
    extent: Extent,
    from: &mut impl Read,
    len: u32,
) -> Result<Stored, ChangeError> {
    let volume = Volume::read(dev, extent)?;
    let table = Table::read(dev, &volume)?;
    let clusters = free(&table, u64::from(len).div_ceil(volume.cluster_len()))?;
    let mut buffer = vec![0; CHUNK];
    let mut left = u64::from(len);
    for (start, n_bytes) in runs(&volume, &clusters) {
        dev.seek(SeekFrom::Start(start))?;
        let mut done = 0;
        while done < n_bytes {
            let n = usize::try_from(n_bytes - done).unwrap_or(CHUNK).min(CHUNK);
            let n_file = usize::try_from(left).unwrap_or(n).min(n);
            from.read_exact(&mut buffer[..n_file]).map_err(ChangeError::Source)?;
            // What is behind the end of a file in its last cluster is nobody's.
            buffer[n_file..n].fill(0);
            dev.write_all(&buffer[..n])?;
            left -= u64::try_from(n_file).expect("at most CHUNK");
            done += u64::try_from(n).expect("at most CHUNK");
        }
    }
    link(dev, &volume, table, &clusters)?;
    let first_cluster = clusters.first().copied().unwrap_or(0);
    Ok(Stored { first_cluster, len, extents: volume.file_extents(dev, first_cluster, len)? })
}

/// Makes the folders on the way `path` that are missing, each whole before it has its name.
pub fn make_folders(dev: &mut impl Device, extent: Extent, path: &str) -> Result<(), ChangeError> {
    let volume = Volume::read(dev, extent)?;
    let mut parent = volume.root;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let names = names_at(dev, &volume, parent)?;
        parent = match find(&names, part) {
            Some(found) if found.is_folder => found.first_cluster,
            Some(_) => return Err(ChangeError::Exists(part.to_owned())),
            None => make_folder(dev, &volume, parent, &names, part)?,
        };
    }
    Ok(())
}

/// Makes a folder and returns its cluster.
fn make_folder(
    dev: &mut impl Device,
    volume: &Volume,
    parent: u32,
    names: &[Name],
    name: &str,
) -> Result<u32, ChangeError> {
    check_name(name)?;
    let table = Table::read(dev, volume)?;
    let clusters = free(&table, 1)?;
    let slot = |first: u32| {
        let mut slot = file_slot(first, 0);
        slot[11] = FOLDER;
        slot
    };
    // The root folder has no number here.
    let above = if parent == volume.root { 0 } else { parent };
    let dots = [(&b".          "[..], clusters[0]), (b"..         ", above)].map(|(dots, first)| {
        let mut slot = slot(first);
        slot[..11].copy_from_slice(dots);
        slot
    });
    let mut bytes = dots.concat();
    bytes.resize(usize::try_from(volume.cluster_len()).expect("at most 512 KiB"), 0);
    let slots: Vec<[u8; SLOT]> = slots_for(slot(clusters[0]), names, name)?;
    let room = room(dev, volume, parent, slots.len(), &[])?;
    dev.seek(SeekFrom::Start(volume.cluster_at(clusters[0])))?;
    dev.write_all(&bytes)?;
    link(dev, volume, table, &clusters)?;
    write_into(dev, &room, &slots)?;
    dev.sync()?;
    Ok(clusters[0])
}

/// Returns as many free clusters.
fn free(table: &Table, wanted: u64) -> Result<Vec<u32>, ChangeError> {
    let mut clusters = table.free_clusters();
    let free = u64::try_from(clusters.len()).expect("at most CLUSTERS_MAX");
    if free < wanted {
        return Err(ChangeError::NoSpace { wanted, free });
    }
    clusters.truncate(usize::try_from(wanted).expect("at most CLUSTERS_MAX"));
    Ok(clusters)
}

/// Makes what was written to `clusters` durable, and then a chain of them.
fn link(dev: &mut impl Device, volume: &Volume, mut table: Table, clusters: &[u32]) -> std::io::Result<()> {
    dev.sync()?;
    table.link(clusters);
    let patches = table.patches(dev, volume)?;
    write_all(dev, &patches)?;
    dev.sync()
}

/// Returns start and length in bytes of what lies in a row.
fn runs(volume: &Volume, clusters: &[u32]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for at in clusters.iter().map(|cluster| volume.cluster_at(*cluster)) {
        match runs.last_mut() {
            Some((start, len)) if *start + *len == at => *len += volume.cluster_len(),
            _ => runs.push((at, volume.cluster_len())),
        }
    }
    runs
}
