//! What a disk must be able to do, and windows onto parts of one.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

/// A disk or disk image: bytes that can be made durable.
pub trait Device: Read + Write + Seek {
    /// Returns only when everything written before is on stable storage.
    fn sync(&mut self) -> io::Result<()>;
}

impl Device for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Device for Cursor<Vec<u8>> {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<D: Device + ?Sized> Device for &mut D {
    fn sync(&mut self) -> io::Result<()> {
        D::sync(self)
    }
}

/// A device whose `sync` only flushes: for an image that is being made and is thrown away if the machine dies.
#[derive(Debug)]
pub struct Unsynced<D>(pub D);

impl<D: Read> Read for Unsynced<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<D: Write> Write for Unsynced<D> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<D: Seek> Seek for Unsynced<D> {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.0.seek(pos)
    }
}

impl<D: Read + Write + Seek> Device for Unsynced<D> {
    fn sync(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A range of bytes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte, counted from the start of the disk.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

impl Extent {
    /// Returns the offset of the first byte behind the range.
    pub fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// A part of a device that looks like a whole one; nothing outside it can be read or written.
///
/// Starts at its first byte. Writing at the end writes nothing, which `write_all` reports as an error.
#[derive(Debug)]
pub struct Window<D> {
    device: D,
    extent: Extent,
    position: u64,
}

impl<D> Window<D> {
    /// Returns the window onto `extent` of `device`. Does not check that the device reaches so far.
    pub fn new(device: D, extent: Extent) -> Self {
        Self { device, extent, position: 0 }
    }

    /// Gives the device back.
    pub fn into_inner(self) -> D {
        self.device
    }

    /// Returns how much of `wanted` bytes fits between the position and the window's end.
    fn clip(&self, wanted: usize) -> usize {
        let left = self.extent.len.saturating_sub(self.position);
        usize::try_from(left).map_or(wanted, |left| left.min(wanted))
    }

    fn advance(&mut self, n: usize) -> io::Result<usize> {
        self.position += u64::try_from(n).map_err(io::Error::other)?;
        Ok(n)
    }
}

impl<D: Seek> Window<D> {
    fn seek_device(&mut self) -> io::Result<()> {
        let target = self.extent.offset.checked_add(self.position);
        let target = target.ok_or_else(|| io::Error::other("window lies beyond 2^64 bytes"))?;
        self.device.seek(SeekFrom::Start(target)).map(drop)
    }
}

impl<D: Read + Seek> Read for Window<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.clip(buf.len());
        if n == 0 {
            return Ok(0);
        }
        self.seek_device()?;
        let n = self.device.read(&mut buf[..n])?;
        self.advance(n)
    }
}

impl<D: Write + Seek> Write for Window<D> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.clip(buf.len());
        if n == 0 {
            return Ok(0);
        }
        self.seek_device()?;
        let n = self.device.write(&buf[..n])?;
        self.advance(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

impl<D> Seek for Window<D> {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        let target = match pos {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.extent.len.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = target
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the window's start"))?;
        Ok(self.position)
    }
}

impl<D: Device> Device for Window<D> {
    fn sync(&mut self) -> io::Result<()> {
        self.device.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(bytes: &mut Cursor<Vec<u8>>) -> Window<&mut Cursor<Vec<u8>>> {
        Window::new(bytes, Extent { offset: 4, len: 8 })
    }

    #[test]
    fn reads_only_what_lies_inside() {
        let mut device = Cursor::new((0..20).collect());
        let mut inside = vec![];
        window(&mut device).read_to_end(&mut inside).unwrap();
        assert_eq!(inside, (4..12).collect::<Vec<u8>>());
    }

    #[test]
    fn writes_nothing_behind_the_end() {
        let mut device = Cursor::new(vec![0; 20]);
        let mut small = window(&mut device);
        small.seek(SeekFrom::End(-2)).unwrap();
        let failed = small.write_all(&[1, 2, 3]).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::WriteZero);
        assert_eq!(device.into_inner(), [vec![0; 10], vec![1, 2], vec![0; 8]].concat());
    }

    #[test]
    fn seeks_relative_to_the_window() {
        let mut device = Cursor::new(vec![0; 20]);
        let mut small = window(&mut device);
        assert_eq!(small.seek(SeekFrom::End(0)).unwrap(), 8);
        assert_eq!(small.seek(SeekFrom::Current(-3)).unwrap(), 5);
        assert!(small.seek(SeekFrom::Current(-6)).is_err());
    }
}
