//! An image that is laid anew from parts is one like those that are built, whatever the size of a block.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/image.rs"]
mod image;

use std::io::{Cursor, Read as _};
use std::ops::ControlFlow;

use disk_image::LogicalBlockSize::{self, Lb512, Lb4096};
use disk_image::{Extent, Source, Table, fat};
use fake::{Fake, Fault};
use flash::{ComposeError, Parts, Sizes, compose, survey, write};
use image::{CONFIG, EVEN, MIB, composed, extents, plan, surveyed_in, usr};

/// Writes it to a device that was full of other bytes.
fn written(block_size: LogicalBlockSize) -> Cursor<Vec<u8>> {
    let composed = composed(EVEN, block_size);
    let usr = usr();
    let mut fake = Fake::new(vec![0xff; 40 << 20], Fault::None);
    let survey =
        survey(&mut composed.reader(&usr[..]), block_size, &mut |_| ControlFlow::Continue(())).unwrap();
    let plan = plan(&survey, 40 * MIB, 1);
    write(&mut fake, &mut composed.reader(&usr[..]), &plan, &mut |_| ControlFlow::Continue(())).unwrap();
    Cursor::new(fake.medium)
}

fn bytes(dev: &Cursor<Vec<u8>>, extent: Extent) -> &[u8] {
    let [start, end] = [extent.offset, extent.end()].map(|at| usize::try_from(at).unwrap());
    &dev.get_ref()[start..end]
}

#[test]
fn a_device_has_the_parts_and_an_empty_slot() {
    for block_size in [Lb512, Lb4096] {
        let mut dev = written(block_size);
        let table = Table::read(&mut dev, block_size).unwrap();
        assert_eq!(table.source(), Source::Primary);
        assert!(!table.disk_guid().is_nil());
        let found: Vec<_> = table.partitions().iter().map(|it| (it.label.clone(), it.extent)).collect();
        let labels = ["esp", "usr_1.2.3", "usr_1.2.3_verity", "_empty", "_empty", "oem"];
        let expected: Vec<_> = labels.map(str::to_owned).into_iter().zip(extents(EVEN)).collect();
        assert_eq!(found, expected);
        let uuids: Vec<_> = table.partitions().iter().map(|it| it.uuid.to_string()).collect();
        assert_eq!(uuids[1], "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(uuids[2], "10111213-1415-1617-1819-1a1b1c1d1e1f");
        assert_eq!(uuids[3], "00000000-0000-0000-0000-000000000004");

        let [esp, usr_at, verity, usr_b, _, oem] = found[..].iter().map(|it| it.1).collect::<Vec<_>>()[..]
        else {
            panic!("{found:?}")
        };
        let usr = usr();
        let (there, behind) = bytes(&dev, usr_at).split_at(usr.len());
        assert!(there == usr && behind.iter().all(|byte| *byte == 0));
        assert!(bytes(&dev, verity).starts_with(b"verity\0"));
        // Nothing is written where the slot is empty.
        assert!(bytes(&dev, usr_b).iter().all(|byte| *byte == 0xff));
        assert_eq!(
            fat::read_file(&mut dev, esp, "EFI/BOOT/BOOTX64.EFI").unwrap(),
            [0x5a; 1_500_000],
            "{block_size:?}"
        );
        assert_eq!(fat::read_file(&mut dev, oem, "notes").unwrap(), b"of the first machine");
        assert_eq!(fat::read_file(&mut dev, oem, CONFIG.0).unwrap(), CONFIG.1);
        for extent in [esp, oem] {
            assert_ne!(fat::read_serial(&mut dev, extent).unwrap(), 0);
        }
    }
}

#[test]
fn a_usr_that_cannot_be_read_to_its_end_makes_no_image() {
    let composed = composed(EVEN, Lb4096);
    let usr = usr();
    let mut bytes = vec![];
    let err = composed.reader(&usr[..2_000_000]).read_to_end(&mut bytes).unwrap_err();
    assert_eq!(err.to_string(), "/usr ends 500000 bytes early");
    bytes.clear();
    composed.reader(&usr[..]).read_to_end(&mut bytes).unwrap();
    assert_eq!(surveyed_in(&bytes, Lb4096).needs(), 25 * MIB);
}

#[test]
fn what_does_not_fit_is_named() {
    let files = |len| vec![("a".to_owned(), vec![1; len])];
    let check = |usr_len: u64, verity: &[u8], esp_len: usize, oem_len: usize| {
        let parts = Parts {
            block_size: Lb512,
            sizes: Sizes { esp: 8 * MIB, usr: 2 * MIB, verity: MIB, oem: 5 * MIB },
            version: &"1.0.0".parse().unwrap(),
            root_hash: &[1; 32],
            usr_len,
            verity,
            esp: &files(esp_len),
            oem: &files(oem_len),
        };
        compose(&parts).map(drop)
    };
    check(2 << 20, &[1; 1 << 20], 1, 1).unwrap();
    let refused = [
        (check((2 << 20) + 1, &[], 1, 1), "partition `usr_1.0.0` has 2097152 bytes, 2097153 are needed"),
        (check(1, &[1; (1 << 20) + 1], 1, 1), "partition `usr_1.0.0_verity` has 1048576 bytes"),
    ];
    for (found, expected) in refused {
        let err = found.unwrap_err().to_string();
        assert!(err.starts_with(expected), "{err}");
    }
    for (found, expected) in [(check(1, &[], 9 << 20, 1), "ESP"), (check(1, &[], 1, 6 << 20), "OEM")] {
        assert!(matches!(found, Err(ComposeError::Fat { label, .. }) if label == expected));
    }
}
