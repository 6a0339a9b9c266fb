//! Which bytes of a disk came from the log, and from where in it.

use std::collections::BTreeMap;
use std::ops::Range;

/// Where bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The disk before the recording.
    Base,
    /// The log, from this byte on.
    Log(u64),
}

/// Bytes of the disk that have one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Piece {
    /// First byte, counted from the start of the disk.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
    /// Where they come from.
    pub source: Source,
}

impl Piece {
    /// Returns the first byte behind it.
    pub fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// What lies over the disk: later writes over earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// By first byte: length, and place of the bytes in the log.
    written: BTreeMap<u64, (u64, u64)>,
}

impl Overlay {
    /// Lays `len` bytes that lie at `data_at` of the log over the disk at `offset`.
    ///
    /// # Panics
    /// When the range ends beyond 2^64 bytes; a log that has such a write is not read.
    pub fn write(&mut self, offset: u64, len: u64, data_at: u64) {
        if len == 0 {
            return;
        }
        let end = offset.checked_add(len).expect("a write ends below 2^64");
        // What begins before and reaches in is cut; it may also reach out behind.
        if let Some((&start, &(old_len, old_at))) = self.written.range(..offset).next_back() {
            let old_end = start + old_len;
            if offset < old_end {
                self.written.insert(start, (offset - start, old_at));
                if end < old_end {
                    self.written.insert(end, (old_end - end, old_at + (end - start)));
                }
            }
        }
        let covered: Vec<u64> = self.written.range(offset..end).map(|(start, _)| *start).collect();
        for start in covered {
            let (old_len, old_at) = self.written.remove(&start).expect("it was just found");
            let old_end = start + old_len;
            if end < old_end {
                self.written.insert(end, (old_end - end, old_at + (end - start)));
            }
        }
        self.written.insert(offset, (len, data_at));
    }

    /// Returns what `range` of the disk is made of, without gaps, in order. Ranges with equal pieces have equal
    /// bytes.
    pub fn pieces(&self, range: Range<u64>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = range.start;
        let before = self.written.range(..range.start).next_back();
        for (&start, &(len, data_at)) in before.into_iter().chain(self.written.range(range.clone())) {
            let end = (start + len).min(range.end);
            if end <= at {
                continue;
            }
            if at < start {
                pieces.push(Piece { offset: at, len: start - at, source: Source::Base });
                at = start;
            }
            pieces.push(Piece { offset: at, len: end - at, source: Source::Log(data_at + (at - start)) });
            at = end;
        }
        if at < range.end {
            pieces.push(Piece { offset: at, len: range.end - at, source: Source::Base });
        }
        pieces
    }

    /// Returns the piece that byte `at` lies in, cut at its start to begin there.
    pub fn piece_at(&self, at: u64) -> Piece {
        if let Some((&start, &(len, data_at))) = self.written.range(..=at).next_back()
            && at < start + len
        {
            let source = Source::Log(data_at + (at - start));
            return Piece { offset: at, len: start + len - at, source };
        }
        let next = self.written.range(at..).next().map_or(u64::MAX, |(start, _)| *start);
        Piece { offset: at, len: next - at, source: Source::Base }
    }
}
