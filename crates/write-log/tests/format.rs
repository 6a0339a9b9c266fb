//! The reader of logs: what it accepts, what it refuses, and that it never trusts a length.

use std::io::Cursor;

use proptest::prelude::*;
use write_log::{Action, ENTRIES_MAX, Log, LogError, Record, encode};

fn record(action: Action) -> Record {
    Record { flush: false, fua: false, action }
}

fn write(offset: u64, len: u64) -> Record {
    record(Action::Write { offset, len, data_at: 0 })
}

fn read(bytes: Vec<u8>) -> Result<Log, LogError> {
    Log::read(&mut Cursor::new(bytes))
}

/// Bytes written by hand from the kernel's documentation: a write of one sector, and a flush.
#[test]
fn reads_the_bytes_of_the_specification() {
    let mut log = vec![0; 4 * 512];
    log[..8].copy_from_slice(&[0x72, 0x68, 0x73, 0x77, 0x66, 0x73, 0x6a, 0]);
    (log[8], log[16], log[25]) = (1, 2, 2);
    (log[512], log[512 + 8]) = (7, 1);
    log[1024..1536].fill(0xaa);
    log[1536 + 16] = 1;
    let log = read(log).unwrap();
    assert_eq!(log.sector_size, 512);
    let first = record(Action::Write { offset: 7 * 512, len: 512, data_at: 1024 });
    assert_eq!(log.records, [first, Record { flush: true, fua: false, action: Action::Nothing }]);
}

#[test]
fn finds_the_data_behind_discards_and_marks() {
    let records = [
        write(512, 1024),
        record(Action::Discard { offset: 0, len: 1 << 40 }),
        record(Action::Mark(b"here".to_vec())),
        Record { fua: true, ..write(4096, 512) },
    ];
    let bytes =
        encode(512, &records, |number, n| u8::try_from(number + usize::try_from(n).unwrap() % 2).unwrap());
    let log = read(bytes.clone()).unwrap();
    let Action::Write { data_at, .. } = log.records[3].action else { panic!("{:?}", log.records[3]) };
    let data_at = usize::try_from(data_at).unwrap();
    assert_eq!(bytes[data_at..data_at + 2], [3, 4]);
    assert_eq!(log.records[1..3], records[1..3]);
    assert!(log.records[3].fua);
}

#[track_caller]
fn check_refused(place: usize, value: &[u8], expected: &str) {
    let mut bytes = encode(512, &[write(512, 512), record(Action::Mark(b"m".to_vec()))], |_, _| 0);
    bytes[place..place + value.len()].copy_from_slice(value);
    assert_eq!(read(bytes).map_err(|error| error.to_string()), Err(expected.to_owned()));
}

#[test]
fn refuses_a_wrong_super_block() {
    let of = |field, expected, found: u64| {
        format!("super block of the log, field `{field}`: expected {expected}, found {found}")
    };
    check_refused(0, &[0; 8], &of("magic", "0x6a736677736872", 0));
    check_refused(8, &[2], &of("version", "1", 2));
    let many = ENTRIES_MAX + 1;
    check_refused(16, &many.to_le_bytes(), &of("number of entries", "at most 2^24", many));
    check_refused(24, &[0, 8, 0, 0], &of("sector size", "512 or 4096", 2048));
}

#[test]
fn refuses_a_wrong_entry() {
    let of = |number: u64, field: &str, expected: &str, found: u64| {
        format!("entry {number} of the log, field `{field}`: expected {expected}, found {found}")
    };
    let max = [0xff; 8];
    check_refused(512, &max, &of(0, "first sector", "bytes below 2^64", u64::MAX));
    check_refused(520, &max, &of(0, "number of sectors", "bytes below 2^64", u64::MAX));
    check_refused(520, &[3], &of(0, "bytes of data", "at most 1024", 1536));
    check_refused(528, &[32], &of(0, "flags", "1, 2, 4, 8 and 16", 32));
    check_refused(1536 + 8, &[1], &of(1, "number of sectors of a mark", "0", 1));
    check_refused(1536 + 24, &[0xe1, 1], &of(1, "length of a mark", "at most 480", 481));
}

#[test]
fn refuses_a_log_that_ends_early() {
    let whole = encode(512, &[write(0, 512)], |_, _| 0);
    for len in [0, 27, 512, 543] {
        let error = read(whole[..len].to_vec()).unwrap_err();
        assert!(matches!(error, LogError::Read { .. }), "{len}: {error}");
    }
    assert!(matches!(read(whole[..1535].to_vec()).unwrap_err(), LogError::Entry { .. }));
}

fn any_record() -> impl Strategy<Value = Record> {
    let action = prop_oneof![
        Just(Action::Nothing),
        (0..1_u64 << 40, 1..6_u64).prop_map(|(at, n)| Action::Write {
            offset: at * 512,
            len: n * 512,
            data_at: 0
        }),
        (0..1_u64 << 40, 1..1_u64 << 40)
            .prop_map(|(at, n)| Action::Discard { offset: at * 512, len: n * 512 }),
        prop::collection::vec(any::<u8>(), 0..480).prop_map(Action::Mark),
    ];
    (any::<bool>(), any::<bool>(), action).prop_map(|(flush, fua, action)| Record { flush, fua, action })
}

/// Without the places of the data, which the encoder chooses.
fn plain(records: &[Record]) -> Vec<Record> {
    let plain = |record: &Record| match record.action {
        Action::Write { offset, len, .. } => {
            Record { action: Action::Write { offset, len, data_at: 0 }, ..record.clone() }
        }
        _ => record.clone(),
    };
    records.iter().map(plain).collect()
}

proptest! {
    #[test]
    fn what_is_encoded_is_read(records in prop::collection::vec(any_record(), 0..40)) {
        let log = read(encode(512, &records, |_, _| 7)).unwrap();
        prop_assert_eq!(plain(&log.records), plain(&records));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        records in prop::collection::vec(any_record(), 1..6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(512, &records, |_, _| 7);
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        let len = u64::try_from(bytes.len()).unwrap();
        if let Ok(log) = read(bytes) {
            for record in log.records {
                if let Action::Write { offset, len: n, data_at } = record.action {
                    prop_assert!(data_at + n <= len && offset.checked_add(n).is_some());
                }
            }
        }
    }
}
