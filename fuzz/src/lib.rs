//! What must hold for any bytes that a parser of ours meets; one function per fuzz target.
//!
//! Each returns normally or panics, as libFuzzer wants it. `seeds` gives every target a start, `kept` what long runs found.

pub mod debian;
pub mod disks;
pub mod fleet;
mod kept;
pub mod locksmith;
mod seeds;
pub mod update;
pub mod user_data;

use std::io::Cursor;

use disk_image::LogicalBlockSize::Lb512;
use disk_image::{Extent, LogicalBlockSize, Table, Uuid, fat};
use slots::{EntryName, SlotLabel, Version, compare_version_text};
use uki::{Pe, cmdline_addon, section_starts, validate_uki};
use verity::{BLOCK_SIZE, RootHash, SUPERBLOCK_SIZE, Superblock, read_leaves, verify};

pub use kept::{keep, kept};
pub use seeds::seeds;

/// A fuzz target: its name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 18] = [
    ("gpt_table", gpt_table),
    ("fat_boot_sector", fat_boot_sector),
    ("verity_device", verity_device),
    ("pe_file", pe_file),
    ("slot_names", slot_names),
    ("deb_package", debian::deb_package),
    ("deb_index", debian::deb_index),
    ("deb_sources", debian::deb_sources),
    ("deb_release", debian::deb_release),
    ("deb_version", debian::deb_version),
    ("payload_envelope", update::payload_envelope),
    ("payload_channel", update::payload_channel),
    ("payload_blocks", update::payload_blocks),
    ("cloud_config", user_data::cloud_config),
    ("fleet_unit", fleet::fleet_unit),
    ("semaphore", locksmith::semaphore),
    ("fat_names", disks::fat_names),
    ("write_log", disks::write_log),
];

/// Size of the disk around a fuzzed table, in bytes.
const DISK_SIZE: usize = 1 << 20;
/// Blocks that a fuzzed superblock may claim.
const LEAVES_MAX: u64 = 1 << 16;
/// Bytes of a GPT header that carry fields.
const HEADER_SIZE: usize = 92;

/// Returns a disk of 1 MiB with a primary table made of `data`: the header and then the entries. Checksums are
/// made right, or nothing behind them is ever reached.
pub fn disk_around(data: &[u8]) -> Cursor<Vec<u8>> {
    let mut disk = vec![0; DISK_SIZE];
    let (header, entries) = data.split_at(data.len().min(HEADER_SIZE));
    let entries = &entries[..entries.len().min(128 * 128)];
    disk[512..512 + header.len()].copy_from_slice(header);
    disk[1024..1024 + entries.len()].copy_from_slice(entries);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let entries_crc = crc.checksum(&disk[1024..1024 + 128 * 128]);
    disk[512 + 88..512 + 92].copy_from_slice(&entries_crc.to_le_bytes());
    disk[512 + 16..512 + 20].fill(0);
    let header_crc = crc.checksum(&disk[512..512 + HEADER_SIZE]);
    disk[512 + 16..512 + 20].copy_from_slice(&header_crc.to_le_bytes());
    Cursor::new(disk)
}

/// A table that reads can be written, and then reads as the same table with both copies valid.
pub fn gpt_table(data: &[u8]) {
    let mut disk = disk_around(data);
    let Ok(mut table) = Table::read(&mut disk, Lb512) else { return };
    let before = table.partitions();
    for partition in &before {
        assert!(partition.extent.end() <= 1 << 20, "{partition:?}");
        table.set_uuid(partition.number, Uuid::from_u128(1)).expect("the partition exists");
        table.set_label(partition.number, "label").expect("the partition exists");
    }
    if table.write(&mut disk).is_err() {
        return;
    }
    let after = Table::read(&mut disk, Lb512).expect("a written table reads");
    assert_eq!(after.source(), disk_image::Source::Primary);
    for (old, new) in before.iter().zip(after.partitions()) {
        assert_eq!((old.number, old.extent, old.attributes), (new.number, new.extent, new.attributes));
        assert_eq!((new.uuid, new.label.as_str()), (Uuid::from_u128(1), "label"));
    }
    // Other block sizes must refuse, or read something, but never panic.
    let _anything = Table::read(&mut disk, LogicalBlockSize::Lb4096);
}

