//! Gives a copied disk an identity of its own.

use std::io;

use crate::device::{Device, Extent};
use crate::fat::{self, FatError};
use crate::plan::PartitionType;
use crate::table::{Table, TableError};
use crate::{LogicalBlockSize, Uuid};

/// Label of the partition with the first-boot input.
const OEM_LABEL: &str = "oem";

/// Why a disk did not get a new identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The partition table cannot be read or written.
    #[error("partition table")]
    Table(#[from] TableError),
    /// A FAT serial cannot be set.
    #[error("setting the FAT serial of partition `{label}`")]
    Serial {
        /// Label of the partition.
        label: String,
        /// The cause.
        #[source]
        source: FatError,
    },
    /// The source of random bytes failed.
    #[error("reading random bytes")]
    Random(#[source] io::Error),
    /// A FAT serial could not be made durable.
    #[error("syncing the FAT serials")]
    Sync(#[source] io::Error),
}

/// Gives the disk new, random identifiers and returns its new GUID: FAT serials of `esp` and `oem`, then, in one
/// write of the table, the UUIDs of `esp`, `oem` and `root` (where present) and the disk GUID.
///
/// A changed disk GUID therefore says that everything was changed; cut short, the call can be repeated. The
/// slots' UUIDs stay: they are their root hashes. `fill_random` fills the whole buffer with random bytes.
pub fn randomize_identity(
    dev: &mut impl Device,
    block_size: LogicalBlockSize,
    mut fill_random: impl FnMut(&mut [u8]) -> io::Result<()>,
) -> Result<Uuid, IdentityError> {
    let mut table = Table::read(dev, block_size)?;
    let mut fats: Vec<(String, Extent)> = vec![];
    for partition in table.partitions() {
        let is = |kind: PartitionType| partition.type_guid == kind.guid();
        let is_fat = is(PartitionType::Esp) || is(PartitionType::BasicData) && partition.label == OEM_LABEL;
        if is_fat || is(PartitionType::RootX86_64) {
            table.set_uuid(partition.number, random_uuid(&mut fill_random)?)?;
        }
        if is_fat {
            fats.push((partition.label, partition.extent));
        }
    }
    table.set_disk_guid(random_uuid(&mut fill_random)?);
    for (label, extent) in fats {
        let mut serial = [0; 4];
        fill_random(&mut serial).map_err(IdentityError::Random)?;
        let set = fat::set_serial(dev, extent, u32::from_le_bytes(serial));
        set.map_err(|source| IdentityError::Serial { label, source })?;
    }
    dev.sync().map_err(IdentityError::Sync)?;
    table.write(dev)?;
    Ok(table.disk_guid())
}

fn random_uuid(fill_random: &mut impl FnMut(&mut [u8]) -> io::Result<()>) -> Result<Uuid, IdentityError> {
    let mut bytes = [0; 16];
    fill_random(&mut bytes).map_err(IdentityError::Random)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}
