//! Filling a slot, and giving a disk its identity: the order of writes, and what stays as it was.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/disks.rs"]
mod disks;

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use disk_image::LogicalBlockSize::Lb512;
use disk_image::{
    Extent, SlotContent, SlotError, SlotIdentity, SlotPartitions, Table, Uuid, Window, cleared_uuid, fat,
    fill_slot, randomize_identity, slots,
};
use disks::{MIB, Recorder, Step, disk};

const ROOT_HASH: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;

fn identity() -> SlotIdentity {
    SlotIdentity {
        usr_label: "usr_0.2.0".to_owned(),
        verity_label: "usr_0.2.0_verity".to_owned(),
        usr_uuid: Uuid::from_u128(ROOT_HASH),
        verity_uuid: Uuid::from_u128(!ROOT_HASH),
    }
}

fn content(usr: &[u8]) -> SlotContent<&[u8], &[u8]> {
    let usr_len = u64::try_from(usr.len()).unwrap();
    SlotContent { usr, usr_len, verity: &[0x77; 8192], verity_len: 8192 }
}

fn with_fats(mut dev: Cursor<Vec<u8>>) -> Cursor<Vec<u8>> {
    let table = Table::read(&mut dev, Lb512).unwrap();
    for (number, label, serial) in [(1, "ESP", 1), (6, "OEM", 2)] {
        let extent = table.partition(number).unwrap().extent;
        let spec =
            fat::FatSpec { label: label.to_owned(), serial, mtime_secs: 1_700_000_000, block_size: Lb512 };
        fat::format(&mut dev, extent, &spec, []).unwrap();
    }
    dev
}

#[test]
fn slots_are_numbered_in_table_order() {
    let table = Table::read(&mut disk(Lb512), Lb512).unwrap();
    let expected = [SlotPartitions { usr: 2, verity: 3 }, SlotPartitions { usr: 4, verity: 5 }];
    assert_eq!(slots(&table).unwrap(), expected);
}

