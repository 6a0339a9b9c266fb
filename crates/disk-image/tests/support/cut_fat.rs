//! A FAT32 with boot entries, and by hand the faults that a cut leaves in it.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{Read, Seek, SeekFrom, Write};

use disk_image::fat::{self, FatSpec, Name, Volume};
use disk_image::{Device, Extent, LogicalBlockSize};

pub const LINUX: &str = "EFI/Linux";
pub const OLD: &str = "slipway_0.1.0.efi";
pub const COUNTED: &str = "slipway_0.1.1+2-1.efi";
pub const BLESSED: &str = "slipway_0.1.1.efi";
pub const RECORD: &str = "slipway/tries/0.1.1";
/// The volume lies behind something else.
pub const ESP: Extent = Extent { offset: 1 << 20, len: 512 << 20 };

/// Makes the volume: two entries, one of them counted, and the record of a try.
pub fn fill(dev: &mut impl Device) {
    let spec = FatSpec {
        label: "ESP".to_owned(),
        serial: 1,
        mtime_secs: 1_700_000_000,
        block_size: LogicalBlockSize::Lb512,
    };
    let (old, new, record) = (path(OLD), path(COUNTED), format!("{RECORD}/1"));
    let files: [(&str, &[u8]); 3] =
        [(&old, &[1; 20_000]), (&new, &[2; 30_000]), (&record, b"stage=initrd\n")];
    fat::format(dev, ESP, &spec, files).unwrap();
}

pub fn path(name: &str) -> String {
    format!("{LINUX}/{name}")
}

pub fn names(dev: &mut (impl Read + Seek), folder: &str) -> Vec<Name> {
    let volume = Volume::read(dev, ESP).unwrap();
    fat::read_folder(dev, &volume, folder).unwrap()
}

pub fn name(dev: &mut (impl Read + Seek), folder: &str, shown: &str) -> Name {
    let found = names(dev, folder).into_iter().find(|name| name.shown() == shown);
    found.unwrap_or_else(|| panic!("no {shown} in {folder}"))
}

pub fn shown(dev: &mut (impl Read + Seek), folder: &str) -> Vec<String> {
    names(dev, folder).iter().map(|name| name.shown().to_owned()).collect()
}

/// Adds an entry without a byte.
pub fn add_empty(dev: &mut impl Device, name: &str) {
    fat::write_file_durable(dev, ESP, &path(name), b"", 1_700_000_000).unwrap();
}

/// Adds an entry with the clusters of another, as between the two halves of a rename.
pub fn add_shared(dev: &mut impl Device, of: &str, shown: &str) {
    add_empty(dev, shown);
    let (from, to) = (name(dev, LINUX, of), name(dev, LINUX, shown));
    let mut slot = [0; 32];
    let [from, to] = [from, to].map(|name| *name.slots.last().unwrap());
    read_at(dev, from, &mut slot);
    write_at(dev, to + 20, &slot[20..22]);
    write_at(dev, to + 26, &slot[26..32]);
}

/// Makes the table say that a cluster is free, as if only the folder had been written.
pub fn free_cluster(dev: &mut impl Device, cluster: u32) {
    for table in 0..2 {
        let at = table_at(dev, table, cluster);
        write_at(dev, at, &[0; 4]);
    }
}

/// Returns where on the device the entry of a cluster is in a table.
pub fn table_at(dev: &mut (impl Read + Seek), table: u64, cluster: u32) -> u64 {
    let mut sector = [0; 512];
    read_at(dev, ESP.offset, &mut sector);
    let half = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
    ESP.offset + (half(14) + table * half(36)) * 512 + u64::from(cluster) * 4
}

pub fn read_at(dev: &mut (impl Read + Seek), at: u64, bytes: &mut [u8]) {
    dev.seek(SeekFrom::Start(at)).unwrap();
    dev.read_exact(bytes).unwrap();
}

pub fn write_at(dev: &mut (impl Write + Seek), at: u64, bytes: &[u8]) {
    dev.seek(SeekFrom::Start(at)).unwrap();
    dev.write_all(bytes).unwrap();
}
