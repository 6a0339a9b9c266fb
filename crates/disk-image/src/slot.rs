//! The two slots of a disk, and the order in which one is filled.
//!
//! Step by step, each durable before the next: label `_empty` and no valid UUID; the bytes; UUIDs and labels.
//! A cut in between leaves a slot that no `usrhash=` finds.

use std::io::{self, Read, Write};

use crate::Uuid;
use crate::device::{Device, Extent, Window};
use crate::plan::PartitionType;
use crate::table::{Table, TableError};

/// Label of the partitions of an empty slot.
pub const EMPTY_LABEL: &str = "_empty";

/// Bytes copied at once.
const COPY_SIZE: u64 = 1 << 20;

/// The partition numbers of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotPartitions {
    /// Number of the `/usr` partition.
    pub usr: u32,
    /// Number of the verity partition.
    pub verity: u32,
}

/// What makes a filled slot findable; crate `slots` derives it from version and root hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotIdentity {
    /// Label of the `/usr` partition.
    pub usr_label: String,
    /// Label of the verity partition.
    pub verity_label: String,
    /// UUID of the `/usr` partition: the first half of the root hash.
    pub usr_uuid: Uuid,
    /// UUID of the verity partition: the second half of the root hash.
    pub verity_uuid: Uuid,
}

/// The bytes for a slot.
#[derive(Debug)]
pub struct SlotContent<U, V> {
    /// The `/usr` image.
    pub usr: U,
    /// Its length in bytes.
    pub usr_len: u64,
    /// Superblock and hash tree.
    pub verity: V,
    /// Their length in bytes.
    pub verity_len: u64,
}