#[test]
fn uuid_text_equals_the_root_hash_digits() {
    let mut dev = disk(Lb512);
    let mut table = Table::read(&mut dev, Lb512).unwrap();
    let slot = slots(&table).unwrap()[1];
    fill_slot(&mut dev, &mut table, slot, &identity(), content(&[1; 4096]), |_, _, _| Ok(())).unwrap();
    let table = Table::read(&mut dev, Lb512).unwrap();
    let usr = table.partition(4).unwrap();
    assert_eq!(usr.uuid.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    assert_eq!(
        (usr.label.as_str(), table.partition(5).unwrap().label.as_str()),
        ("usr_0.2.0", "usr_0.2.0_verity")
    );
    // On disk the first three groups are little endian (UEFI 2.10, appendix A).
    let raw = 1024 + 3 * 128 + 16;
    assert_eq!(dev.get_ref()[raw..raw + 8], [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
}

#[test]
fn a_slot_is_unfindable_from_before_its_first_byte_until_checked() {
    let mut dev = Recorder::new(disk(Lb512));
    let mut table = Table::read(&mut dev, Lb512).unwrap();
    let slot = slots(&table).unwrap()[0];
    let usr = vec![0xab; 3_000_000];
    let check = |dev: &mut Recorder, usr: Extent, verity: Extent| {
        let on_disk = Table::read(dev, Lb512).unwrap();
        for (number, extent) in [(2, usr), (3, verity)] {
            let partition = on_disk.partition(number).unwrap();
            assert_eq!((partition.label.as_str(), partition.uuid), ("_empty", cleared_uuid(number)));
            assert_eq!(partition.extent.offset, extent.offset);
        }
        let mut read = vec![];
        Window::new(dev, usr).read_to_end(&mut read)?;
        assert!(read == [0xab; 3_000_000]);
        Ok(())
    };
    fill_slot(&mut dev, &mut table, slot, &identity(), content(&usr), check).unwrap();

    // Two table writes (each: backup, sync, primary, sync) around the data and its sync.
    let extent = table.partition(2).unwrap().extent;
    let is_data = |step: &Step| match step {
        Step::Write { offset, .. } => (extent.offset..extent.offset + 9 * MIB).contains(offset),
        Step::Sync => false,
    };
    let first = dev.steps.iter().position(is_data).unwrap();
    let last = dev.steps.iter().rposition(is_data).unwrap();
    assert_eq!(dev.steps[first - 1], Step::Sync);
    assert_eq!(dev.steps[last + 1], Step::Sync);
    assert_eq!(dev.steps.last(), Some(&Step::Sync));
    let n_syncs = |steps: &[Step]| steps.iter().filter(|step| **step == Step::Sync).count();
    assert_eq!((n_syncs(&dev.steps[..first]), n_syncs(&dev.steps[last..])), (2, 3));
}

#[test]
fn a_failed_check_leaves_the_slot_empty() {
    let mut dev = disk(Lb512);
    let mut table = Table::read(&mut dev, Lb512).unwrap();
    let slot = slots(&table).unwrap()[0];
    let fails = |_: &mut _, _, _| Err(io::Error::other("wrong hash"));
    let found = fill_slot(&mut dev, &mut table, slot, &identity(), content(&[1; 4096]), fails);
    assert!(matches!(found, Err(SlotError::Check { usr: 2, verity: 3, .. })));
    assert_eq!(Table::read(&mut dev, Lb512).unwrap().partition(2).unwrap().label, "_empty");
}

#[test]
fn refuses_before_the_first_write() {
    let mut dev = Recorder::new(disk(Lb512));
    let mut table = Table::read(&mut dev, Lb512).unwrap();
    let slot = slots(&table).unwrap()[1];
    let large = SlotContent { usr_len: 8 * MIB + 1, ..content(&[]) };
    let found = fill_slot(&mut dev, &mut table, slot, &identity(), large, |_, _, _| Ok(()));
    assert!(matches!(found, Err(SlotError::TooLarge { number: 4, .. })));
    let same = SlotIdentity { usr_uuid: Uuid::from_u128(0xa1), ..identity() };
    let found = fill_slot(&mut dev, &mut table, slot, &same, content(&[]), |_, _, _| Ok(()));
    assert!(matches!(found, Err(SlotError::UuidTaken { number: 2, .. })));
    assert_eq!(dev.steps, []);
}

#[test]
fn an_image_that_ends_early_is_an_error() {
    let mut dev = disk(Lb512);
    let mut table = Table::read(&mut dev, Lb512).unwrap();
    let slot = slots(&table).unwrap()[1];
    let short = SlotContent { usr_len: 5000, ..content(&[1; 4096]) };
    let found = fill_slot(&mut dev, &mut table, slot, &identity(), short, |_, _, _| Ok(()));
    assert!(matches!(found, Err(SlotError::Copy { number: 4, .. })));
}

#[test]
fn a_new_identity_changes_everything_but_the_slots() {
    let mut dev = Recorder::new(with_fats(disk(Lb512)));
    let before = Table::read(&mut dev, Lb512).unwrap();
    let mut next = 0_u8;
    let guid = randomize_identity(&mut dev, Lb512, |buf| {
        next += 1;
        buf.fill(next);
        Ok(())
    })
    .unwrap();
    let after = Table::read(&mut dev, Lb512).unwrap();
    assert_eq!(after.disk_guid(), guid);
    assert_eq!(guid.get_version_num(), 4);
    assert_ne!(guid, before.disk_guid());
    for (old, new) in before.partitions().into_iter().zip(after.partitions()) {
        assert_eq!(old.uuid == new.uuid, (2..=5).contains(&old.number), "partition {}", old.number);
        assert_eq!((old.label, old.extent), (new.label, new.extent));
    }
    let serial =
        |dev: &mut Recorder, number| fat::read_serial(dev, after.partition(number).unwrap().extent).unwrap();
    assert_eq!((serial(&mut dev, 1), serial(&mut dev, 6)), (0x0404_0404, 0x0505_0505));

    // The disk GUID is the commit mark: both serials are durable before the table changes.
    let first_table_write = dev.steps.iter().position(|step| match step {
        Step::Write { offset, .. } => 95 * MIB < *offset,
        Step::Sync => false,
    });
    let first_sync = dev.steps.iter().position(|step| *step == Step::Sync);
    assert!(first_sync < first_table_write && 0 < first_sync.unwrap());
}

#[test]
fn a_disk_without_fat_in_its_esp_keeps_its_identity() {
    let mut dev = disk(Lb512);
    let before = dev.clone();
    assert!(
        randomize_identity(&mut dev, Lb512, |buf| {
            buf.fill(9);
            Ok(())
        })
        .is_err()
    );
    assert!(dev.get_ref() == before.get_ref());
    dev.seek(SeekFrom::Start(0)).unwrap();
}
