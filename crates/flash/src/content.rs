//! What is on a device: its partition table, and what file systems call themselves. Reads only, believes nothing.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use disk_image::{Extent, LogicalBlockSize, Table, Window};

/// Bytes of a partition that are looked at: where btrfs has its name is the farthest.
const LOOK: u64 = 0x10200;

/// What is on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Name of the partition table.
    pub table: Option<&'static str>,
    /// Its partitions.
    pub parts: Vec<Part>,
    /// What is on all of it, without a table.
    pub whole: Option<FileSystem>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: u32,
    /// Its label in the table, if the table has labels.
    pub label: String,
    /// Its length in bytes.
    pub len: u64,
    /// What is on it.
    pub holds: Option<FileSystem>,
}

/// What calls itself something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// What it is, as blkid(8) calls it.
    pub kind: &'static str,
    /// Its own label.
    pub label: String,
}

/// Looks at a device with logical blocks of `block_size`.
pub fn look(dev: &mut (impl Read + Seek), block_size: LogicalBlockSize) -> io::Result<Content> {
    let len = dev.seek(SeekFrom::End(0))?;
    if let Ok(table) = Table::read(dev, block_size) {
        let mut parts = vec![];
        for partition in table.partitions() {
            let holds = file_system(dev, partition.extent)?;
            let label = shown(&partition.label);
            parts.push(Part { number: partition.number, label, len: partition.extent.len, holds });
        }
        return Ok(Content { table: Some("GPT"), parts, whole: None });
    }
    let whole = Extent { offset: 0, len };
    // A file system may have an MBR's mark at the end of its first sector.
    if let Some(found) = file_system(dev, whole)? {
        return Ok(Content { table: None, parts: vec![], whole: Some(found) });
    }
    let mut parts = vec![];
    for (number, extent) in mbr(&start_of(dev, whole)?, len, block_size.as_u64()) {
        let holds = file_system(dev, extent)?;
        parts.push(Part { number, label: String::new(), len: extent.len, holds });
    }
    let table = (!parts.is_empty()).then_some("MBR");
    Ok(Content { table, parts, whole: None })
}

fn start_of(dev: &mut (impl Read + Seek), extent: Extent) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    Window::new(dev, extent).take(LOOK).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The four entries of an MBR: type at 4, first block at 8, number of blocks at 12.
fn mbr(start: &[u8], len: u64, block_size: u64) -> Vec<(u32, Extent)> {
    if start.get(510..512) != Some(&[0x55, 0xaa]) {
        return vec![];
    }
    let word = |raw: &[u8], at: usize| {
        u64::from(u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]])) * block_size
    };
    let entries = (1..).zip(start[446..510].chunks_exact(16)).filter(|(_, raw)| raw[4] != 0);
    let extents = entries.map(|(number, raw)| (number, Extent { offset: word(raw, 8), len: word(raw, 12) }));
    extents.filter(|(_, extent)| 0 < extent.len && 0 < extent.offset && extent.end() <= len).collect()
}

/// What is known of a file system: its name, its mark and where that is, where its label is and how long.
struct Mark {
    kind: &'static str,
    at: usize,
    bytes: &'static [u8],
    label: (usize, usize),
}

const fn mark(kind: &'static str, at: usize, bytes: &'static [u8], label: (usize, usize)) -> Mark {
    Mark { kind, at, bytes, label }
}

/// Without a label.
const NONE: (usize, usize) = (0, 0);

/// In the order in which they are looked for: what wraps others comes first.
const MARKS: [Mark; 17] = [
    mark("crypto_LUKS", 0, b"LUKS\xba\xbe", (24, 0)),
    mark("BitLocker", 3, b"-FVE-FS-", NONE),
    mark("LVM2_member", 512, b"LABELONE", NONE),
    mark("linux_raid_member", 4096, &[0xfc, 0x4e, 0x2b, 0xa9], (4096 + 32, 32)),
    mark("linux_raid_member", 0, &[0xfc, 0x4e, 0x2b, 0xa9], (32, 32)),
    mark("ntfs", 3, b"NTFS    ", NONE),
    mark("exfat", 3, b"EXFAT   ", NONE),
    mark("vfat", 82, b"FAT32   ", (71, 11)),
    mark("vfat", 54, b"FAT16   ", (43, 11)),
    mark("vfat", 54, b"FAT12   ", (43, 11)),
    mark("xfs", 0, b"XFSB", (108, 12)),
    mark("btrfs", 0x10040, b"_BHRfS_M", (0x1012b, 0xd5)),
    mark("ext4", 0x438, &[0x53, 0xef], (0x478, 16)),
    mark("erofs", 1024, &[0xe2, 0xe1, 0xf5, 0xe0], (1024 + 64, 16)),
    mark("squashfs", 0, b"hsqs", NONE),
    mark("iso9660", 0x8001, b"CD001", (0x8028, 32)),
    mark("swap", 4086, b"SWAPSPACE2", (1052, 16)),
];

