//! The frame of a FAT32: where its table and clusters lie, and which clusters a file has.
//!
//! | bytes of the boot sector | field |
//! | --- | --- |
//! | 11..13 | bytes per sector |
//! | 13 | sectors per cluster |
//! | 14..16 | reserved sectors, in front of the first table |
//! | 16 | number of tables |
//! | 22..24, 36..40 | sectors per table: 0, and the FAT32 field |
//! | 32..36 | sectors in all |
//! | 44..48 | first cluster of the root folder |
//! | 48..50, 50..52 | sector with the number of free clusters, sector of the boot sector's backup; 0 or 0xffff: none |
//! | 510..512 | 0x55 0xaa |

use std::io::{self, Read, Seek, SeekFrom};

use crate::device::{Extent, Window};

/// Largest volume that is read: 2^21 clusters, 8 GiB of 4 KiB each, above any EFI system partition of ours.
pub const CLUSTERS_MAX: u32 = 1 << 21;
/// Bits of a table entry that count.
pub(super) const CLUSTER_MASK: u32 = 0x0fff_ffff;
/// A table entry from here on ends a chain.
const END_OF_CHAIN: u32 = 0x0fff_fff8;

/// Why a FAT32 or a file in it is not read.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The device failed.
    #[error("reading the FAT")]
    Device(#[from] io::Error),
    /// A field of the boot sector has a value that is not accepted.
    #[error("FAT boot sector, field `{field}`: expected {expected}, found {found}")]
    BootSector {
        /// Name of the field.
        field: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// The value.
        found: u64,
    },
    /// A chain of clusters leaves the volume.
    #[error("cluster chain {first}: cluster {found} is not one of 2 to {last}")]
    Cluster {
        /// First cluster of the chain.
        first: u32,
        /// Last cluster of the volume.
        last: u32,
        /// The number found.
        found: u32,
    },
    /// A chain comes back to itself, or is longer than anything that is read.
    #[error("cluster chain {first} has more than {limit} clusters")]
    Endless {
        /// First cluster of the chain.
        first: u32,
        /// Clusters accepted.
        limit: u32,
    },
    /// A file's length and its chain do not fit.
    #[error("cluster chain {first}: expected {expected} clusters for the file's length, found {found}")]
    Length {
        /// First cluster of the chain.
        first: u32,
        /// Clusters that the length takes.
        expected: u64,
        /// Clusters of the chain.
        found: u64,
    },
    /// The volume has more names than any that is repaired.
    #[error("more than {limit} names")]
    TooManyNames {
        /// Names accepted.
        limit: usize,
    },
    /// A folder on the way is missing.
    #[error("no folder `{0}`")]
    NoFolder(String),
}

/// A FAT32 on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    extent: Extent,
    cluster_len: u64,
    table_at: u64,
    table_len: u64,
    n_tables: u64,
    data_at: u64,
    info_at: Option<u64>,
    backup_at: Option<u64>,
    last_cluster: u32,
    /// First cluster of the root folder.
    pub root: u32,
}

impl Volume {
    /// Reads the frame of the FAT32 in `extent`.
    pub fn read(dev: &mut (impl Read + Seek), extent: Extent) -> Result<Self, VolumeError> {
        let mut sector = [0; 512];
        Window::new(dev, extent).read_exact(&mut sector)?;
        let half = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let word = |at: usize| half(at) | half(at + 2) << 16;
        let refuse = |field, expected, found| Err(VolumeError::BootSector { field, expected, found });
        if half(510) != 0xaa55 {
            return refuse("signature", "0x55 0xaa", half(510));
        }
        let sector_len = half(11);
        if ![512, 1024, 2048, 4096].contains(&sector_len) {
            return refuse("bytes per sector", "512, 1024, 2048 or 4096", sector_len);
        }
        let per_cluster = u64::from(sector[13]);
        if !per_cluster.is_power_of_two() {
            return refuse("sectors per cluster", "a power of two", per_cluster);
        }
        let (reserved, n_tables) = (half(14), u64::from(sector[16]));
        if reserved == 0 {
            return refuse("reserved sectors", "at least 1", 0);
        }
        if !(1..=2).contains(&n_tables) {
            return refuse("number of tables", "1 or 2", n_tables);
        }
        if half(22) != 0 {
            return refuse("sectors per table of FAT16", "0", half(22));
        }
        let (table_sectors, n_sectors) = (word(36), word(32));
        let data_sector = reserved + n_tables * table_sectors;
        if extent.len / sector_len < n_sectors || n_sectors <= data_sector {
            return refuse("sectors", "those of the partition", n_sectors);
        }
        let in_table = table_sectors * sector_len / 4;
        let n_clusters = ((n_sectors - data_sector) / per_cluster).min(in_table.saturating_sub(2));
        let last_cluster = u32::try_from(n_clusters + 1).unwrap_or(u32::MAX);
        if !(3..=CLUSTERS_MAX).contains(&last_cluster) {
            return refuse("clusters", "at most 2^21", n_clusters);
        }
        // Both values say that there is none (fatgen103, BPB_FSInfo and BPB_BkBootSec).
        let reserved_sector = |at: usize| {
            let sector = Some(half(at)).filter(|sector| ![0, 0xffff].contains(sector) && *sector < reserved);
            sector.map(|sector| sector * sector_len)
        };
        Ok(Self {
            extent,
            cluster_len: per_cluster * sector_len,
            table_at: reserved * sector_len,
            table_len: table_sectors * sector_len,
            n_tables,
            data_at: data_sector * sector_len,
            info_at: reserved_sector(48),
            backup_at: reserved_sector(50).filter(|at| Some(*at) != reserved_sector(48)),
            last_cluster,
            root: u32::try_from(word(44)).expect("four bytes") & CLUSTER_MASK,
        })
    }

