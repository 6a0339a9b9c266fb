//! The partition table: round trips, foreign bits, repairs, refusals, and power cuts after every write.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "support/disks.rs"]
mod disks;

use std::io::Cursor;

use disk_image::LogicalBlockSize::{Lb512, Lb4096};
use disk_image::{LogicalBlockSize, PlanError, Source, Table, TableError, Uuid, write_table};
use disks::{MIB, Recorder, Step, disk, plan};
use proptest::prelude::*;

/// Offset of the entry of partition `number` in the primary copy.
fn entry_at(number: usize) -> usize {
    1024 + (number - 1) * 128
}

/// Makes header and entries of both copies of a 512-byte-block disk agree again after `edit` of the entries.
fn with_entries_edited(dev: &mut Cursor<Vec<u8>>, edit: impl Fn(&mut [u8])) {
    let crc = |bytes: &[u8]| {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        !crc
    };
    let bytes = dev.get_mut();
    let end = bytes.len();
    for (header, entries) in [(512, 1024), (end - 512, end - 512 - 128 * 128)] {
        edit(&mut bytes[entries..entries + 128 * 128]);
        let sum = crc(&bytes[entries..entries + 128 * 128]);
        bytes[header + 88..header + 92].copy_from_slice(&sum.to_le_bytes());
        bytes[header + 16..header + 20].fill(0);
        let sum = crc(&bytes[header..header + 92]);
        bytes[header + 16..header + 20].copy_from_slice(&sum.to_le_bytes());
    }
}

#[track_caller]
fn check_round_trip(block_size: LogicalBlockSize) {
    let mut dev = Cursor::new(vec![0; 96 << 20]);
    let plan = plan(96, block_size);
    let extents = write_table(&mut dev, &plan).unwrap();
    let table = Table::read(&mut dev, block_size).unwrap();
    assert_eq!((table.source(), table.disk_guid()), (Source::Primary, plan.disk_guid));
    let found = table.partitions();
    assert_eq!(found.len(), plan.partitions.len());
    for ((found, planned), extent) in found.iter().zip(&plan.partitions).zip(&extents) {
        assert_eq!(found.type_guid, planned.kind.guid());
        assert_eq!((&found.label, found.uuid), (&planned.label, planned.uuid));
        assert_eq!(found.extent, *extent);
        assert!(extent.offset.is_multiple_of(MIB) && extent.len == planned.size_bytes);
    }
}

#[test]
fn a_planned_disk_reads_back() {
    check_round_trip(Lb512);
    check_round_trip(Lb4096);
}

#[test]
fn equal_plans_give_equal_bytes_and_touch_only_the_tables() {
    let (one, two) = (disk(Lb512), disk(Lb512));
    assert!(one.get_ref() == two.get_ref());
    let bytes = one.into_inner();
    assert!(bytes[34 * 512..bytes.len() - 33 * 512].iter().all(|byte| *byte == 0));
}

#[test]
fn the_backup_is_durable_before_the_primary_is_touched() {
    let mut dev = Recorder::new(Cursor::new(vec![0; 96 << 20]));
    write_table(&mut dev, &plan(96, Lb512)).unwrap();
    let end = 96 * MIB;
    let places: Vec<_> = dev
        .steps
        .iter()
        .map(|step| match step {
            Step::Write { offset, bytes } => Some((*offset, bytes.len())),
            Step::Sync => None,
        })
        .collect();
    let expected = [
        Some((end - 33 * 512, 128 * 128)),
        Some((end - 512, 512)),
        None,
        Some((1024, 128 * 128)),
        Some((512, 512)),
        None,
        Some((0, 512)),
        None,
    ];
    assert_eq!(places, expected);
}

/// Cuts the power after every sector of every write, in order and, between two syncs, with the last write
/// alone: at each point the disk reads as the old or the new table.
#[track_caller]
fn check_cuts(before: Cursor<Vec<u8>>, change: impl Fn(&mut Recorder)) {
    let guid = |dev: &mut Cursor<Vec<u8>>| Table::read(dev, Lb512).map(|table| table.disk_guid());
    let old = guid(&mut before.clone()).unwrap();
    let mut recorder = Recorder::new(before.clone());
    change(&mut recorder);
    let new = guid(&mut recorder.disk).unwrap();
    assert_ne!(old, new);

    let mut dev = before;
    let mut unsynced: Vec<(usize, Vec<u8>)> = vec![];
    let (mut n_old, mut n_new) = (0, 0);
    let mut expect_old_or_new = |dev: &mut Cursor<Vec<u8>>| match guid(dev) {
        Ok(found) if found == old => n_old += 1,
        Ok(found) if found == new => n_new += 1,
        other => panic!("neither old nor new: {other:?}"),
    };
    for step in recorder.steps {
        let Step::Write { offset, bytes } = step else {
            unsynced.clear();
            continue;
        };
        let offset = usize::try_from(offset).unwrap();
        // The disk may write this before what came since the last sync.
        let mut reordered = dev.clone();
        unsynced.iter().for_each(|(at, old)| reordered.get_mut()[*at..*at + old.len()].copy_from_slice(old));
        reordered.get_mut()[offset..offset + bytes.len()].copy_from_slice(&bytes);
        expect_old_or_new(&mut reordered);

        unsynced.push((offset, dev.get_ref()[offset..offset + bytes.len()].to_owned()));
        for (sector, bytes) in bytes.chunks(512).enumerate() {
            let at = offset + sector * 512;
            dev.get_mut()[at..at + bytes.len()].copy_from_slice(bytes);
            expect_old_or_new(&mut dev);
        }
    }
    assert!(0 < n_old && 0 < n_new);
}