/// A serial that can be set reads back, and at most two places of four bytes change.
pub fn fat_boot_sector(data: &[u8]) {
    let len = u64::try_from(data.len()).expect("a length fits 64 bits");
    let extent = Extent { offset: 0, len };
    let mut device = Cursor::new(data.to_vec());
    if fat::read_serial(&mut device, extent).is_err() {
        return;
    }
    if fat::set_serial(&mut device, extent, 0x0102_0304).is_ok() {
        assert_eq!(fat::read_serial(&mut device, extent).ok(), Some(0x0102_0304));
    }
    let changed = device.get_ref().iter().zip(data).filter(|(new, old)| new != old).count();
    assert!(changed <= 8 && device.get_ref().len() == data.len());
}

/// A superblock that parses is written back as it was; verifying against anything ends without panic; leaves
/// are as many as the superblock says.
pub fn verity_device(data: &[u8]) {
    if let Ok(superblock) = Superblock::parse(data) {
        let written = superblock.to_block();
        assert_eq!(written[..SUPERBLOCK_SIZE], data[..SUPERBLOCK_SIZE]);
        assert_eq!(Superblock::parse(&written).as_ref(), Ok(&superblock));
    }
    if let Ok(leaves) = read_leaves(Cursor::new(data), LEAVES_MAX) {
        let n_digests = u64::try_from(leaves.digests.len()).expect("a length fits 64 bits");
        assert!(n_digests == leaves.superblock.n_data_blocks || leaves.superblock.n_data_blocks == 1);
    }
    let blocks = &data[data.len().min(BLOCK_SIZE)..];
    assert!(verify(blocks, Cursor::new(data), &RootHash([0; 32])).is_err());
}

/// Sections lie inside the file, and their starts are known from its first bytes; an addon made of a file
/// keeps its sections and has one more.
pub fn pe_file(data: &[u8]) {
    if let Ok(uki) = validate_uki(data) {
        assert!(uki.usrhash().is_none_or(|hash| !hash.contains(' ')));
    }
    let len = u64::try_from(data.len()).expect("a length fits 64 bits");
    let starts = section_starts(data, len);
    let Ok(pe) = Pe::parse(data) else {
        assert!(starts.is_err());
        return;
    };
    let starts = starts.expect("both read the same headers");
    assert!(starts.is_sorted() && starts.iter().all(|start| *start < len));
    for section in pe.sections() {
        assert!(pe.content(section).len() <= data.len());
    }
    let Ok(addon) = cmdline_addon(data, "quiet") else { return };
    let made = Pe::parse(&addon).expect("an addon is a PE file");
    let (new, old) = made.sections().split_last().expect("an addon has a section");
    assert_eq!(old, pe.sections());
    assert_eq!((new.name.as_str(), made.content(new)), (".cmdline", &b"quiet"[..]));
}

/// What parses is written as it was read, and the order of versions is that of their texts.
pub fn slot_names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (one, two) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(entry) = EntryName::parse("slipway", one) {
        assert_eq!(entry.to_string(), one);
        assert!(entry.is_blessed() || entry.after_try().tries_done() > 0);
    }
    if let Ok(label) = SlotLabel::parse(one) {
        assert_eq!(label.to_string(), one);
        assert!(one.encode_utf16().count() <= disk_image::LABEL_MAX);
    }
    let by_text = compare_version_text(one, two);
    assert_eq!(by_text.reverse(), compare_version_text(two, one));
    if let (Ok(a), Ok(b)) = (one.parse::<Version>(), two.parse::<Version>()) {
        assert_eq!(a.cmp(&b), by_text);
        assert_eq!(a.to_string(), one);
    }
}
