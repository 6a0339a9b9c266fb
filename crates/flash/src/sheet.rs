//! A device in memory that stores only chunks that were written: the parts of an image that each device has of its
//! own are made on it, before anything of the device is touched.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use disk_image::Device;

use crate::{CHUNK, CHUNK_LEN};

/// The device. What was not written is zero.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    len: u64,
    position: u64,
    chunks: BTreeMap<u64, Vec<u8>>,
}

impl Sheet {
    /// Returns a device of `len` bytes with these chunks, each of them whole.
    pub(crate) fn new(len: u64, chunks: BTreeMap<u64, Vec<u8>>) -> Self {
        Self { len, position: 0, chunks }
    }

    /// Returns a chunk that was written.
    pub(crate) fn chunk(&self, idx: u64) -> Option<&[u8]> {
        self.chunks.get(&idx).map(Vec::as_slice)
    }

    /// Reads at an offset, as much as lies in one chunk; nothing behind the end.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> usize {
        let (idx, range) = self.part(offset, buf.len());
        let n = range.len();
        match self.chunks.get(&idx) {
            Some(chunk) => buf[..n].copy_from_slice(&chunk[range]),
            None => buf[..n].fill(0),
        }
        n
    }

    /// Returns the chunk at an offset and the range in it, `most` bytes at most.
    fn part(&self, offset: u64, most: usize) -> (u64, Range<usize>) {
        let start = usize::try_from(offset % CHUNK).unwrap_or_default();
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        (offset / CHUNK, start..(start + most.min(left)).min(CHUNK_LEN))
    }

    fn advance(&mut self, n: usize) -> io::Result<usize> {
        self.position += u64::try_from(n).map_err(io::Error::other)?;
        Ok(n)
    }
}

impl Read for Sheet {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.read_at(self.position, buf);
        self.advance(n)
    }
}

impl Write for Sheet {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let (idx, range) = self.part(self.position, buf.len());
        let n = range.len();
        if 0 < n {
            self.chunks.entry(idx).or_insert_with(|| vec![0; CHUNK_LEN])[range].copy_from_slice(&buf[..n]);
        }
        self.advance(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sheet {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        let target = match pos {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.len.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position =
            target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the start"))?;
        Ok(self.position)
    }
}

impl Device for Sheet {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_written_across_chunks_and_nothing_behind_the_end() {
        let mut sheet = Sheet::new(2 * CHUNK + 100, BTreeMap::new());
        sheet.seek(SeekFrom::Start(CHUNK - 2)).unwrap();
        sheet.write_all(b"abcd").unwrap();
        sheet.seek(SeekFrom::Start(CHUNK - 3)).unwrap();
        let mut found = [9; 6];
        sheet.read_exact(&mut found).unwrap();
        assert_eq!(&found, b"\0abcd\0");
        sheet.seek(SeekFrom::End(-1)).unwrap();
        assert!(sheet.write_all(b"ab").is_err());
        assert_eq!(sheet.chunks.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