fn rename_everything(dev: &mut Recorder) {
    let mut table = Table::read(dev, Lb512).unwrap();
    table.set_disk_guid(Uuid::from_u128(0xffff));
    for number in 1..=6 {
        table.set_label(number, "other").unwrap();
    }
    table.write(dev).unwrap();
}

/// A smaller disk, so that the many readings stay cheap.
fn small_disk() -> Cursor<Vec<u8>> {
    let mut plan = plan(8, Lb512);
    plan.partitions.iter_mut().for_each(|partition| partition.size_bytes = MIB);
    let mut dev = Cursor::new(vec![0; 8 << 20]);
    write_table(&mut dev, &plan).unwrap();
    dev
}

#[test]
fn a_cut_after_any_sector_leaves_the_old_or_the_new_table() {
    check_cuts(small_disk(), rename_everything);
}

#[test]
fn a_cut_while_the_disk_has_grown_leaves_the_old_or_the_new_table() {
    let mut dev = small_disk();
    dev.get_mut().resize(10 << 20, 0);
    check_cuts(dev, rename_everything);
}

#[test]
fn a_cut_while_the_primary_is_repaired_leaves_a_table() {
    let mut dev = small_disk();
    dev.get_mut()[512] = 0;
    check_cuts(dev, rename_everything);
}

#[test]
fn keeps_foreign_bits_holes_and_numbers() {
    let mut dev = disk(Lb512);
    // A hole at number 2, attributes and bytes behind the label's end in 4, a foreign partition at 100.
    with_entries_edited(&mut dev, |entries| {
        let entry = |number: usize| (number - 1) * 128..number * 128;
        entries[entry(2)].fill(0);
        entries[entry(4)][48..56].copy_from_slice(&0x8123_4567_89ab_cdef_u64.to_le_bytes());
        let moved = entries[entry(6)].to_owned();
        entries[entry(100)].copy_from_slice(&moved);
        entries[entry(100)][126..128].copy_from_slice(&[0xad, 0xde]);
        entries[entry(6)].fill(0);
    });
    let before = dev.clone().into_inner();
    let mut table = Table::read(&mut dev, Lb512).unwrap();
    let numbers: Vec<_> = table.partitions().iter().map(|p| p.number).collect();
    assert_eq!(numbers, [1, 3, 4, 5, 100]);
    assert_eq!(table.partition(4).unwrap().attributes, 0x8123_4567_89ab_cdef);
    table.set_label(4, "usr_0.2.0").unwrap();
    table.set_uuid(4, Uuid::from_u128(0x1234)).unwrap();
    table.write(&mut dev).unwrap();

    let mut expected = before;
    let entry = entry_at(4);
    expected[entry + 16..entry + 32].copy_from_slice(&Uuid::from_u128(0x1234).to_bytes_le());
    let label: Vec<_> = "usr_0.2.0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    expected[entry + 56..entry + 56 + label.len()].copy_from_slice(&label);
    assert!(dev.get_ref()[1024..34 * 512] == expected[1024..34 * 512]);
    assert!(matches!(table.set_label(2, "x"), Err(TableError::NoPartition { number: 2 })));
    assert!(matches!(table.partition(0), Err(TableError::NoPartition { number: 0 })));
    assert!(matches!(table.partition(4_000_000_000), Err(TableError::NoPartition { .. })));
}

#[test]
fn keeps_the_boot_code_of_a_protective_mbr() {
    let mut dev = disk(Lb512);
    dev.get_mut()[..440].fill(0x90);
    dev.get_mut().resize(100 << 20, 0);
    Table::read(&mut dev, Lb512).unwrap().write(&mut dev).unwrap();
    assert_eq!(dev.get_ref()[..440], [0x90; 440]);
    assert_eq!(dev.get_ref()[458..462], (100 * 2048 - 1_u32).to_le_bytes());
}

#[test]
fn a_damaged_copy_is_read_around_and_repaired() {
    let whole = disk(Lb512);
    let end = whole.get_ref().len();
    for (at, expected) in [
        (512, Source::Backup),
        (entry_at(1), Source::Backup),
        (end - 512, Source::PrimaryOnly),
        (end - 33 * 512, Source::PrimaryOnly),
    ] {
        let mut dev = whole.clone();
        dev.get_mut()[at] ^= 1;
        let table = Table::read(&mut dev, Lb512).unwrap();
        assert_eq!(table.source(), expected, "damage at {at}");
        table.write(&mut dev).unwrap();
        assert!(dev.get_ref() == whole.get_ref(), "damage at {at}");
    }
}

