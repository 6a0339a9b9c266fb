//! The disk at a cut, against one that was really written to.

use std::io::{Cursor, Read, Seek, SeekFrom};

use proptest::prelude::*;
use write_log::{Overlay, Piece, Source, View};

const DISK: usize = 64;

fn piece(offset: u64, len: u64, source: Source) -> Piece {
    Piece { offset, len, source }
}

#[test]
fn later_writes_lie_over_earlier_ones() {
    let mut overlay = Overlay::default();
    overlay.write(10, 10, 100);
    overlay.write(13, 2, 200);
    overlay.write(18, 4, 300);
    let log = Source::Log;
    assert_eq!(
        overlay.pieces(8..24),
        [
            piece(8, 2, Source::Base),
            piece(10, 3, log(100)),
            piece(13, 2, log(200)),
            piece(15, 3, log(105)),
            piece(18, 4, log(300)),
            piece(22, 2, Source::Base),
        ]
    );
    assert_eq!(overlay.pieces(16..17), [piece(16, 1, log(106))]);
    assert_eq!(overlay.piece_at(16), piece(16, 2, log(106)));
}

#[test]
fn a_view_ends_where_its_base_ends() {
    let mut overlay = Overlay::default();
    overlay.write(6, 4, 0);
    let mut view = View::new(&overlay, Cursor::new(vec![1; 8]), Cursor::new(vec![2; 4])).unwrap();
    let mut bytes = vec![];
    view.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [1, 1, 1, 1, 1, 1, 2, 2]);
    assert_eq!(view.seek(SeekFrom::End(-1)).unwrap(), 7);
    assert!(view.seek(SeekFrom::Current(-8)).is_err());
}

proptest! {
    #[test]
    fn shows_what_the_disk_would_hold(writes in prop::collection::vec((0..DISK, 1..24_usize), 0..30)) {
        let mut disk = vec![0_u8; DISK];
        let mut log = vec![];
        let mut overlay = Overlay::default();
        for (number, (at, len)) in (1..).zip(writes) {
            let len = len.min(DISK - at);
            let bytes: Vec<u8> = (0..len).map(|n| number + 31 * u8::try_from(n % 7).unwrap()).collect();
            disk[at..at + len].copy_from_slice(&bytes);
            let (at, len) = (u64::try_from(at).unwrap(), u64::try_from(len).unwrap());
            overlay.write(at, len, u64::try_from(log.len()).unwrap());
            log.extend(bytes);
        }
        let mut view = View::new(&overlay, Cursor::new(vec![0; DISK]), Cursor::new(log)).unwrap();
        let mut seen = vec![];
        view.read_to_end(&mut seen).unwrap();
        prop_assert_eq!(seen, disk);
        let pieces = overlay.pieces(0..64);
        prop_assert!(pieces.windows(2).all(|pair| pair[0].end() == pair[1].offset));
        prop_assert_eq!(pieces.iter().map(|piece| piece.len).sum::<u64>(), 64);
    }
}
