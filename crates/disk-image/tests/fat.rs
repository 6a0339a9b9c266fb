//! FAT: equal inputs give equal bytes, files go in and come out, serials change in every place.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/disks.rs"]
mod disks;

use std::io::Cursor;

use disk_image::LogicalBlockSize::{Lb512, Lb4096};
use disk_image::fat::{self, FatEntry, FatError, FatSpec};
use disk_image::{Extent, LogicalBlockSize};
use disks::{MIB, Recorder, Step};

/// A FAT that does not start at the disk's start.
const PLACE: Extent = Extent { offset: MIB, len: 40 * MIB };
const UKI: &str = "EFI/Linux/slipway_0.1.0+3-0.efi";

fn spec(label: &str) -> FatSpec {
    FatSpec { label: label.to_owned(), serial: 0xcafe_f00d, mtime_secs: 1_700_000_000, block_size: Lb512 }
}

fn blank(extent: Extent) -> Cursor<Vec<u8>> {
    Cursor::new(vec![0; usize::try_from(extent.end() + MIB).unwrap()])
}

fn made(extent: Extent, spec: &FatSpec, files: &[(&str, &[u8])]) -> Cursor<Vec<u8>> {
    let mut dev = blank(extent);
    fat::format(&mut dev, extent, spec, files.iter().copied()).unwrap();
    dev
}

fn large_file() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn files_read_back_and_equal_inputs_give_equal_bytes() {
    let large = large_file();
    let files = [(UKI, &large[..]), ("loader/loader.conf", b"timeout 0\n"), ("empty", b"")];
    let mut dev = made(PLACE, &spec("ESP"), &files);
    for (path, bytes) in files {
        assert!(fat::read_file(&mut dev, PLACE, path).unwrap() == bytes, "{path}");
    }
    let entry = |name: &str, len, is_dir| FatEntry { name: name.to_owned(), len, is_dir };
    let root = [entry("EFI", 0, true), entry("loader", 0, true), entry("empty", 0, false)];
    assert_eq!(fat::list(&mut dev, PLACE, "").unwrap(), root);
    let linux = [entry("slipway_0.1.0+3-0.efi", 1_200_000, false)];
    assert_eq!(fat::list(&mut dev, PLACE, "EFI/Linux").unwrap(), linux);
    assert!(dev.get_ref() == made(PLACE, &spec("ESP"), &files).get_ref());
}

#[test]
fn nothing_outside_the_partition_is_written() {
    let mut dev = blank(PLACE);
    dev.get_mut().fill(0xff);
    fat::format(&mut dev, PLACE, &spec("ESP"), [("a", &b"b"[..])]).unwrap();
    let (start, end) = (1 << 20, 41 << 20);
    assert!(dev.get_ref()[..start].iter().chain(&dev.get_ref()[end..]).all(|byte| *byte == 0xff));
}

#[test]
fn formatting_writes_little_more_than_the_tables() {
    let extent = Extent { offset: 0, len: 512 * MIB };
    let mut dev = Recorder::new(blank(extent));
    fat::format(&mut dev, extent, &spec("ESP"), [("a", &b"b"[..])]).unwrap();
    let written: usize = dev
        .steps
        .iter()
        .map(|step| match step {
            Step::Write { bytes, .. } => bytes.len(),
            Step::Sync => 0,
        })
        .sum();
    // Two tables of 512 KiB.
    assert!(written < 1_200_000, "{written}");
}

#[test]
fn a_durable_write_is_synced_before_it_has_its_name() {
    let mut dev = Recorder::new(made(PLACE, &spec("ESP"), &[("EFI/Linux/old.efi", b"old")]));
    fat::write_file_durable(&mut dev, PLACE, UKI, b"new", 1_700_000_002).unwrap();
    let syncs: Vec<_> = dev.steps.iter().enumerate().filter(|(_, step)| **step == Step::Sync).collect();
    assert_eq!(syncs.len(), 2);
    let at_first_sync = syncs[0].0;
    let mut replayed = made(PLACE, &spec("ESP"), &[("EFI/Linux/old.efi", b"old")]);
    for step in &dev.steps[..at_first_sync] {
        let Step::Write { offset, bytes } = step else { continue };
        let at = usize::try_from(*offset).unwrap();
        replayed.get_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }
    let names = |dev: &mut _| -> Vec<String> {
        fat::list(dev, PLACE, "EFI/Linux").unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(&mut replayed), ["old.efi", "slipway_0.1.0+3-0.efi.tmp"]);
    assert_eq!(fat::read_file(&mut replayed, PLACE, &format!("{UKI}.tmp")).unwrap(), b"new");
    assert_eq!(names(&mut dev.disk), ["old.efi", "slipway_0.1.0+3-0.efi"]);
    assert_eq!(fat::read_file(&mut dev.disk, PLACE, UKI).unwrap(), b"new");
}