    /// Returns the clusters of the chain that begins with `first`, at most `limit`.
    pub fn chain(
        &self,
        dev: &mut (impl Read + Seek),
        first: u32,
        limit: u32,
    ) -> Result<Vec<u32>, VolumeError> {
        let mut window = Window::new(dev, self.extent);
        let mut chain = Vec::new();
        let mut cluster = first;
        // A window of the table, so that a file that lies in one piece takes few reads.
        let (mut kept_at, mut kept) = (u64::MAX, [0; 512]);
        while cluster < END_OF_CHAIN {
            if !(2..=self.last_cluster).contains(&cluster) {
                return Err(VolumeError::Cluster { first, last: self.last_cluster, found: cluster });
            }
            chain.push(cluster);
            if usize::try_from(limit).expect("usize has 32 bits") < chain.len() {
                return Err(VolumeError::Endless { first, limit });
            }
            let at = self.table_at + u64::from(cluster) * 4;
            if kept_at != at / 512 * 512 {
                kept_at = at / 512 * 512;
                window.seek(SeekFrom::Start(kept_at))?;
                window.read_exact(&mut kept)?;
            }
            let idx = usize::try_from(at - kept_at).expect("below 512");
            cluster = u32::from_le_bytes(kept[idx..idx + 4].try_into().expect("four bytes")) & CLUSTER_MASK;
        }
        Ok(chain)
    }

    /// Returns where on the device the bytes of a file lie; its chain has to have just the clusters it needs.
    pub fn file_extents(
        &self,
        dev: &mut (impl Read + Seek),
        first: u32,
        len: u32,
    ) -> Result<Vec<Extent>, VolumeError> {
        let chain = if first == 0 { Vec::new() } else { self.chain(dev, first, self.last_cluster)? };
        let expected = u64::from(len).div_ceil(self.cluster_len);
        let found = u64::try_from(chain.len()).expect("at most CLUSTERS_MAX");
        if found != expected {
            return Err(VolumeError::Length { first, expected, found });
        }
        let mut extents: Vec<Extent> = Vec::new();
        let mut left = u64::from(len);
        for cluster in chain {
            let (offset, len) = (self.cluster_at(cluster), self.cluster_len.min(left));
            left -= len;
            match extents.last_mut() {
                Some(last) if last.end() == offset => last.len += len,
                _ => extents.push(Extent { offset, len }),
            }
        }
        Ok(extents)
    }

    /// Returns the number of the last cluster.
    pub(super) fn last_cluster(&self) -> u32 {
        self.last_cluster
    }

    /// Returns where on the device the tables begin.
    pub(super) fn tables_at(&self) -> Vec<u64> {
        let first = self.extent.offset + self.table_at;
        (0..self.n_tables).map(|n| first + n * self.table_len).collect()
    }

    /// Returns where on the device the information sector is.
    pub(super) fn info_at(&self) -> Option<u64> {
        self.info_at.map(|at| self.extent.offset + at)
    }

    /// Returns where on the device the backup of the boot sector is.
    pub(super) fn backup_at(&self) -> Option<u64> {
        self.backup_at.map(|at| self.extent.offset + at)
    }

    /// Returns the bytes of a cluster.
    pub(super) fn cluster_len(&self) -> u64 {
        self.cluster_len
    }

    /// Returns where on the device a cluster of the volume begins.
    pub(super) fn cluster_at(&self, cluster: u32) -> u64 {
        self.extent.offset + self.data_at + (u64::from(cluster) - 2) * self.cluster_len
    }
}