fn file_system(dev: &mut (impl Read + Seek), extent: Extent) -> io::Result<Option<FileSystem>> {
    let start = start_of(dev, extent)?;
    let has = |mark: &&Mark| start.get(mark.at..mark.at + mark.bytes.len()) == Some(mark.bytes);
    Ok(MARKS.iter().find(has).map(|mark| {
        let (at, len) = mark.label;
        let bytes = start.get(at..at + len).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let label = shown(String::from_utf8_lossy(&bytes[..end]).trim());
        // What FAT has in the place of no name.
        let label = if label == "NO NAME" { String::new() } else { label };
        FileSystem { kind: mark.kind, label }
    }))
}

/// A text of a device, without what a terminal would take for an order.
pub fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '?' } else { char }).collect()
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(whole) = &self.whole {
            return write!(f, "{whole}, without a partition table");
        }
        let Some(table) = self.table else { return write!(f, "nothing that is known") };
        if self.parts.is_empty() {
            return write!(f, "{table} without a partition");
        }
        write!(f, "{table}: ")?;
        for (idx, part) in self.parts.iter().enumerate() {
            let comma = if idx == 0 { "" } else { ", " };
            let label = if part.label.is_empty() { part.number.to_string() } else { part.label.clone() };
            write!(f, "{comma}{label} ({} MiB", part.len >> 20)?;
            if let Some(holds) = &part.holds {
                write!(f, ", {holds}")?;
            }
            write!(f, ")")?;
        }
        Ok(())
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, label } = self;
        if label.is_empty() { write!(f, "{kind}") } else { write!(f, "{kind} `{label}`") }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use disk_image::LogicalBlockSize::Lb512;
    use disk_image::fat::{self, FatSpec};
    use disk_image::{DiskPlan, PartitionPlan, PartitionType, Uuid, write_table};
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: Vec<u8>, expected: &str) {
        assert_eq!(look(&mut Cursor::new(bytes), Lb512).unwrap().to_string(), expected);
    }

    fn with(marks: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 2 << 20];
        for (at, mark) in marks {
            bytes[*at..at + mark.len()].copy_from_slice(mark);
        }
        bytes
    }

    #[test]
    fn an_empty_device_and_file_systems_without_a_table_are_told() {
        check(vec![], "nothing that is known");
        check(with(&[]), "nothing that is known");
        check(with(&[(0, b"LUKS\xba\xbe"), (0x438, b"\x53\xef")]), "crypto_LUKS, without a partition table");
        let iso: [(usize, &[u8]); 3] =
            [(0x8001, b"CD001"), (0x8028, b"DEBIAN 13       "), (510, b"\x55\xaa")];
        check(with(&iso), "iso9660 `DEBIAN 13`, without a partition table");
        let ext4: [(usize, &[u8]); 2] = [(0x438, b"\x53\xef"), (0x478, b"a\x1b[31mb")];
        check(with(&ext4), "ext4 `a?[31mb`, without a partition table");
        for mark in &MARKS {
            let found = look(&mut Cursor::new(with(&[(mark.at, mark.bytes)])), Lb512).unwrap();
            assert_eq!(found.whole.map(|whole| whole.kind), Some(mark.kind));
        }
    }

    #[test]
    fn partitions_of_both_tables_are_told_with_what_is_on_them() {
        let mut mbr = [0; 66];
        mbr[4] = 0x83;
        mbr[8..16].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
        // The second one lies behind the end.
        mbr[20] = 0x83;
        mbr[24..32].copy_from_slice(&[0, 8, 0, 0, 0, 0, 1, 0]);
        mbr[64..].copy_from_slice(&[0x55, 0xaa]);
        check(with(&[(446, &mbr), ((1 << 20) + 0x438, b"\x53\xef")]), "MBR: 1 (1 MiB, ext4)");

        let partition = |label: &str, mib: u64| PartitionPlan {
            label: label.to_owned(),
            kind: PartitionType::BasicData,
            uuid: Uuid::from_u128(1),
            size_bytes: mib << 20,
        };
        let plan = DiskPlan {
            disk_guid: Uuid::from_u128(7),
            size_bytes: 32 << 20,
            block_size: Lb512,
            partitions: vec![partition("oem", 20), partition("a\nb", 1)],
        };
        let mut dev = Cursor::new(vec![0; 32 << 20]);
        let extents = write_table(&mut dev, &plan).unwrap();
        let spec = FatSpec { label: "OEM".to_owned(), serial: 1, mtime_secs: 0, block_size: Lb512 };
        fat::format(&mut dev, extents[0], &spec, Vec::<(&str, &[u8])>::new()).unwrap();
        check(dev.into_inner(), "GPT: oem (20 MiB, vfat `OEM`), a?b (1 MiB)");
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(start in prop::collection::vec(any::<u8>(), 0..2048), mark: bool) {
            let mut bytes = start;
            if mark && 512 <= bytes.len() {
                bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            }
            look(&mut Cursor::new(bytes), Lb512).unwrap().to_string();
        }
    }
}
