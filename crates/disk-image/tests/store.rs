//! Files put, replaced and removed on a FAT32: whole after every write, and what is left can be settled.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/cut_fat.rs"]
mod cut_fat;
#[path = "support/sparse.rs"]
mod sparse;

use cut_fat::{COUNTED, ESP, LINUX, OLD, name, path, shown, table_at, write_at};
use disk_image::fat::{
    self, ChangeError, Settled, is_settled, put_whole, remove_whole, repair_names, settle, store,
};
use sparse::{Sparse, Step};

const NEW: &str = "slipway_0.2.0+3.efi";

/// A device with the volume.
fn device() -> Sparse {
    let mut dev = Sparse::new(ESP.end());
    cut_fat::fill(&mut dev);
    dev.steps.clear();
    dev
}

fn put(dev: &mut Sparse, name: &str, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap();
    let stored = store(dev, ESP, &mut &*bytes, len).unwrap();
    put_whole(dev, ESP, LINUX, name, &stored).unwrap();
}

fn content(dev: &mut Sparse, name: &str) -> Vec<u8> {
    fat::read_file(dev, ESP, &path(name)).unwrap()
}

/// Shows `check` the disk after every write of `change`, and with each write of a flush interval alone: disks
/// reorder what is not flushed. No name is faulty, and what is left can be settled.
#[track_caller]
fn at_each_cut(before: &Sparse, change: impl FnOnce(&mut Sparse), check: impl Fn(&mut Sparse)) {
    let mut dev = before.clone();
    dev.steps.clear();
    change(&mut dev);
    assert_eq!(dev.steps.last(), Some(&Step::Sync));
    let seen = |now: &mut Sparse| {
        assert_eq!(fat::faulty_names(now, ESP).unwrap(), []);
        check(now);
        settle(now, ESP).unwrap();
        assert!(is_settled(now, ESP).unwrap());
        check(now);
    };
    let (mut flushed, mut now) = (before.clone(), before.clone());
    for step in &dev.steps {
        match step {
            Step::Write { offset, bytes } => {
                write_at(&mut now, *offset, bytes);
                seen(&mut now.clone());
                let mut alone = flushed.clone();
                write_at(&mut alone, *offset, bytes);
                seen(&mut alone);
            }
            Step::Sync => flushed = now.clone(),
        }
    }
    assert!(now.has_bytes_of(&dev));
    assert!(is_settled(&mut dev, ESP).unwrap());
}

