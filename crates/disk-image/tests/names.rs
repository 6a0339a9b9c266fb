//! Names as firmware sees them, and what is taken out of a FAT that a cut left half made.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/cut_fat.rs"]
mod cut_fat;
#[path = "support/sparse.rs"]
mod sparse;

use cut_fat::{
    BLESSED, COUNTED, ESP, LINUX, OLD, RECORD, add_empty, add_shared, free_cluster, name, path, shown,
    write_at,
};
use disk_image::fat::{self, Fault, Volume, VolumeError, repair_names};
use sparse::Sparse;
use std::io::Read as _;

/// A device with the volume.
fn device() -> Sparse {
    let mut dev = Sparse::new(ESP.end());
    cut_fat::fill(&mut dev);
    dev
}

/// Names that were taken, with why.
#[track_caller]
fn check_repair(dev: &mut Sparse, expected: &[(&str, Fault)]) {
    let taken = repair_names(dev, ESP).unwrap();
    let taken: Vec<_> = taken.iter().map(|taken| (taken.path.as_str(), taken.fault)).collect();
    assert_eq!(taken, expected);
    dev.steps.clear();
    assert_eq!(repair_names(dev, ESP).unwrap(), []);
    assert_eq!(dev.steps, [], "a second repair did something");
}

#[test]
fn names_are_those_that_were_written() {
    let mut dev = device();
    assert_eq!(shown(&mut dev, LINUX), [OLD, COUNTED]);
    assert_eq!(shown(&mut dev, ""), ["EFI", "slipway"]);
    let counted = name(&mut dev, "efi/linux", COUNTED);
    assert_eq!((counted.short.as_str(), counted.len, counted.is_folder), ("SLIPWA~2.EFI", 30_000, false));
    assert_eq!(counted.slots.len(), 3);
    assert!(matches!(
        fat::read_folder(&mut dev, &Volume::read(&mut device(), ESP).unwrap(), "EFI/none"),
        Err(VolumeError::NoFolder(_))
    ));
}

#[test]
fn the_clusters_of_a_file_have_its_bytes() {
    let mut dev = device();
    let volume = Volume::read(&mut dev, ESP).unwrap();
    let counted = name(&mut dev, LINUX, COUNTED);
    let mut bytes = vec![];
    for extent in volume.file_extents(&mut dev, counted.first_cluster, counted.len).unwrap() {
        disk_image::Window::new(&mut dev, extent).read_to_end(&mut bytes).unwrap();
    }
    assert_eq!(bytes, [2; 30_000]);
}

#[test]
fn a_short_name_whose_long_one_is_torn_shows() {
    for (slot, value) in [(0, 0xe5), (1, 0x05), (2, b'X')] {
        let mut dev = device();
        let counted = name(&mut dev, LINUX, COUNTED);
        write_at(&mut dev, counted.slots[slot], &[value]);
        let short = if slot == 2 { "XLIPWA~2.EFI" } else { "SLIPWA~2.EFI" };
        assert_eq!(shown(&mut dev, LINUX), [OLD, short]);
        assert_eq!(name(&mut dev, LINUX, short).slots, counted.slots[2..]);
    }
}

#[test]
fn long_slots_alone_show_nothing() {
    let mut dev = device();
    let counted = name(&mut dev, LINUX, COUNTED);
    write_at(&mut dev, counted.slots[2], &[0xe5]);
    assert_eq!(shown(&mut dev, LINUX), [OLD]);
}

#[test]
fn a_short_name_tells_its_case() {
    let mut dev = device();
    fat::write_file_durable(&mut dev, ESP, "plain.efi", b"x", 0).unwrap();
    let slots = name(&mut dev, "", "plain.efi").slots;
    write_at(&mut dev, slots[0], &[0xe5]);
    assert_eq!(shown(&mut dev, "")[2], "PLAIN.EFI");
    write_at(&mut dev, *slots.last().unwrap() + 12, &[0x18]);
    assert_eq!(shown(&mut dev, "")[2], "plain.efi");
}

#[test]
fn a_volume_without_faults_is_not_written() {
    check_repair(&mut device(), &[]);
}

#[test]
fn of_shared_names_the_blessed_entry_stays() {
    let mut dev = device();
    add_shared(&mut dev, COUNTED, BLESSED);
    check_repair(&mut dev, &[(&path(COUNTED), Fault::Shared)]);
    assert_eq!(fat::read_file(&mut dev, ESP, &path(BLESSED)).unwrap(), [2; 30_000]);
    assert_eq!(shown(&mut dev, LINUX), [OLD, BLESSED]);
}

