//! The disk that is written: which slot runs, which is the other one, and windows onto their partitions.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use agent_support::host::Host;
use agent_support::topology;
use anyhow::Context;
use disk_image::{Extent, LogicalBlockSize, SlotPartitions, Table, Uuid, Window};
use rustix::fs::{Advice, fadvise};
use slots::{Slot, part_uuids};

/// The disk that the running `/usr` is on.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    block_size: LogicalBlockSize,
    /// Its partition table, as read.
    pub table: Table,
    /// Partitions of the slot that runs: never to be written.
    pub running: SlotPartitions,
    /// Partitions of the other slot.
    pub target: SlotPartitions,
    /// Name of the other slot.
    pub target_slot: Slot,
}

impl Disk {
    /// Finds the disk and its slots: asked of the kernel and of the partition table, which have to agree with each
    /// other and with the root hash that runs.
    pub fn find(host: &Host, root_hash: &[u8; 32]) -> anyhow::Result<Self> {
        let disk = topology::usr_disk(host).context("finding the disk of /usr")?;
        let (path, block_size) = (host.path(&disk.device()), disk.block_size()?);
        let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        let table = Table::read(&mut file, block_size);
        let table = table.with_context(|| format!("reading the partition table of {}", path.display()))?;
        let found = topology::disk_slots(&disk, &table)?;
        let numbers = disk_image::slots(&table).context("finding the slots")?;
        let running = numbers[found.running.index()];
        let target_slot = found.running.other();
        let target = numbers[target_slot.index()];
        let (usr, verity) = part_uuids(root_hash);
        for (number, expected) in [(running.usr, usr), (running.verity, verity)] {
            let found = table.partition(number)?.uuid;
            anyhow::ensure!(
                found == Uuid::from_bytes(expected.0),
                "partition {number}, which /usr is on, has the UUID {found}: expected {expected}, from the root hash that \
                 runs"
            );
        }
        Ok(Self { path, block_size, table, running, target, target_slot })
    }

    /// Returns where a partition lies.
    pub fn extent(&self, number: u32) -> anyhow::Result<Extent> {
        Ok(self.table.partition(number)?.extent)
    }

    /// Opens the disk for writing.
    pub fn open_for_writing(&self) -> anyhow::Result<File> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        file.with_context(|| format!("opening {} for writing", self.path.display()))
    }

    /// Opens the first `len` bytes of a partition for reading.
    pub fn read_partition(&self, number: u32, len: u64) -> anyhow::Result<Window<File>> {
        let file = File::open(&self.path).with_context(|| format!("opening {}", self.path.display()))?;
        Ok(Window::new(file, self.start_of(number, len)?))
    }

    /// Opens the first `len` bytes of a partition of the other slot for writing; any other partition is refused.
    pub fn write_partition(&self, number: u32, len: u64) -> anyhow::Result<Window<File>> {
        anyhow::ensure!(
            [self.target.usr, self.target.verity].contains(&number),
            "partition {number} is not of slot {}, which is to be written",
            self.target_slot
        );
        Ok(Window::new(self.open_for_writing()?, self.start_of(number, len)?))
    }

    /// Has the kernel forget what it cached of the disk, so that it is read again.
    pub fn forget_cached(&self) -> anyhow::Result<()> {
        let forget = || forget_cached(&File::open(&self.path)?);
        forget().with_context(|| format!("dropping what is cached of {}", self.path.display()))
    }

    /// Reads the table anew: nobody else writes it while the lock is held, but a check costs nothing.
    pub fn reread(&mut self) -> anyhow::Result<()> {
        let mut file = File::open(&self.path).with_context(|| format!("opening {}", self.path.display()))?;
        self.table = Table::read(&mut file, self.block_size).context("reading the partition table")?;
        Ok(())
    }

    fn start_of(&self, number: u32, len: u64) -> anyhow::Result<Extent> {
        let extent = self.extent(number)?;
        anyhow::ensure!(len <= extent.len, "partition {number} has {} bytes, {len} are needed", extent.len);
        Ok(Extent { len, ..extent })
    }
}

/// Has the kernel forget what it cached of a file, so that the next read is one of the disk. What is not synced stays.
pub fn forget_cached(file: &File) -> std::io::Result<()> {
    fadvise(file, 0, None, Advice::DontNeed).map_err(Into::into)
}