#[test]
fn a_durable_write_replaces_and_a_rename_and_removal_do_what_they_say() {
    let mut dev = made(PLACE, &spec("ESP"), &[("a/b", &large_file())]);
    fat::write_file_durable(&mut dev, PLACE, "a/b", b"short", 0).unwrap();
    assert_eq!(fat::read_file(&mut dev, PLACE, "a/b").unwrap(), b"short");
    fat::rename(&mut dev, PLACE, "a/b", "a/c+1-2.efi").unwrap();
    assert_eq!(fat::read_file(&mut dev, PLACE, "a/c+1-2.efi").unwrap(), b"short");
    fat::remove(&mut dev, PLACE, "a/c+1-2.efi").unwrap();
    assert_eq!(fat::list(&mut dev, PLACE, "a").unwrap(), []);
    let found = fat::read_file(&mut dev, PLACE, "a/b").unwrap_err();
    assert!(matches!(found, FatError::File { doing: "reading", .. }), "{found}");
}

#[track_caller]
fn check_serial(len: u64, block_size: LogicalBlockSize, places: &[usize]) {
    let extent = Extent { offset: MIB, len };
    let files: [(&str, &[u8]); 1] = [("a", b"b")];
    let mut dev = made(extent, &FatSpec { block_size, ..spec("ESP") }, &files);
    assert_eq!(fat::read_serial(&mut dev, extent).unwrap(), 0xcafe_f00d);
    let before = dev.get_ref().clone();
    fat::set_serial(&mut dev, extent, 0x0102_0304).unwrap();
    assert_eq!(fat::read_serial(&mut dev, extent).unwrap(), 0x0102_0304);
    let mut expected = before;
    for at in places {
        let at = (1 << 20) + at;
        assert_eq!(expected[at..at + 4], 0xcafe_f00d_u32.to_le_bytes());
        expected[at..at + 4].copy_from_slice(&0x0102_0304_u32.to_le_bytes());
    }
    assert!(*dev.get_ref() == expected);
}

#[test]
fn a_new_serial_changes_both_boot_sectors_and_nothing_else() {
    check_serial(512 * MIB, Lb512, &[67, 6 * 512 + 67]);
    check_serial(64 * MIB, Lb512, &[39]);
    check_serial(512 * MIB, Lb4096, &[67, 6 * 4096 + 67]);
    check_serial(64 * MIB, Lb4096, &[39]);
}

#[test]
fn refuses_what_is_no_fat_with_a_serial() {
    let whole = made(PLACE, &spec("ESP"), &[]);
    let start = 1 << 20;
    for (at, value, expected) in
        [(510, 0, "signature"), (12, 9, "bytes per sector"), (38, 0, "extended boot signature")]
    {
        let mut dev = whole.clone();
        dev.get_mut()[start + at] = value;
        let found = fat::set_serial(&mut dev, PLACE, 1).unwrap_err();
        assert!(matches!(found, FatError::BootSector { field, .. } if field == expected), "{found}");
    }
    let large = Extent { offset: 0, len: 512 * MIB };
    let mut dev = made(large, &spec("ESP"), &[]);
    dev.get_mut()[50] = 0xf0;
    let found = fat::set_serial(&mut dev, large, 1).unwrap_err();
    assert!(matches!(found, FatError::BootSector { field: "backup boot sector", .. }), "{found}");
}

#[test]
fn refuses_labels_that_other_systems_would_not_show() {
    for label in ["", "esp", "TWELVE CHARS", "A/B", "Ä"] {
        let found = fat::format(&mut blank(PLACE), PLACE, &spec(label), []);
        assert!(matches!(found, Err(FatError::Label { .. })), "{label}");
    }
}
