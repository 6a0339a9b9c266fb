//! A device in memory that fails in every way that devices do.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{self, Read, Seek, SeekFrom, Write};

use disk_image::{Device, Extent};
use flash::Target;
use rustix::io::Errno;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// One operation fails, the next ones do not.
    Fails { at: usize },
    /// It is pulled out; of what was not synced stays as much as this says.
    Pulled { at: usize, keeps: Keeps },
    /// One write gets half way before it is pulled out.
    Torn { at: usize },
    /// One write is taken and not done.
    Dropped { at: usize },
    /// One write changes a bit.
    Corrupts { at: usize },
    /// It has less room than it says, and begins again at its start.
    Wraps { at: u64 },
    /// It has less room than it says, and forgets what is behind.
    Forgets { at: u64 },
}

/// What of unsynced writes a pulled device keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    All,
    Nothing,
    Every2nd,
}

/// The device. `operations` counts writes, syncs, punches and reads past the cache.
pub struct Fake {
    pub medium: Vec<u8>,
    pub operations: usize,
    pub punched: u64,
    can_punch: bool,
    pub fault: Fault,
    position: u64,
    is_gone: bool,
    /// Places and old bytes of what was written since the last sync.
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl Fake {
    pub fn new(medium: Vec<u8>, fault: Fault) -> Self {
        Self {
            medium,
            operations: 0,
            punched: 0,
            can_punch: false,
            fault,
            position: 0,
            is_gone: false,
            unsynced: vec![],
        }
    }

    /// The same, but it zeroes ranges by itself if `can_punch`.
    pub fn punching(self, can_punch: bool) -> Self {
        Self { can_punch, ..self }
    }

    fn begin(&mut self) -> io::Result<usize> {
        let idx = self.operations;
        self.operations += 1;
        match self.fault {
            Fault::Fails { at } if at == idx => return Err(Errno::IO.into()),
            Fault::Pulled { at, keeps } if at == idx => self.pull(keeps),
            _ => {}
        }
        if self.is_gone { Err(Errno::NODEV.into()) } else { Ok(idx) }
    }

    fn pull(&mut self, keeps: Keeps) {
        self.is_gone = true;
        for (idx, (at, old)) in self.unsynced.drain(..).enumerate().rev() {
            let stays = keeps == Keeps::All || keeps == Keeps::Every2nd && idx % 2 == 0;
            if !stays {
                self.medium[at..at + old.len()].copy_from_slice(&old);
            }
        }
    }

    /// Bytes that lie together: sectors of a device that wraps may not.
    fn together(&self) -> usize {
        if matches!(self.fault, Fault::Wraps { .. } | Fault::Forgets { .. }) { 512 } else { 1 << 20 }
    }

    /// Where a byte really is.
    fn real(&self, offset: u64) -> Option<usize> {
        let offset = match self.fault {
            Fault::Wraps { at } => offset % at,
            Fault::Forgets { at } if at <= offset => return None,
            _ => offset,
        };
        Some(usize::try_from(offset).unwrap())
    }

    fn store(&mut self, bytes: &[u8]) {
        let mut offset = self.position;
        for part in bytes.chunks(self.together()) {
            if let Some(at) = self.real(offset) {
                let old = self.medium[at..at + part.len()].to_vec();
                self.unsynced.push((at, old));
                self.medium[at..at + part.len()].copy_from_slice(part);
            }
            offset += u64::try_from(part.len()).unwrap();
        }
    }

    fn load(&self, offset: u64, buffer: &mut [u8]) {
        let mut offset = offset;
        for part in buffer.chunks_mut(self.together()) {
            match self.real(offset) {
                Some(at) => part.copy_from_slice(&self.medium[at..at + part.len()]),
                None => part.fill(0),
            }
            offset += u64::try_from(part.len()).unwrap();
        }
    }
}

impl Read for Fake {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.is_gone {
            return Err(Errno::NODEV.into());
        }
        self.load(self.position, buf);
        self.position += u64::try_from(buf.len()).unwrap();
        Ok(buf.len())
    }
}

impl Write for Fake {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let idx = self.begin()?;
        match self.fault {
            Fault::Torn { at } if at == idx => {
                self.store(&buf[..buf.len() / 2]);
                self.pull(Keeps::All);
                return Err(Errno::NODEV.into());
            }
            Fault::Dropped { at } if at == idx => {}
            Fault::Corrupts { at } if at == idx => {
                let mut changed = buf.to_vec();
                changed[buf.len() / 3] ^= 4;
                self.store(&changed);
            }
            _ => self.store(buf),
        }
        self.position += u64::try_from(buf.len()).unwrap();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Fake {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.position = match pos {
            SeekFrom::Start(offset) => offset,
            SeekFrom::End(delta) => {
                u64::try_from(self.medium.len()).unwrap().checked_add_signed(delta).unwrap()
            }
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta).unwrap(),
        };
        Ok(self.position)
    }
}

impl Device for Fake {
    fn sync(&mut self) -> io::Result<()> {
        self.begin()?;
        self.unsynced.clear();
        Ok(())
    }
}

impl Target for Fake {
    fn punch(&mut self, extent: Extent) -> io::Result<bool> {
        self.begin()?;
        if self.can_punch {
            let [start, end] = [extent.offset, extent.end()].map(|at| usize::try_from(at).unwrap());
            self.medium[start..end].fill(0);
            self.punched += extent.len;
        }
        Ok(self.can_punch)
    }

    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.begin()?;
        assert!(self.unsynced.is_empty(), "read back at {offset} before it was synced");
        self.load(offset, buffer);
        Ok(())
    }
}
