//! A device in memory that stores only blocks with a byte in them, so that copies of large ones are cheap, and
//! that keeps a list of its writes.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use disk_image::Device;

const BLOCK: u64 = 4096;

/// What was done to a [`Sparse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Write { offset: u64, bytes: Vec<u8> },
    Sync,
}

/// The device. `steps` grows with everything that is done to it.
#[derive(Clone, Debug)]
pub struct Sparse {
    pub steps: Vec<Step>,
    len: u64,
    position: u64,
    blocks: BTreeMap<u64, [u8; 4096]>,
}

impl Sparse {
    pub fn new(len: u64) -> Self {
        Self { steps: vec![], len, position: 0, blocks: BTreeMap::new() }
    }

    /// Says whether both hold the same bytes.
    pub fn has_bytes_of(&self, other: &Self) -> bool {
        self.blocks == other.blocks
    }

    /// Returns the rest of the block at the position, at most `most` bytes: its number and the range in it.
    fn part(&self, most: usize) -> (u64, std::ops::Range<usize>) {
        let start = usize::try_from(self.position % BLOCK).unwrap();
        let left = usize::try_from(self.len.saturating_sub(self.position)).unwrap_or(usize::MAX);
        (self.position / BLOCK, start..(start + most.min(left)).min(4096))
    }
}

impl Read for Sparse {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (block, range) = self.part(buf.len());
        let n = range.len();
        match self.blocks.get(&block) {
            Some(bytes) => buf[..n].copy_from_slice(&bytes[range]),
            None => buf[..n].fill(0),
        }
        self.position += u64::try_from(n).unwrap();
        Ok(n)
    }
}

impl Write for Sparse {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let (block, range) = self.part(buf.len());
        let (n, offset) = (range.len(), self.position);
        self.steps.push(Step::Write { offset, bytes: buf[..n].to_vec() });
        if buf[..n].iter().any(|byte| *byte != 0) || self.blocks.contains_key(&block) {
            self.blocks.entry(block).or_insert([0; 4096])[range].copy_from_slice(&buf[..n]);
        }
        self.position += u64::try_from(n).unwrap();
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sparse {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.position = match pos {
            SeekFrom::Start(offset) => offset,
            SeekFrom::End(delta) => self.len.checked_add_signed(delta).unwrap(),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta).unwrap(),
        };
        Ok(self.position)
    }
}

impl Device for Sparse {
    fn sync(&mut self) -> io::Result<()> {
        self.steps.push(Step::Sync);
        Ok(())
    }
}