#[test]
fn a_new_file_is_whole_as_soon_as_it_has_a_name() {
    let bytes: Vec<u8> = (0..50_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    at_each_cut(
        &device(),
        |dev| put(dev, NEW, &bytes),
        |now| {
            let names = shown(now, LINUX);
            assert_eq!(names[..2], [OLD, COUNTED]);
            if names.len() > 2 {
                assert_eq!(names[2], NEW);
                assert_eq!(content(now, NEW), bytes);
            }
        },
    );
}

#[test]
fn a_file_that_is_replaced_has_the_old_or_the_new_content() {
    at_each_cut(
        &device(),
        |dev| put(dev, OLD, &[7; 9000]),
        |now| {
            assert_eq!(shown(now, LINUX), [OLD, COUNTED]);
            let found = content(now, OLD);
            assert!(found == [1; 20_000] || found == [7; 9000]);
        },
    );
    let mut dev = device();
    put(&mut dev, &OLD.to_uppercase(), &[7; 9000]);
    assert_eq!(content(&mut dev, OLD), [7; 9000]);
    put(&mut dev, OLD, b"");
    assert_eq!(content(&mut dev, OLD), b"");
}

#[test]
fn a_file_that_is_removed_is_whole_or_gone() {
    at_each_cut(
        &device(),
        |dev| remove_whole(dev, ESP, LINUX, &[COUNTED, "none"]).unwrap(),
        |now| {
            let names = shown(now, LINUX);
            assert_eq!(names[0], OLD);
            if names.len() > 1 {
                assert_eq!(names[1], COUNTED);
                assert_eq!(content(now, COUNTED), [2; 30_000]);
            }
        },
    );
}

#[test]
fn a_name_in_two_sectors_is_removed_without_its_short_one_being_seen() {
    let mut before = device();
    let is_in_one = |dev: &mut Sparse, shown: &str| {
        let slots = name(dev, LINUX, shown).slots;
        slots.iter().all(|at| at / 512 == slots[0] / 512)
    };
    // What we put lies in one sector; the kernel and firmware place names anywhere.
    let mut crossing = String::new();
    for n in 0..12 {
        crossing = format!("slipway_0.3.{n}+3.efi");
        fat::write_file_durable(&mut before, ESP, &path(&crossing), b"whole", 0).unwrap();
        if !is_in_one(&mut before, &crossing) {
            break;
        }
    }
    assert!(!is_in_one(&mut before, &crossing));
    at_each_cut(
        &before,
        |dev| remove_whole(dev, ESP, LINUX, &[&crossing]).unwrap(),
        |now| {
            let names = shown(now, LINUX);
            assert!(names.iter().all(|name| !name.starts_with("SLIPWA")), "{names:?}");
        },
    );
}

#[test]
fn a_name_that_the_last_sector_has_no_place_for_goes_into_the_next() {
    // `.` and `..`, then names of three slots: the fifth ends two slots before the sector does.
    let mut before = device();
    for n in 2..4 {
        put(&mut before, &format!("slipway_0.2.{n}+3.efi"), b"x");
    }
    let next = "slipway_0.2.4+3.efi";
    at_each_cut(
        &before,
        |dev| put(dev, next, b"new"),
        |now| {
            let names = shown(now, LINUX);
            assert!(names.len() == 4 || (names.len() == 5 && content(now, next) == b"new"), "{names:?}");
        },
    );
    for n in 5..40 {
        put(&mut before, &format!("slipway_0.2.{n}+3.efi"), b"x");
    }
    assert_eq!(shown(&mut before, LINUX).len(), 39);
}

#[test]
fn removing_one_of_two_names_keeps_what_both_have() {
    let mut dev = device();
    cut_fat::add_shared(&mut dev, COUNTED, "twin.partial");
    remove_whole(&mut dev, ESP, LINUX, &["twin.partial"]).unwrap();
    assert_eq!(content(&mut dev, COUNTED), [2; 30_000]);
    assert!(is_settled(&mut dev, ESP).unwrap());
}

#[test]
fn space_that_a_file_gave_up_is_used_again() {
    let mut dev = device();
    for n in 0..6 {
        put(&mut dev, NEW, &vec![n; 100 << 20]);
    }
    let error = store(&mut dev, ESP, &mut std::io::repeat(0), 500 << 20).unwrap_err();
    assert!(matches!(error, ChangeError::NoSpace { wanted: 128_000, .. }), "{error}");
    let stored = store(&mut dev, ESP, &mut &b"short"[..], 6);
    assert!(matches!(stored, Err(ChangeError::Source(_))));
}

#[test]
fn what_a_cut_left_beside_names_is_settled() {
    let mut dev = device();
    let first = name(&mut dev, LINUX, COUNTED).first_cluster;
    assert_eq!(settle(&mut dev, ESP).unwrap(), Settled::default());
    assert_eq!(dev.steps, []);
    let untouched = dev.clone();
    // The second table ends its chain elsewhere, the count is wrong, the serial is another, it is in use.
    let second = table_at(&mut dev, 1, first);
    write_at(&mut dev, second, &[0xff, 0xff, 0xff, 0x0f]);
    write_at(&mut dev, ESP.offset + 512 + 488, &[9, 9, 0, 0]);
    write_at(&mut dev, ESP.offset + 6 * 512 + 67, &[9, 9, 9, 9]);
    write_at(&mut dev, ESP.offset + 65, &[1]);
    assert!(!is_settled(&mut dev, ESP).unwrap());
    assert_eq!(settle(&mut dev, ESP).unwrap(), Settled { lost_clusters: 0, sectors: 4 });
    assert!(dev.has_bytes_of(&untouched));
    let lost = name(&mut dev, LINUX, COUNTED);
    lost.slots.iter().for_each(|at| write_at(&mut dev, *at, &[0xe5]));
    assert_eq!(settle(&mut dev, ESP).unwrap().lost_clusters, 8);
    assert_eq!(content(&mut dev, OLD), [1; 20_000]);
}

#[test]
fn a_volume_with_a_faulty_name_is_not_settled() {
    let mut dev = device();
    let counted = name(&mut dev, LINUX, COUNTED);
    cut_fat::free_cluster(&mut dev, counted.first_cluster + 1);
    let before = dev.clone();
    assert!(settle(&mut dev, ESP).is_err());
    assert!(dev.has_bytes_of(&before));
    assert_eq!(repair_names(&mut dev, ESP).unwrap().len(), 1);
    assert!(settle(&mut dev, ESP).unwrap().lost_clusters > 0);
}

#[test]
fn folders_are_not_replaced() {
    let mut dev = device();
    let stored = store(&mut dev, ESP, &mut &b"x"[..], 1).unwrap();
    let put = |dev: &mut Sparse, name: &str| put_whole(dev, ESP, "EFI", name, &stored).unwrap_err();
    assert!(matches!(put(&mut dev, "Linux"), ChangeError::Exists(_)));
    assert!(matches!(put(&mut dev, "a/b"), ChangeError::Name(_)));
}

#[test]
fn a_folder_is_whole_as_soon_as_it_has_a_name() {
    let make = |dev: &mut Sparse| fat::make_folders(dev, ESP, "slipway/tries/0.2.0/deep").unwrap();
    at_each_cut(&device(), make, |now| assert_eq!(shown(now, ""), ["EFI", "slipway"]));
    let mut dev = device();
    make(&mut dev);
    let after = dev.clone();
    make(&mut dev);
    assert!(dev.has_bytes_of(&after));
    let stored = store(&mut dev, ESP, &mut &b"x"[..], 1).unwrap();
    put_whole(&mut dev, ESP, "slipway/tries/0.2.0/deep", "1.json", &stored).unwrap();
    assert_eq!(fat::read_file(&mut dev, ESP, "slipway/tries/0.2.0/deep/1.json").unwrap(), b"x");
    assert!(fat::make_folders(&mut dev, ESP, "slipway/tries/0.1.1/1/x").is_err());
}

#[test]
fn a_folder_goes_with_all_that_is_in_it() {
    let remove = |dev: &mut Sparse| remove_whole(dev, ESP, "slipway", &["tries"]).unwrap();
    at_each_cut(&device(), remove, |now| {
        let names = shown(now, "slipway");
        if !names.is_empty() {
            assert_eq!(
                fat::read_file(now, ESP, &format!("{}/1", cut_fat::RECORD)).unwrap(),
                b"stage=initrd\n"
            );
        }
    });
    let mut dev = device();
    remove(&mut dev);
    assert!(shown(&mut dev, "slipway").is_empty());
    remove_whole(&mut dev, ESP, "slipway/tries", &["0.1.1"]).unwrap();
}
