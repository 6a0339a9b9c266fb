//! Versions, slots and boot entries: the names by which a machine's two systems are found, and what follows
//! from them. Pure values: nothing here reads or writes a disk.

mod boot;
mod entry;
mod label;
mod uapi;
mod verdict;
mod version;

pub use boot::{boot_choice, boot_once, boot_order};
pub use entry::{Counter, EntryName, ParseEntryError, TRIES_MAX, check_product};
pub use label::{PartUuid, Slot, SlotLabel, part_uuids};
pub use uapi::compare as compare_version_text;
pub use verdict::{FailReason, Stage, TryRecord, Verdict, verdict};
pub use version::{ParseVersionError, VERSION_MAX, Version};
