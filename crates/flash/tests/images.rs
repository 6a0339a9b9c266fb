//! What a device has of an image, and what is no image.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/image.rs"]
mod image;

use std::io::Cursor;
use std::ops::ControlFlow;

use disk_image::{LogicalBlockSize, Partition, Table, fat};
use fake::{Fake, Fault};
use flash::{Plan, PlanError, survey, write};
use image::{CONFIG, MIB, SMALL, plan, surveyed};

fn flashed(image: &[u8], device_len: u64, seed: u8, old: u8) -> Vec<u8> {
    let plan = plan(&surveyed(image), device_len, seed);
    let mut fake = Fake::new(vec![old; usize::try_from(device_len).unwrap()], Fault::None);
    write(&mut fake, &mut &image[..], &plan, &mut |_| ControlFlow::Continue(())).unwrap();
    fake.medium
}

fn table(medium: &[u8]) -> Table {
    Table::read(&mut Cursor::new(medium), LogicalBlockSize::Lb512).unwrap()
}

#[test]
fn a_device_has_the_image_a_table_of_its_length_and_identifiers_of_its_own() {
    let image = image::image(SMALL);
    let medium = flashed(&image, 64 * MIB, 1, 0xff);
    let (ours, theirs) = (table(&medium), table(&image));
    assert_ne!(ours.disk_guid(), theirs.disk_guid());
    let of = |table: &Table, change: fn(&Partition) -> bool| -> Vec<_> {
        table.partitions().into_iter().filter(change).map(|partition| partition.uuid).collect()
    };
    let is_slot: fn(&Partition) -> bool = |partition| !["esp", "oem"].contains(&partition.label.as_str());
    assert_eq!(of(&ours, is_slot), of(&theirs, is_slot));
    let is_own: fn(&Partition) -> bool = |partition| ["esp", "oem"].contains(&partition.label.as_str());
    assert!(of(&ours, is_own).iter().all(|uuid| !of(&theirs, is_own).contains(uuid)));
    for (ours, theirs) in ours.partitions().iter().zip(theirs.partitions()) {
        assert_eq!((ours.extent, &ours.label), (theirs.extent, &theirs.label));
    }
    let mut dev = Cursor::new(medium);
    for idx in [0, 5] {
        let extent = image::extents(SMALL)[idx];
        assert_ne!(fat::read_serial(&mut dev, extent).unwrap(), 0xcafe_f00d);
    }
    let oem = image::extents(SMALL)[5];
    assert_eq!(fat::read_file(&mut dev, oem, CONFIG.0).unwrap(), CONFIG.1);
    let esp = image::extents(SMALL)[0];
    assert_eq!(fat::read_file(&mut dev, esp, "EFI/BOOT/BOOTX64.EFI").unwrap(), [0x5a; 1_500_000]);
    // A hole of /usr, byte by byte, whatever was there before.
    let usr = image::extents(SMALL)[1];
    let [start, end] = [usr.offset, usr.end()].map(|at| usize::try_from(at).unwrap());
    assert!(dev.get_ref()[start..end] == image[start..end]);
}

#[test]
fn two_devices_share_no_identifier() {
    let image = image::image(SMALL);
    let media = [1, 50].map(|seed| flashed(&image, 64 * MIB, seed, 0));
    let [a, b] = [table(&media[0]), table(&media[1])];
    assert_ne!(a.disk_guid(), b.disk_guid());
    for (a, b) in a.partitions().iter().zip(b.partitions()) {
        assert_eq!(a.uuid == b.uuid, !["esp", "oem"].contains(&a.label.as_str()), "{}", a.label);
    }
}

#[test]
fn the_smallest_device_is_as_long_as_the_partitions_and_a_backup() {
    let image = image::image(SMALL);
    let survey = surveyed(&image);
    assert_eq!((survey.needs(), survey.version.to_string().as_str()), (23 * MIB, "1.2.3"));
    assert!(survey.needs() < survey.len);
    table(&flashed(&image, survey.needs(), 1, 0xff));
    let refused = Plan::new(&survey, survey.needs() - 512, &[], |_| Ok(())).unwrap_err();
    assert!(matches!(refused, PlanError::TooSmall { .. }), "{refused}");
}

#[track_caller]
fn check(image: &[u8], expected: &str) {
    let refused =
        survey(&mut &image[..], LogicalBlockSize::Lb512, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(refused.to_string().contains(expected), "{refused}");
}

#[test]
fn what_is_no_image_of_ours_is_refused_with_the_reason() {
    let good = image::image(SMALL);
    check(&[], "ends at byte 0");
    check(&vec![0; 4 << 20], "no partition table");
    check(&good[..good.len() - 512], "multiple of 1 MiB");
    check(&good[..10 << 20], "the image ends at byte 10485760");
    for (number, label) in [(6, "other"), (2, "_empty")] {
        let mut dev = Cursor::new(good.clone());
        let mut table = table(&good);
        table.set_label(number, label).unwrap();
        table.write(&mut dev).unwrap();
        check(dev.get_ref(), "it has no partition");
    }
    let interrupted =
        survey(&mut &good[..], LogicalBlockSize::Lb512, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert_eq!(interrupted.to_string(), "interrupted");
}