#[test]
fn the_backup_moves_to_the_end_of_a_grown_disk() {
    let mut dev = disk(Lb512);
    dev.get_mut().resize(128 << 20, 0);
    let table = Table::read(&mut dev, Lb512).unwrap();
    assert_eq!(table.source(), Source::PrimaryOnly);
    table.write(&mut dev).unwrap();
    assert_eq!(Table::read(&mut dev, Lb512).unwrap().source(), Source::Primary);
    dev.get_mut()[512] = 0;
    assert_eq!(Table::read(&mut dev, Lb512).unwrap().partitions(), table.partitions());
}

#[test]
fn the_old_backup_of_a_grown_disk_is_found_through_the_primary_header() {
    let mut dev = disk(Lb512);
    dev.get_mut().resize(128 << 20, 0);
    dev.get_mut()[entry_at(1) + 60] ^= 1;
    let table = Table::read(&mut dev, Lb512).unwrap();
    assert_eq!((table.source(), table.partition(1).unwrap().label.as_str()), (Source::Backup, "esp"));
}

#[test]
fn refuses_a_disk_without_valid_copy() {
    let mut dev = Cursor::new(vec![0; 96 << 20]);
    assert!(matches!(Table::read(&mut dev, Lb512), Err(TableError::NoValidCopy { .. })));
    let mut dev = Cursor::new(vec![0; 1000]);
    assert!(matches!(Table::read(&mut dev, Lb512), Err(TableError::DiskTooSmall { found: 1000 })));
    // Right bytes, wrong block size.
    assert!(Table::read(&mut disk(Lb512), Lb4096).is_err());
}

#[test]
fn refuses_entries_out_of_bounds_and_overlapping() {
    let edited = |number: usize, at: usize, lba: u64| {
        let mut dev = disk(Lb512);
        with_entries_edited(&mut dev, |entries| {
            let at = (number - 1) * 128 + at;
            entries[at..at + 8].copy_from_slice(&lba.to_le_bytes());
        });
        Table::read(&mut dev, Lb512).unwrap_err()
    };
    for (at, lba) in [(32, 0), (32, u64::MAX), (40, 96 * 2048), (40, u64::MAX), (40, 2047)] {
        let found = edited(1, at, lba);
        assert!(matches!(found, TableError::OutOfBounds { number: 1, .. }), "{found}");
    }
    let found = edited(2, 32, 2048 + 50);
    assert!(matches!(found, TableError::Overlap { first: 1, second: 2 }), "{found}");
}

#[test]
fn refuses_a_disk_that_shrank_below_a_partition() {
    let mut dev = disk(Lb512);
    dev.get_mut().truncate(70 << 20);
    let found = Table::read(&mut dev, Lb512).unwrap_err();
    assert!(matches!(found, TableError::OutOfBounds { number: 6, .. }), "{found}");
}

#[test]
fn refuses_impossible_plans() {
    let write = |plan| write_table(&mut Cursor::new(vec![0; 96 << 20]), &plan);
    let good = plan(96, Lb512);
    let mut odd = good.clone();
    odd.partitions[1].size_bytes = 1000;
    assert!(matches!(write(odd), Err(PlanError::Size { found: 1000, .. })));
    let mut large = good.clone();
    large.partitions[1].size_bytes = 90 * MIB;
    assert!(matches!(write(large), Err(PlanError::DiskTooSmall { .. })));
    let mut huge = good.clone();
    huge.partitions[1].size_bytes = u64::MAX - 511;
    assert!(matches!(write(huge), Err(PlanError::Size { .. })));
    let mut other = good.clone();
    other.size_bytes = 97 * MIB;
    assert!(matches!(write(other), Err(PlanError::DeviceSize { .. })));
    let mut named = good.clone();
    named.partitions[0].label = "x".repeat(37);
    assert!(matches!(write(named), Err(PlanError::Table(TableError::LabelTooLong { found: 37, .. }))));
    let mut many = good;
    many.partitions = vec![many.partitions[2].clone(); 129];
    many.size_bytes = 200 * MIB;
    let found = write_table(&mut Cursor::new(vec![0; 200 << 20]), &many);
    assert!(matches!(found, Err(PlanError::Table(TableError::TooManyPartitions { found: 129 }))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn hostile_tables_never_panic(
        at in 0usize..34 * 512, byte: u8, fixed_at in 0usize..92, fixed: [u8; 8], seed: u8,
    ) {
        let mut dev = small_disk();
        let end = dev.get_ref().len();
        dev.get_mut()[at] = byte;
        // A header field changed, checksums made right again.
        for header in [512, end - 512] {
            let len = fixed.len().min(92 - fixed_at);
            dev.get_mut()[header + fixed_at..header + fixed_at + len].copy_from_slice(&fixed[..len]);
        }
        with_entries_edited(&mut dev, |entries| entries[usize::from(seed) * 16] ^= seed);
        if let Ok(table) = Table::read(&mut dev, Lb512) {
            table.partitions();
            if let Err(err) = table.write(&mut dev) {
                prop_assert!(!err.to_string().is_empty());
            }
        }
    }
}
