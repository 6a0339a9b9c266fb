//! The partitions that a new disk gets.

use crate::device::{Device, Extent};
use crate::table::{Table, TableError};
use crate::{LogicalBlockSize, Uuid};

/// Every partition starts at a multiple of this many bytes.
pub const ALIGNMENT: u64 = 1 << 20;

/// What a partition is for; the type GUIDs are those of the Discoverable Partitions Specification
/// (<https://uapi-group.org/specifications/specs/discoverable_partitions_specification/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// EFI system partition.
    Esp,
    /// `/usr` for x86-64.
    UsrX86_64,
    /// Hash tree of a `/usr` for x86-64.
    UsrVerityX86_64,
    /// Microsoft basic data: what every desktop mounts.
    BasicData,
    /// Root file system for x86-64.
    RootX86_64,
}

impl PartitionType {
    /// Returns the type GUID.
    pub fn guid(self) -> Uuid {
        Uuid::from_u128(match self {
            Self::Esp => 0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b,
            Self::UsrX86_64 => 0x8484680c_9521_48c6_9c11_b0720656f69e,
            Self::UsrVerityX86_64 => 0x77ff5f63_e7b6_4633_acf4_1565b864c0e6,
            Self::BasicData => 0xebd0a0a2_b9e5_4433_87c0_68b6b72699c7,
            Self::RootX86_64 => 0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
        })
    }
}

/// One partition of a new disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPlan {
    /// Name in the table, at most 36 UTF-16 units.
    pub label: String,
    /// What it is for.
    pub kind: PartitionType,
    /// The partition's own UUID.
    pub uuid: Uuid,
    /// Size in bytes, a multiple of the logical block size.
    pub size_bytes: u64,
}

/// A new disk. Partitions are numbered from 1 in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// GUID of the disk.
    pub disk_guid: Uuid,
    /// Size of the whole disk in bytes.
    pub size_bytes: u64,
    /// Logical block size of the disk that the table is for.
    pub block_size: LogicalBlockSize,
    /// The partitions in order.
    pub partitions: Vec<PartitionPlan>,
}

/// Why a plan cannot become a disk.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A size is zero or no multiple of the logical block size.
    #[error("partition `{label}`: size of {found} bytes is not a positive multiple of {block_size}")]
    Size {
        /// Label of the partition.
        label: String,
        /// Size in bytes.
        found: u64,
        /// Logical block size in bytes.
        block_size: u64,
    },
    /// The partitions do not fit.
    #[error("the partitions need a disk of {expected} bytes, the plan has {found}; enlarge the disk")]
    DiskTooSmall {
        /// Bytes needed, both copies of the table included.
        expected: u64,
        /// Bytes planned.
        found: u64,
    },
    /// The device has another size than the plan.
    #[error("the plan is for a disk of {expected} bytes, the device has {found}")]
    DeviceSize {
        /// Bytes planned.
        expected: u64,
        /// Bytes of the device.
        found: u64,
    },
    /// The table refuses a partition, or cannot be written.
    #[error("partition table")]
    Table(#[from] TableError),
}

impl DiskPlan {
    /// Returns where each partition lies: one after the other, each start aligned to [`ALIGNMENT`].
    pub fn extents(&self) -> Result<Vec<Extent>, PlanError> {
        let block_size = self.block_size.as_u64();
        let mut offset = ALIGNMENT;
        let mut extents = Vec::with_capacity(self.partitions.len());
        for partition in &self.partitions {
            let (label, len) = (&partition.label, partition.size_bytes);
            let bad_size = || PlanError::Size { label: label.clone(), found: len, block_size };
            if len == 0 || len % block_size != 0 {
                return Err(bad_size());
            }
            extents.push(Extent { offset, len });
            let end = offset.checked_add(len).and_then(|end| end.checked_next_multiple_of(ALIGNMENT));
            offset = end.ok_or_else(bad_size)?;
        }
        Ok(extents)
    }

    /// Returns the size in bytes of the smallest disk that holds the partitions: one alignment unit in front
    /// for the primary table and one behind for the backup.
    pub fn min_size_bytes(&self) -> Result<u64, PlanError> {
        let end = self.extents()?.last().map_or(ALIGNMENT, Extent::end);
        let end = end.checked_next_multiple_of(ALIGNMENT).and_then(|end| end.checked_add(ALIGNMENT));
        end.ok_or(PlanError::DiskTooSmall { expected: u64::MAX, found: self.size_bytes })
    }
}

/// Writes a new partition table, crash-safe, and returns the place of each partition.
///
/// `dev` must have the planned size already. Writes nothing outside the two copies of the table and the
/// protective MBR, so a sparse file stays sparse.
pub fn write_table(dev: &mut impl Device, plan: &DiskPlan) -> Result<Vec<Extent>, PlanError> {
    let (extents, expected) = (plan.extents()?, plan.min_size_bytes()?);
    if plan.size_bytes < expected {
        return Err(PlanError::DiskTooSmall { expected, found: plan.size_bytes });
    }
    let found = dev.seek(std::io::SeekFrom::End(0)).map_err(TableError::Device)?;
    if found != plan.size_bytes {
        return Err(PlanError::DeviceSize { expected: plan.size_bytes, found });
    }
    Table::create(plan, &extents)?.write(dev)?;
    Ok(extents)
}
