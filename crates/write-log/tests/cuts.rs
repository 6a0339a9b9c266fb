//! Which cuts there are, and what the disk holds at each.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{Cursor, Read};

use write_log::cuts::{self, Areas, Cut, Kind, SUBSETS};
use write_log::{Action, Log, Record, View, encode};

/// A disk of eight sectors of which the first two matter most and the last not at all.
fn areas() -> Areas {
    let (stepped, judged) = (0..1024, 1024..7 * 512);
    Areas { stepped: vec![stepped], judged: vec![judged] }
}

fn write(sector: u64, n_sectors: u64) -> Record {
    let action = Action::Write { offset: sector * 512, len: n_sectors * 512, data_at: 0 };
    Record { flush: false, fua: false, action }
}

fn flush() -> Record {
    Record { flush: true, fua: false, action: Action::Nothing }
}

/// Returns every cut with the first byte of each sector; the data of record `n` is `n + 1`.
fn all(records: &[Record], seed: u64) -> Vec<(Cut, [u8; 8])> {
    let bytes = encode(512, records, |number, _| u8::try_from(number + 1).unwrap());
    let log = Log::read(&mut Cursor::new(&bytes)).unwrap();
    let mut seen = vec![];
    let total = cuts::visit(
        &log,
        &areas(),
        seed,
        |_| true,
        |cut, overlay| {
            let mut disk = vec![];
            View::new(overlay, Cursor::new(vec![0; 4096]), Cursor::new(&bytes))?.read_to_end(&mut disk)?;
            seen.push((cut, std::array::from_fn(|sector| disk[sector * 512])));
            std::io::Result::Ok(())
        },
    );
    assert_eq!(total.unwrap(), u64::try_from(seen.len()).unwrap());
    assert!(seen.iter().enumerate().all(|(n, (cut, _))| cut.number == u64::try_from(n).unwrap()));
    seen
}

fn of(cuts: &[(Cut, [u8; 8])], wanted: impl Fn(Kind) -> bool) -> Vec<[u8; 8]> {
    cuts.iter().filter(|(cut, _)| wanted(cut.kind)).map(|(_, disk)| *disk).collect()
}

#[test]
fn a_cut_comes_before_all_and_after_every_flush() {
    let cuts = all(&[write(0, 1), flush(), write(2, 1), flush(), write(7, 1)], 1);
    let flushed = of(&cuts, |kind| kind == Kind::Flushed);
    assert_eq!(flushed, [[0; 8], [1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 3, 0, 0, 0, 0, 0]]);
}

#[test]
fn a_cut_comes_after_and_within_every_write_that_matters() {
    let cuts = all(&[write(4, 1), write(0, 2), write(5, 2), write(1, 1)], 1);
    let prefixes = of(&cuts, |kind| matches!(kind, Kind::Prefix { .. }));
    assert_eq!(prefixes, [[2, 2, 0, 0, 1, 0, 0, 0], [2, 4, 0, 0, 1, 3, 3, 0]]);
    let torn = of(&cuts, |kind| matches!(kind, Kind::Torn { .. }));
    assert_eq!(torn, [[2, 0, 0, 0, 1, 0, 0, 0]]);
}

#[test]
fn subsets_have_what_was_flushed_and_any_of_the_rest() {
    let cuts = all(&[write(0, 1), flush(), write(0, 2), write(4, 3)], 5);
    let is_subset = |kind| matches!(kind, Kind::Subset { .. } | Kind::TornSubset { .. });
    let in_second = |(cut, _): &&(Cut, [u8; 8])| cut.interval == 1 && is_subset(cut.kind);
    let subsets: Vec<_> = cuts.iter().filter(in_second).collect();
    assert_eq!(subsets.len(), usize::try_from(SUBSETS).unwrap());
    let mut torn = 0;
    for (cut, disk) in subsets {
        assert!([1, 3].contains(&disk[0]) && [0, 3].contains(&disk[1]), "{disk:?}");
        assert!(disk[4..7].iter().all(|byte| [0, 4].contains(byte)), "{disk:?}");
        let is_whole = (disk[0] == 3) == (disk[1] == 3) && disk[4] == disk[5] && disk[5] == disk[6];
        assert!(is_whole || matches!(cut.kind, Kind::TornSubset { .. }), "{cut:?} {disk:?}");
        torn += usize::from(!is_whole);
    }
    assert!(torn > 0);
}

#[test]
fn what_was_forced_to_the_disk_is_in_every_subset() {
    let forced = Record { fua: true, ..write(0, 1) };
    let cuts = all(&[forced, write(1, 1)], 9);
    let subsets = of(&cuts, |kind| matches!(kind, Kind::Subset { .. } | Kind::TornSubset { .. }));
    assert!(subsets.iter().all(|disk| disk[0] == 1));
    assert!(subsets.iter().any(|disk| disk[1] == 0) && subsets.iter().any(|disk| disk[1] == 2));
}

#[test]
fn a_seed_gives_the_same_cuts_and_another_seed_others() {
    let records = [write(0, 2), write(2, 4), flush(), write(1, 1), write(3, 2)];
    assert_eq!(all(&records, 3), all(&records, 3));
    assert_ne!(all(&records, 3), all(&records, 4));
}

#[test]
fn only_wanted_cuts_are_shown() {
    let bytes = encode(512, &[write(0, 1), flush(), write(0, 1)], |_, _| 1);
    let log = Log::read(&mut Cursor::new(bytes)).unwrap();
    let mut seen = vec![];
    let total = cuts::visit(
        &log,
        &areas(),
        1,
        |number| number % 10 == 3,
        |cut, _| {
            seen.push(cut.number);
            Ok::<_, std::convert::Infallible>(())
        },
    );
    assert_eq!((total, seen), (Ok(36), vec![3, 13, 23, 33]));
}
