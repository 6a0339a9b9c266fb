//! The disk of a machine: partition table (GPT), FAT file systems, the two slots, and what identifies a disk.
//!
//! Everything takes `Read`, `Write` and `Seek`, never a path. Times, serials and UUIDs are arguments, so the
//! same inputs give the same bytes. See `docs/formats/disk.md`.

pub mod fat;

mod device;
mod identity;
mod plan;
mod slot;
mod table;

pub use device::{Device, Extent, Unsynced, Window};
pub use gpt::disk::LogicalBlockSize;
pub use identity::{IdentityError, randomize_identity};
pub use plan::{ALIGNMENT, DiskPlan, PartitionPlan, PartitionType, PlanError, write_table};
pub use slot::{
    EMPTY_LABEL, SlotContent, SlotError, SlotIdentity, SlotPartitions, cleared_uuid, commit_slot, empty_slot,
    fill_slot, slots,
};
pub use table::{CopyError, LABEL_MAX, Partition, Source, Table, TableError};
pub use uuid::Uuid;
