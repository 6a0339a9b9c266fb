//! Puts the first two entries of a new folder right.
//!
//! fatfs 0.3.6 writes long-name entries for `.` and `..`, so that they are not the first two entries, and lets
//! `..` of a folder in FAT32's root point to the root's cluster where the format wants 0
//! (<https://github.com/rafalh/rust-fatfs/issues/117>; fixed there, not released). Goes away with fatfs 0.4.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom, Write};

const ENTRY_SIZE: usize = 32;
const DOT: &[u8; 11] = b".          ";
const DOT_DOT: &[u8; 11] = b"..         ";

/// Where fatfs wrote the entries of the folder that it made.
#[derive(Debug, Default)]
pub(super) struct Places {
    dot: Cell<Option<u64>>,
    dot_dot: Cell<Option<u64>>,
}

/// Sees fatfs write the names of both entries. Only for making a folder: file contents could look the same.
#[derive(Debug)]
pub(super) struct Watched<'a, D> {
    device: D,
    places: &'a Places,
}

impl<'a, D> Watched<'a, D> {
    pub(super) fn new(device: D, places: &'a Places) -> Self {
        Self { device, places }
    }
}

impl<D: Read> Read for Watched<'_, D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.device.read(buf)
    }
}

impl<D: Write + Seek> Write for Watched<'_, D> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf == DOT {
            self.places.dot.set(Some(self.device.stream_position()?));
        } else if buf == DOT_DOT {
            self.places.dot_dot.set(Some(self.device.stream_position()?));
        }
        self.device.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

impl<D: Seek> Seek for Watched<'_, D> {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.device.seek(pos)
    }
}

/// Moves both entries to the start of the folder and clears the two behind them. Does nothing when no folder
/// was made. `in_root` says that the folder lies in the root folder.
pub(super) fn repair(
    device: &mut (impl Read + Write + Seek),
    places: &Places,
    in_root: bool,
) -> io::Result<()> {
    let (Some(dot), Some(dot_dot)) = (places.dot.get(), places.dot_dot.get()) else { return Ok(()) };
    // Long name, `.`, long name, `..`.
    let start = dot.checked_sub(32).filter(|_| dot_dot == dot + 64);
    let start = start.ok_or_else(|| io::Error::other("fatfs lays a new folder out otherwise than 0.3.6"))?;
    let mut entries = [0; 4 * ENTRY_SIZE];
    device.seek(SeekFrom::Start(start))?;
    device.read_exact(&mut entries)?;
    entries.copy_within(ENTRY_SIZE..2 * ENTRY_SIZE, 0);
    entries.copy_within(3 * ENTRY_SIZE.., ENTRY_SIZE);
    entries[2 * ENTRY_SIZE..].fill(0);
    if in_root {
        // High and low half of the first cluster.
        entries[ENTRY_SIZE + 20..ENTRY_SIZE + 22].fill(0);
        entries[ENTRY_SIZE + 26..ENTRY_SIZE + 28].fill(0);
    }
    device.seek(SeekFrom::Start(start))?;
    device.write_all(&entries)
}
