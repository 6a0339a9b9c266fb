//! Disks for tests: the layout of a Slipway disk with small slots, and a device that records what is done to it.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use disk_image::{Device, DiskPlan, LogicalBlockSize, PartitionPlan, PartitionType, Uuid, write_table};

pub const MIB: u64 = 1 << 20;

/// ESP, slot A, slot B, oem: `size_mib` MiB in all.
pub fn plan(size_mib: u64, block_size: LogicalBlockSize) -> DiskPlan {
    use PartitionType::*;
    let partition = |label: &str, kind, uuid, mib| PartitionPlan {
        label: label.to_owned(),
        kind,
        uuid: Uuid::from_u128(uuid),
        size_bytes: mib * MIB,
    };
    DiskPlan {
        disk_guid: Uuid::from_u128(0xd15c),
        size_bytes: size_mib * MIB,
        block_size,
        partitions: vec![
            partition("esp", Esp, 0xe59, 40),
            partition("usr_0.1.0", UsrX86_64, 0xa1, 8),
            partition("usr_0.1.0_verity", UsrVerityX86_64, 0xa2, 1),
            partition("_empty", UsrX86_64, 4, 8),
            partition("_empty", UsrVerityX86_64, 5, 1),
            partition("oem", BasicData, 0x0e3, 20),
        ],
    }
}

/// A disk in memory with the table of [`plan`].
pub fn disk(block_size: LogicalBlockSize) -> Cursor<Vec<u8>> {
    let mut dev = Cursor::new(vec![0; 96 << 20]);
    write_table(&mut dev, &plan(96, block_size)).unwrap();
    dev
}

/// One thing done to a [`Recorder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Write { offset: u64, bytes: Vec<u8> },
    Sync,
}

/// A device in memory that keeps a list of all writes and syncs.
#[derive(Debug)]
pub struct Recorder {
    pub disk: Cursor<Vec<u8>>,
    pub steps: Vec<Step>,
}

impl Recorder {
    pub fn new(disk: Cursor<Vec<u8>>) -> Self {
        Self { disk, steps: vec![] }
    }
}

impl Read for Recorder {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.disk.read(buf)
    }
}

impl Write for Recorder {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let offset = self.disk.position();
        self.steps.push(Step::Write { offset, bytes: buf.to_owned() });
        self.disk.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Recorder {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.disk.seek(pos)
    }
}

impl Device for Recorder {
    fn sync(&mut self) -> io::Result<()> {
        self.steps.push(Step::Sync);
        Ok(())
    }
}
