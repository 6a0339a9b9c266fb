//! The disk at a cut, to be read like a whole one.

use std::io::{self, Read, Seek, SeekFrom};

use crate::overlay::{Overlay, Source};

/// A disk that is its base with an overlay of writes whose bytes are in the log. Starts at its first byte.
#[derive(Debug)]
pub struct View<'a, B, L> {
    overlay: &'a Overlay,
    base: B,
    log: L,
    len: u64,
    position: u64,
}

impl<'a, B: Seek, L> View<'a, B, L> {
    /// Returns the view of `base`, which tells the disk's length, below `overlay`.
    pub fn new(overlay: &'a Overlay, mut base: B, log: L) -> io::Result<Self> {
        let len = base.seek(SeekFrom::End(0))?;
        Ok(Self { overlay, base, log, len, position: 0 })
    }
}

impl<B: Read + Seek, L: Read + Seek> Read for View<'_, B, L> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let piece = self.overlay.piece_at(self.position);
        let most = usize::try_from(piece.len.min(left)).unwrap_or(usize::MAX).min(buf.len());
        if most == 0 {
            return Ok(0);
        }
        let buf = &mut buf[..most];
        let count = match piece.source {
            Source::Base => read_from(&mut self.base, self.position, buf)?,
            Source::Log(at) => read_from(&mut self.log, at, buf)?,
        };
        self.position += u64::try_from(count).map_err(io::Error::other)?;
        Ok(count)
    }
}

fn read_from(from: &mut (impl Read + Seek), at: u64, buf: &mut [u8]) -> io::Result<usize> {
    from.seek(SeekFrom::Start(at))?;
    from.read(buf)
}

impl<B, L> Seek for View<'_, B, L> {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        let target = match pos {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.len.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "seek before the disk's start");
        self.position = target.ok_or_else(outside)?;
        Ok(self.position)
    }
}