/// Why a slot could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The disk has not exactly two slots.
    #[error("expected two usr and two usr-verity partitions on the disk, found {usr} and {verity}")]
    NotTwoSlots {
        /// Number of usr partitions.
        usr: usize,
        /// Number of usr-verity partitions.
        verity: usize,
    },
    /// An image is larger than its partition.
    #[error("partition {number} has {expected} bytes, its image needs {found}")]
    TooLarge {
        /// Number of the partition.
        number: u32,
        /// Size of the partition in bytes.
        expected: u64,
        /// Size of the image in bytes.
        found: u64,
    },
    /// Another partition has that UUID already: both slots would hold one root hash.
    #[error("partition {number} has the UUID {uuid} already; a root hash can be in one slot only")]
    UuidTaken {
        /// Number of the other partition.
        number: u32,
        /// The UUID.
        uuid: Uuid,
    },
    /// The partition table cannot be read or written.
    #[error("partition table")]
    Table(#[from] TableError),
    /// Copying an image failed, or it ended early.
    #[error("writing partition {number}")]
    Copy {
        /// Number of the partition.
        number: u32,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// What was written does not verify.
    #[error("checking what was written to partitions {usr} and {verity}")]
    Check {
        /// Number of the usr partition.
        usr: u32,
        /// Number of the verity partition.
        verity: u32,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Returns slots A and B: the n-th usr partition goes with the n-th usr-verity partition of the table.
pub fn slots(table: &Table) -> Result<[SlotPartitions; 2], SlotError> {
    let numbers = |kind: PartitionType| -> Vec<u32> {
        let partitions = table.partitions().into_iter();
        partitions.filter(|p| p.type_guid == kind.guid()).map(|p| p.number).collect()
    };
    let (usr, verity) = (numbers(PartitionType::UsrX86_64), numbers(PartitionType::UsrVerityX86_64));
    match (&usr[..], &verity[..]) {
        (&[usr_a, usr_b], &[verity_a, verity_b]) => Ok([
            SlotPartitions { usr: usr_a, verity: verity_a },
            SlotPartitions { usr: usr_b, verity: verity_b },
        ]),
        _ => Err(SlotError::NotTwoSlots { usr: usr.len(), verity: verity.len() }),
    }
}

/// Returns the UUID that a partition of an empty slot has: all zero but for the partition's number.
///
/// Not the nil UUID: two equal ones on a disk confuse `/dev/disk/by-partuuid`, and systemd-repart takes it for
/// one that was never set, and sets a random one if it ever has a definition for such a partition.
pub fn cleared_uuid(number: u32) -> Uuid {
    Uuid::from_u128(number.into())
}

/// Labels the slot `_empty` and clears its UUIDs, on disk. From then on nothing finds its old content.
pub fn empty_slot(dev: &mut impl Device, table: &mut Table, slot: SlotPartitions) -> Result<(), TableError> {
    for number in [slot.usr, slot.verity] {
        table.set_label(number, EMPTY_LABEL)?;
        table.set_uuid(number, cleared_uuid(number))?;
    }
    table.write(dev)
}

/// Gives the slot its labels and UUIDs, on disk. From then on `usrhash=` finds it.
pub fn commit_slot(
    dev: &mut impl Device,
    table: &mut Table,
    slot: SlotPartitions,
    identity: &SlotIdentity,
) -> Result<(), TableError> {
    table.set_label(slot.usr, &identity.usr_label)?;
    table.set_uuid(slot.usr, identity.usr_uuid)?;
    table.set_label(slot.verity, &identity.verity_label)?;
    table.set_uuid(slot.verity, identity.verity_uuid)?;
    table.write(dev)
}

/// Fills a slot: empties it, writes both images, syncs, lets `check` read them back (it gets the device and the
/// places of usr and verity image), and commits.
///
/// Refuses before the first write if an image does not fit or another slot holds the same root hash. On an
/// error later the slot stays empty.
pub fn fill_slot<D: Device>(
    dev: &mut D,
    table: &mut Table,
    slot: SlotPartitions,
    identity: &SlotIdentity,
    content: SlotContent<impl Read, impl Read>,
    check: impl FnOnce(&mut D, Extent, Extent) -> io::Result<()>,
) -> Result<(), SlotError> {
    let usr = place(table, slot.usr, content.usr_len)?;
    let verity = place(table, slot.verity, content.verity_len)?;
    for other in table.partitions().into_iter().filter(|p| ![slot.usr, slot.verity].contains(&p.number)) {
        if [identity.usr_uuid, identity.verity_uuid].contains(&other.uuid) {
            return Err(SlotError::UuidTaken { number: other.number, uuid: other.uuid });
        }
    }
    empty_slot(dev, table, slot)?;
    copy(content.usr, dev, usr).map_err(|source| SlotError::Copy { number: slot.usr, source })?;
    copy(content.verity, dev, verity).map_err(|source| SlotError::Copy { number: slot.verity, source })?;
    dev.sync().map_err(|source| SlotError::Copy { number: slot.usr, source })?;
    check(dev, usr, verity).map_err(|source| SlotError::Check {
        usr: slot.usr,
        verity: slot.verity,
        source,
    })?;
    commit_slot(dev, table, slot, identity)?;
    Ok(())
}

/// Returns where an image of `len` bytes goes.
fn place(table: &Table, number: u32, len: u64) -> Result<Extent, SlotError> {
    let extent = table.partition(number)?.extent;
    if extent.len < len {
        return Err(SlotError::TooLarge { number, expected: extent.len, found: len });
    }
    Ok(Extent { len, ..extent })
}

/// Copies exactly `extent.len` bytes.
fn copy(mut from: impl Read, dev: &mut impl Device, extent: Extent) -> io::Result<()> {
    let mut to = Window::new(dev, extent);
    let mut buffer = vec![];
    let mut left = extent.len;
    while 0 < left {
        let n = left.min(COPY_SIZE);
        buffer.resize(usize::try_from(n).map_err(io::Error::other)?, 0);
        from.read_exact(&mut buffer)?;
        to.write_all(&buffer)?;
        left -= n;
    }
    Ok(())
}
