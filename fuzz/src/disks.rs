//! What a power cut leaves: folders of a FAT32, and logs of writes.

use std::io::Cursor;

use disk_image::fat;
use disk_image::{Device, Extent};
use write_log::cuts::{self, Areas};
use write_log::{Action, Log, Record, encode};

/// Names of a small FAT32 with `data` laid over its start: a repair of it ends, a second one finds nothing, and
/// what was settled is settled. The bytes behind the end are those of a file of 1 MiB.
pub fn fat_names(data: &[u8]) {
    const LEN: usize = 1 << 20;
    let mut bytes = data[..data.len().min(LEN)].to_vec();
    bytes.resize(LEN, 0);
    let mut device = Cursor::new(bytes);
    let extent = Extent { offset: 0, len: 1 << 20 };
    let Ok(taken) = fat::repair_names(&mut device, extent) else { return };
    if taken.is_empty() {
        if fat::settle(&mut device, extent).is_ok() {
            assert!(matches!(fat::is_settled(&mut device, extent), Ok(true)), "settling does not settle");
        }
        return;
    }
    device.sync().expect("memory does not fail");
    // A folder that is named twice can be read otherwise once one of its names is gone, but it ends.
    for _ in 0..taken.len() + 64 {
        match fat::repair_names(&mut device, extent) {
            Ok(again) if !again.is_empty() => {}
            _ => return,
        }
    }
    panic!("a repair finds something again and again");
}

/// Data of writes lies in the log, and no cut is reached that does not exist.
pub fn write_log(data: &[u8]) {
    let Ok(log) = Log::read(&mut Cursor::new(data)) else { return };
    let len = u64::try_from(data.len()).expect("a length fits 64 bits");
    for record in &log.records {
        if let Action::Write { offset, len: n, data_at } = record.action {
            assert!(data_at + n <= len && offset.checked_add(n).is_some());
        }
    }
    let (stepped, judged) = (0..1 << 20, 1 << 20..u64::MAX);
    let areas = Areas { stepped: vec![stepped], judged: vec![judged] };
    let mut shown = 0;
    let total = cuts::visit(
        &log,
        &areas,
        1,
        |_| true,
        |cut, overlay| {
            assert_eq!(cut.number, shown);
            shown += 1;
            let pieces = overlay.pieces(0..u64::MAX);
            assert!(pieces.windows(2).all(|pair| pair[0].end() == pair[1].offset));
            Ok::<(), std::convert::Infallible>(())
        },
    );
    assert_eq!(total, Ok(shown));
}

/// A log with a write, a flush, a discard and a mark.
pub fn log_seed() -> Vec<u8> {
    let record = |action| Record { flush: false, fua: false, action };
    let records = [
        record(Action::Write { offset: 512, len: 1024, data_at: 0 }),
        Record { flush: true, fua: false, action: Action::Nothing },
        record(Action::Discard { offset: 0, len: 4096 }),
        record(Action::Mark(b"mark".to_vec())),
        Record { flush: false, fua: true, action: Action::Write { offset: 0, len: 512, data_at: 0 } },
    ];
    encode(512, &records, |_, _| 7)
}

/// Boot sector, tables and folders of a FAT32 of half a megabyte with a file, a long name and a folder.
pub fn fat_seed() -> Vec<u8> {
    let mut bytes = vec![0; 512 * 40];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(11, &[0, 2, 1, 2, 0, 1]);
    put(32, &1000_u32.to_le_bytes());
    put(36, &8_u32.to_le_bytes());
    put(44, &[2]);
    put(510, &[0x55, 0xaa]);
    for (cluster, next) in [(2, 0x0fff_ffff_u32), (3, 4), (4, 0x0fff_ffff), (5, 0x0fff_ffff)] {
        put(2 * 512 + cluster * 4, &next.to_le_bytes());
    }
    let root = (2 + 8) * 512;
    let slot = |name: &[u8; 11], attributes: u8, cluster: u8, len: u16| {
        let mut slot = [0; 32];
        slot[..11].copy_from_slice(name);
        (slot[11], slot[26]) = (attributes, cluster);
        slot[28..30].copy_from_slice(&len.to_le_bytes());
        slot
    };
    put(root, &slot(b"A       EFI", 0x20, 3, 700));
    put(root + 32, &slot(b"FOLDER     ", 0x10, 5, 0));
    put(root + 64, &slot(b"B       EFI", 0x20, 3, 700));
    put(root + 3 * 512, &slot(b".          ", 0x10, 5, 0));
    bytes
}
