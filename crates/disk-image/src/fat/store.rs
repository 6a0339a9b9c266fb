//! Puts a file's bytes on a FAT32 that nobody has mounted, before it has a name: a cut leaves lost clusters.

use std::io::{Read, SeekFrom};

use super::rename::ChangeError;
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
    let mut table = Table::read(dev, &volume)?;
    let wanted = u64::from(len).div_ceil(volume.cluster_len());
    let free = table.free_clusters();
    let n_free = u64::try_from(free.len()).expect("at most CLUSTERS_MAX");
    if n_free < wanted {
        return Err(ChangeError::NoSpace { wanted, free: n_free });
    }
    let clusters = &free[..usize::try_from(wanted).expect("at most CLUSTERS_MAX")];
    let mut buffer = vec![0; CHUNK];
    let mut left = u64::from(len);
    for (start, n_bytes) in runs(&volume, clusters) {
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
    dev.sync()?;
    table.link(clusters);
    let patches = table.patches(dev, &volume)?;
    write_all(dev, &patches)?;
    dev.sync()?;
    let first_cluster = clusters.first().copied().unwrap_or(0);
    Ok(Stored { first_cluster, len, extents: volume.file_extents(dev, first_cluster, len)? })
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
