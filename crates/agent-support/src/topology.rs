//! Which disk and slot the running `/usr` is on: from its mount through device-mapper to the partitions (sysfs).

mod disk_slots;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use disk_image::LogicalBlockSize;
use slots::Slot;

pub use disk_slots::{DiskSlots, SlotDevices, disk_slots};

use crate::host::{self, Host};

/// Folder of the links `disk`, `esp` and `oem` to the block devices, made by slipway-disk.service.
pub const LINKS_DIR: &str = "/run/slipway/disk";

/// A disk as the kernel sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Kernel name (`vda`, `nvme0n1`).
    pub name: String,
    /// Size of a logical block in bytes.
    pub logical_block_size: u64,
    /// Its partitions, by number.
    pub partitions: Vec<Partition>,
    /// Numbers of those below the running `/usr`: its data and its hash tree.
    pub usr_numbers: Vec<u32>,
}

impl Disk {
    /// Returns the path of its block device on the machine.
    pub fn device(&self) -> String {
        format!("/dev/{}", self.name)
    }

    /// Returns the size of a logical block, if it is one that tables are read with.
    pub fn block_size(&self) -> anyhow::Result<LogicalBlockSize> {
        match self.logical_block_size {
            512 => Ok(LogicalBlockSize::Lb512),
            4096 => Ok(LogicalBlockSize::Lb4096),
            found => anyhow::bail!("the disk has blocks of {found} bytes: expected 512 or 4096"),
        }
    }
}

/// A partition as the kernel sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Kernel name (`vda1`, `nvme0n1p1`).
    pub name: String,
    /// Number in the table, from 1.
    pub number: u32,
    /// Label in the table.
    pub label: String,
}

/// The slot that the running `/usr` is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsrSlot {
    /// Which one.
    pub name: Slot,
    /// Its data partition.
    pub device: String,
    /// Label of that partition: `usr_<version>`.
    pub label: String,
}

/// Returns the disk that the running `/usr` is on.
pub fn usr_disk(host: &Host) -> anyhow::Result<Disk> {
    let below = usr_partitions(host)?;
    let [partition, ..] = &below[..] else {
        anyhow::bail!("the device of /usr has no partition below it");
    };
    let dir = partition.parent().context("a partition has no disk")?;
    let name = file_name(dir)?;
    let size = read_trimmed(&dir.join("queue/logical_block_size"))?;
    let logical_block_size =
        size.parse().with_context(|| format!("parsing the block size `{size}` of {name}"))?;
    let mut partitions = Vec::new();
    for entry in host::sorted_names(dir)? {
        let dir = dir.join(entry);
        if dir.join("partition").exists() {
            partitions.push(read_partition(&dir)?);
        }
    }
    partitions.sort_by_key(|partition| partition.number);
    let is_below = |partition: &&Partition| below.contains(&dir.join(&partition.name));
    let usr_numbers = partitions.iter().filter(is_below).map(|partition| partition.number).collect();
    Ok(Disk { name, logical_block_size, partitions, usr_numbers })
}

/// Returns the slot that the running `/usr` is on, asked of the kernel: reading the partition table takes root.
pub fn usr_slot(host: &Host) -> anyhow::Result<UsrSlot> {
    let below = usr_partitions(host)?;
    let below: anyhow::Result<Vec<Partition>> = below.iter().map(|dir| read_partition(dir)).collect();
    // The data partition comes before its hash tree in both slots.
    let data = below?.into_iter().min_by_key(|partition| partition.number);
    let data = data.context("the device of /usr has no partition below it")?;
    // Sysfs does not tell the types of partitions: these are the numbers that they have in an image.
    let name = match data.number {
        2 => Slot::A,
        4 => Slot::B,
        found => anyhow::bail!("/usr is on partition {found}: expected 2 (slot A) or 4 (slot B)"),
    };
    Ok(UsrSlot { name, device: format!("/dev/{}", data.name), label: data.label })
}

/// Returns the sysfs folders of the partitions below the device that is mounted at `/usr`.
fn usr_partitions(host: &Host) -> anyhow::Result<Vec<PathBuf>> {
    let mounts = host.read("/proc/self/mountinfo")?.context("reading /proc/self/mountinfo: no such file")?;
    let number = device_number(&mounts, "/usr").context("/usr is no mount of its own")?;
    let link = host.path(&format!("/sys/dev/block/{number}"));
    let device = fs::canonicalize(&link).with_context(|| format!("following {}", link.display()))?;
    let mut partitions = Vec::new();
    partitions_below(&device, &mut partitions)?;
    Ok(partitions)
}

fn partitions_below(device: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if device.join("partition").exists() {
        found.push(device.to_owned());
        return Ok(());
    }
    let slaves = device.join("slaves");
    for name in host::sorted_names(&slaves)? {
        let link = slaves.join(name);
        let slave = fs::canonicalize(&link).with_context(|| format!("following {}", link.display()))?;
        partitions_below(&slave, found)?;
    }
    Ok(())
}

/// Returns `major:minor` of the last mount at `point` (proc_pid_mountinfo(5)).
fn device_number<'a>(mountinfo: &'a str, point: &str) -> Option<&'a str> {
    let mounts = mountinfo.lines().rev();
    mounts.map(|line| line.split(' ').collect::<Vec<_>>()).find(|f| f.get(4) == Some(&point))?.get(2).copied()
}

fn read_partition(dir: &Path) -> anyhow::Result<Partition> {
    let name = file_name(dir)?;
    let number = read_trimmed(&dir.join("partition"))?;
    let number = number.parse().with_context(|| format!("parsing the number `{number}` of {name}"))?;
    let uevent = read_trimmed(&dir.join("uevent"))?;
    let label = uevent.lines().find_map(|line| line.strip_prefix("PARTNAME=")).unwrap_or_default();
    Ok(Partition { name, number, label: label.to_owned() })
}

fn read_trimmed(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn file_name(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).with_context(|| format!("{} has no name", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LABELS, Tree, two_disks};

    #[test]
    fn finds_the_disk_through_device_mapper() {
        let disk = usr_disk(&two_disks().host).unwrap();
        assert_eq!((disk.name.as_str(), disk.logical_block_size), ("vdb", 512));
        assert_eq!(disk.partitions.iter().map(|p| p.label.as_str()).collect::<Vec<_>>(), LABELS);
        assert_eq!(
            (disk.device().as_str(), disk.block_size().unwrap()),
            ("/dev/vdb", LogicalBlockSize::Lb512)
        );
        assert_eq!(disk.usr_numbers, [4, 5]);
    }

    #[test]
    fn the_slot_is_that_of_the_data_partition() {
        let slot = usr_slot(&two_disks().host).unwrap();
        assert_eq!(
            slot,
            UsrSlot { name: Slot::B, device: "/dev/vdb4".to_owned(), label: "usr_2.0.0".to_owned() }
        );
    }

    #[test]
    fn a_usr_on_the_root_file_system_is_an_error() {
        let tree = Tree::new();
        tree.file("/proc/self/mountinfo", "20 1 254:7 / / rw - ext4 /dev/vdb7 rw\n");
        assert_eq!(usr_disk(&tree.host).unwrap_err().to_string(), "/usr is no mount of its own");
    }

    #[test]
    fn the_last_mount_at_a_point_counts() {
        let mounts = "1 0 8:1 / /usr ro\n2 0 8:2 / /usr ro\n3 0 8:3 / /usr/local rw\n";
        assert_eq!(device_number(mounts, "/usr"), Some("8:2"));
    }
}