#[test]
fn of_shared_names_an_entry_stays_before_a_temporary_name() {
    let mut dev = device();
    let temporary = format!("{COUNTED}.partial");
    add_shared(&mut dev, COUNTED, &temporary);
    check_repair(&mut dev, &[(&path(&temporary), Fault::Shared)]);
    assert_eq!(fat::read_file(&mut dev, ESP, &path(COUNTED)).unwrap(), [2; 30_000]);
}

#[test]
fn of_shared_names_a_long_one_stays_before_a_torn_one() {
    let mut dev = device();
    add_shared(&mut dev, COUNTED, BLESSED);
    let blessed = name(&mut dev, LINUX, BLESSED);
    write_at(&mut dev, blessed.slots[0], &[0xe5]);
    check_repair(&mut dev, &[(&path(&blessed.short), Fault::Shared)]);
    assert_eq!(shown(&mut dev, LINUX), [OLD, COUNTED]);
}

#[test]
fn an_empty_entry_goes() {
    let mut dev = device();
    add_empty(&mut dev, BLESSED);
    check_repair(&mut dev, &[(&path(BLESSED), Fault::Empty)]);
    fat::write_file_durable(&mut dev, ESP, &path("empty.txt"), b"", 0).unwrap();
    check_repair(&mut dev, &[]);
}

#[test]
fn a_file_whose_clusters_are_free_goes() {
    let mut dev = device();
    let counted = name(&mut dev, LINUX, COUNTED);
    free_cluster(&mut dev, counted.first_cluster + 1);
    check_repair(&mut dev, &[(&path(COUNTED), Fault::Broken)]);
    assert_eq!(shown(&mut dev, LINUX), [OLD]);
}

#[test]
fn a_file_with_more_clusters_than_it_needs_stays() {
    let mut dev = device();
    let counted = name(&mut dev, LINUX, COUNTED);
    write_at(&mut dev, counted.slots[2] + 28, &10_000_u32.to_le_bytes());
    check_repair(&mut dev, &[]);
}

#[test]
fn a_folder_that_was_not_written_goes() {
    for fault in ["content", "table"] {
        let mut dev = device();
        let folder = name(&mut dev, "slipway/tries", "0.1.1");
        match fault {
            "table" => free_cluster(&mut dev, folder.first_cluster),
            _ => {
                let at = place_of(&mut dev, folder.first_cluster);
                write_at(&mut dev, at, &[0; 512]);
            }
        }
        check_repair(&mut dev, &[(RECORD, Fault::Broken)]);
        assert_eq!(shown(&mut dev, "slipway/tries"), [""; 0]);
    }
}

#[test]
fn a_folder_that_leads_to_itself_ends() {
    let mut dev = device();
    let (tries, inner) = (name(&mut dev, "slipway", "tries"), name(&mut dev, "slipway/tries", "0.1.1"));
    let low = u16::try_from(tries.first_cluster).unwrap();
    write_at(&mut dev, *inner.slots.last().unwrap() + 26, &low.to_le_bytes());
    check_repair(&mut dev, &[(RECORD, Fault::Shared)]);
}

#[test]
fn a_chain_that_comes_back_to_itself_is_an_error() {
    let mut dev = device();
    let volume = Volume::read(&mut dev, ESP).unwrap();
    let first = name(&mut dev, LINUX, COUNTED).first_cluster;
    let at = cut_fat::table_at(&mut dev, 0, first);
    write_at(&mut dev, at, &first.to_le_bytes());
    let error = volume.chain(&mut dev, first, 1000).unwrap_err();
    assert!(matches!(error, VolumeError::Endless { limit: 1000, .. }), "{error}");
}

#[test]
fn refuses_what_is_no_fat32() {
    for (at, value, field) in [
        (510, &[0][..], "signature"),
        (11, &[0, 3], "bytes per sector"),
        (13, &[3], "sectors per cluster"),
        (14, &[0, 0], "reserved sectors"),
        (16, &[3], "number of tables"),
        (22, &[1, 0], "sectors per table of FAT16"),
        (32, &[0xff, 0xff, 0xff, 0xff], "sectors"),
        (36, &[0, 0, 0, 0], "clusters"),
    ] {
        let mut dev = device();
        write_at(&mut dev, ESP.offset + at, value);
        match Volume::read(&mut dev, ESP) {
            Err(VolumeError::BootSector { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

/// Where on the device a cluster is: behind the one of the root folder, which begins with the label.
fn place_of(dev: &mut Sparse, cluster: u32) -> u64 {
    let volume = Volume::read(dev, ESP).unwrap();
    let root = volume.file_extents(dev, volume.root, 4096).unwrap()[0].offset;
    root + u64::from(cluster - volume.root) * 4096
}
