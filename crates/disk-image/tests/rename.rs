//! Renaming: the file is whole under one of its names after every single write.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/cut_fat.rs"]
mod cut_fat;
#[path = "support/sparse.rs"]
mod sparse;

use cut_fat::{BLESSED, COUNTED, ESP, LINUX, OLD, add_empty, name, path, shown, write_at};
use disk_image::fat::{self, ChangeError, rename_whole, repair_names};
use sparse::{Sparse, Step};

/// A device with the volume.
fn device() -> Sparse {
    let mut dev = Sparse::new(ESP.end());
    cut_fat::fill(&mut dev);
    dev.steps.clear();
    dev
}

/// Renames the counted entry, and checks the disk after every write: an entry with its bytes is there, a repair
/// leaves one name, and fsck would find nothing. Returns how many writes it took.
#[track_caller]
fn check_rename(mut dev: Sparse, to: &str) -> usize {
    let mut now = dev.clone();
    rename_whole(&mut dev, ESP, LINUX, COUNTED, to).unwrap();
    let mut n_writes = 0;
    for step in &dev.steps {
        let Step::Write { offset, bytes } = step else { continue };
        n_writes += 1;
        assert_eq!(
            offset / 512,
            (offset + u64::try_from(bytes.len()).unwrap() - 1) / 512,
            "a write may tear"
        );
        write_at(&mut now, *offset, bytes);
        let names = shown(&mut now, LINUX);
        let ours: Vec<_> = names.iter().filter(|name| [COUNTED, to].contains(&name.as_str())).collect();
        assert!(!ours.is_empty(), "no name after write {n_writes}: {names:?}");
        for name in ours {
            assert_eq!(fat::read_file(&mut now, ESP, &path(name)).unwrap(), [2; 30_000], "{name}");
        }
        assert!(names.iter().all(|name| name.ends_with(".efi") || name == to), "{names:?}");
        let mut repaired = now.clone();
        repair_names(&mut repaired, ESP).unwrap();
        assert_eq!(shown(&mut repaired, LINUX).len(), shown(&mut device(), LINUX).len());
    }
    assert_eq!(dev.steps.last(), Some(&Step::Sync));
    assert!(!shown(&mut dev, LINUX).contains(&COUNTED.to_owned()));
    assert_eq!(fat::read_file(&mut dev, ESP, &path(to)).unwrap(), [2; 30_000]);
    n_writes
}

#[test]
fn blessing_is_one_write_of_one_sector() {
    assert_eq!(check_rename(device(), BLESSED), 1);
}

#[test]
fn the_short_name_and_its_place_stay() {
    let mut dev = device();
    let before = name(&mut dev, LINUX, COUNTED);
    rename_whole(&mut dev, ESP, LINUX, COUNTED, "x.efi").unwrap();
    let after = name(&mut dev, LINUX, "x.efi");
    assert_eq!(
        (after.short, after.first_cluster, after.len),
        (before.short, before.first_cluster, before.len)
    );
    assert_eq!(after.slots, before.slots[1..]);
}

#[test]
fn a_name_of_just_one_slot_has_no_end_mark() {
    assert_eq!(check_rename(device(), "a_name_13.efi"), 1);
    assert_eq!(check_rename(device(), "a_name_of_14.b"), 1);
}

#[test]
fn a_longer_name_is_written_beside_the_old_one() {
    let long = "slipway_0.1.1~a.very.long.word.1+999-999.efi";
    assert!(check_rename(device(), long) > 1);
}

#[test]
fn a_name_in_two_sectors_is_written_beside_itself() {
    // Three slots each behind `.`, `..` and two entries of three: the third pair crosses a sector.
    let mut dev = device();
    for n in 0..8 {
        let name = format!("slipway_0.2.{n}+3.efi");
        add_empty(&mut dev, &name);
        let slots = name_slots(&mut dev, &name);
        if slots.first().unwrap() / 512 != slots.last().unwrap() / 512 {
            fat::write_file_durable(&mut dev, ESP, &path(&name), &[3; 9000], 0).unwrap();
            rename_whole(&mut dev, ESP, LINUX, &name, "slipway_0.2.9.efi").unwrap();
            let slots = name_slots(&mut dev, "slipway_0.2.9.efi");
            assert_eq!(slots.first().unwrap() / 512, slots.last().unwrap() / 512);
            assert_eq!(fat::read_file(&mut dev, ESP, &path("slipway_0.2.9.efi")).unwrap(), [3; 9000]);
            assert!(!shown(&mut dev, LINUX).contains(&name));
            return;
        }
    }
    panic!("no name crossed a sector");
}

fn name_slots(dev: &mut Sparse, shown: &str) -> Vec<u64> {
    name(dev, LINUX, shown).slots
}

#[test]
fn a_file_that_is_no_entry_never_has_two_names() {
    let mut dev = device();
    fat::write_file_durable(&mut dev, ESP, &path("a.partial"), &[3; 9000], 0).unwrap();
    dev.steps.clear();
    let mut now = dev.clone();
    rename_whole(&mut dev, ESP, LINUX, "a.partial", "a.longer.than.before.efi").unwrap();
    for step in &dev.steps {
        let Step::Write { offset, bytes } = step else { continue };
        write_at(&mut now, *offset, bytes);
        assert!(fat::faulty_names(&mut now, ESP).unwrap().is_empty());
    }
    assert_eq!(shown(&mut dev, LINUX), [OLD, COUNTED, "a.longer.than.before.efi"]);
    assert_eq!(fat::read_file(&mut dev, ESP, &path("a.longer.than.before.efi")).unwrap(), [3; 9000]);
}

#[test]
fn refuses_what_is_missing_taken_or_no_name() {
    let mut dev = device();
    let before = dev.clone();
    let mut rename = |from: &str, to: &str| rename_whole(&mut dev, ESP, LINUX, from, to).unwrap_err();
    assert!(matches!(rename("none.efi", "x.efi"), ChangeError::Missing(_)));
    assert!(matches!(rename(COUNTED, OLD), ChangeError::Exists(_)));
    assert!(matches!(rename(COUNTED, &OLD.to_uppercase()), ChangeError::Exists(_)));
    for wrong in ["", "a/b", "a:b", "a\n", &"x".repeat(256)] {
        assert!(matches!(rename(COUNTED, wrong), ChangeError::Name(_)), "{wrong}");
    }
    assert!(dev.has_bytes_of(&before));
}

#[test]
fn refuses_a_name_that_no_sector_of_the_folder_holds() {
    let mut dev = device();
    let long = format!("{}.efi", "x".repeat(240));
    let error = rename_whole(&mut dev, ESP, LINUX, COUNTED, &long).unwrap_err();
    assert!(matches!(error, ChangeError::NoRoom { slots: 20 }), "{error}");
    assert_eq!(shown(&mut dev, LINUX), [OLD, COUNTED]);
}
