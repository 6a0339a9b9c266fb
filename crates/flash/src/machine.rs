//! The block devices of a machine and who uses them, from sysfs and procfs below a given root.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use disk_image::LogicalBlockSize;

use crate::mounts::{Mount, parse_mountinfo, parse_swaps};

/// A whole block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Kernel name, as `sdb`.
    pub name: String,
    /// What kind it is.
    pub kind: Kind,
    /// Length in bytes; zero without a medium.
    pub len: u64,
    /// Bytes of a logical block.
    pub block_size: u64,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Whether its medium can be taken out.
    pub removable: bool,
    /// What it is attached to.
    pub bus: Bus,
    /// Vendor and model, as far as they are known.
    pub model: String,
    /// Who uses it or a part of it.
    pub uses: Vec<Use>,
}

impl Disk {
    /// Returns the size of a logical block that its table counts in; of those that no table is read with, the smallest.
    pub fn logical_block_size(&self) -> LogicalBlockSize {
        if self.block_size == 4096 { LogicalBlockSize::Lb4096 } else { LogicalBlockSize::Lb512 }
    }
}

/// Kinds of block devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A disk, a stick, a card.
    Disk,
    /// A file that is seen as a disk.
    Loop,
    /// A CD, DVD or floppy.
    Optical,
    /// Memory.
    Memory,
    /// Made of others: RAID, LVM, encryption.
    Mapped,
    /// Another machine's.
    Network,
}

/// What a disk is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// USB.
    Usb,
    /// NVMe.
    Nvme,
    /// SD card or eMMC.
    Mmc,
    /// Virtio.
    Virtio,
    /// ATA, AHCI.
    Ata,
    /// Anything else.
    Other,
}

/// One use of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// A file system is mounted.
    Mounted {
        /// Kernel name of the device with it.
        device: String,
        /// Where.
        at: String,
    },
    /// It is swapped to.
    Swap {
        /// Kernel name of the device.
        device: String,
    },
    /// It is a part of another device, which is not mounted.
    Held {
        /// Kernel name of the part.
        device: String,
        /// Name of the other.
        by: String,
    },
}

/// A block device as it was found by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole one.
    Disk(Disk),
    /// A partition.
    Partition {
        /// Kernel name of the disk that it is on.
        disk: String,
    },
}

/// Returns all whole block devices, by name.
pub fn disks(root: &Path) -> io::Result<Vec<Disk>> {
    let machine = Machine::read(root)?;
    let names = sorted_names(&root.join("sys/block"))?;
    Ok(names.iter().map(|name| machine.disk(name)).collect())
}

/// Returns the block device with a number.
pub fn find(root: &Path, (major, minor): (u32, u32)) -> io::Result<Found> {
    let dir = fs::canonicalize(root.join(format!("sys/dev/block/{major}:{minor}")))?;
    let name_of = |dir: &Path| dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name_of(&dir).ok_or(io::ErrorKind::NotFound)?;
    if dir.join("partition").exists() {
        let disk = dir.parent().and_then(name_of).ok_or(io::ErrorKind::NotFound)?;
        return Ok(Found::Partition { disk });
    }
    Ok(Found::Disk(Machine::read(root)?.disk(&name)))
}

/// Returns who uses a regular file as a disk or as swap.
pub fn users_of_file(root: &Path, file: &Path) -> io::Result<Vec<String>> {
    let machine = Machine::read(root)?;
    let names = sorted_names(&root.join("sys/block"))?;
    let is_behind = |name: &&String| {
        Path::new(&text(&root.join("sys/block").join(name).join("loop/backing_file"))) == file
    };
    let mut users: Vec<_> = names.iter().filter(is_behind).map(|name| format!("/dev/{name}")).collect();
    if machine.swaps.iter().any(|swap| Path::new(swap) == file) {
        users.push("swap".to_owned());
    }
    Ok(users)
}

struct Machine<'a> {
    root: &'a Path,
    mounts: Vec<Mount>,
    swaps: Vec<String>,
}

impl<'a> Machine<'a> {
    fn read(root: &'a Path) -> io::Result<Self> {
        let mounts = fs::read(root.join("proc/self/mountinfo"))?;
        // A kernel without swap has no such file.
        let swaps = fs::read(root.join("proc/swaps")).unwrap_or_default();
        Ok(Self {
            root,
            mounts: parse_mountinfo(&String::from_utf8_lossy(&mounts)),
            swaps: parse_swaps(&String::from_utf8_lossy(&swaps)),
        })
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.root.join("sys/block").join(name)
    }

    fn disk(&self, name: &str) -> Disk {
        let dir = self.dir(name);
        let number = |path: &str| text(&dir.join(path)).parse::<u64>().unwrap_or_default();
        // Of SD cards it is `name`; virtio has a number for a vendor.
        let parts = ["device/vendor", "device/model", "device/name"].map(|path| text(&dir.join(path)));
        let is_name = |part: &&str| !part.is_empty() && !part.starts_with("0x");
        let known: Vec<_> = parts.iter().map(String::as_str).filter(is_name).collect();
        Disk {
            name: name.to_owned(),
            kind: kind(name, &dir),
            len: number("size").saturating_mul(512),
            block_size: number("queue/logical_block_size"),
            read_only: number("ro") != 0,
            removable: number("removable") != 0,
            bus: bus(name, &dir),
            model: known.join(" "),
            uses: self.uses(name),
        }
    }

    fn uses(&self, name: &str) -> Vec<Use> {
        let mut uses = vec![];
        self.add_whole(name, &mut BTreeSet::new(), &mut uses);
        uses
    }

    /// Adds the uses of a device with its partitions; an array may have some too.
    fn add_whole(&self, name: &str, seen: &mut BTreeSet<String>, uses: &mut Vec<Use>) {
        let dir = self.dir(name);
        self.add_uses(name, &dir, seen, uses);
        // A disk whose entry is gone has no partitions.
        for partition in sorted_names(&dir).unwrap_or_default() {
            let below = dir.join(&partition);
            if below.join("partition").exists() {
                self.add_uses(&partition, &below, seen, uses);
            }
        }
    }

    /// Adds the uses of a device and of those that are made of it.
    fn add_uses(&self, name: &str, dir: &Path, seen: &mut BTreeSet<String>, uses: &mut Vec<Use>) {
        if !seen.insert(name.to_owned()) {
            return;
        }
        let device = || name.to_owned();
        let (number, mapped) = (text(&dir.join("dev")), text(&dir.join("dm/name")));
        let is_this = |path: &str| self.is_named(path, name, &mapped);
        for mount in &self.mounts {
            if mount.number == number || is_this(&mount.source) {
                uses.push(Use::Mounted { device: device(), at: mount.point.clone() });
            }
        }
        if self.swaps.iter().any(|path| is_this(path)) {
            uses.push(Use::Swap { device: device() });
        }
        for holder in sorted_names(&dir.join("holders")).unwrap_or_default() {
            let n_before = uses.len();
            self.add_whole(&holder, seen, uses);
            if uses.len() == n_before {
                let mapped = text(&self.dir(&holder).join("dm/name"));
                let by = if mapped.is_empty() { holder } else { mapped };
                uses.push(Use::Held { device: device(), by });
            }
        }
    }

    /// Whether a path in `/dev` is a name of the device.
    fn is_named(&self, path: &str, name: &str, mapped: &str) -> bool {
        let Some(below) = path.strip_prefix("/dev/") else { return false };
        let is_mapped = || !mapped.is_empty() && below.strip_prefix("mapper/") == Some(mapped);
        // A link, as those of udev are.
        let link = || fs::read_link(self.root.join("dev").join(below)).ok();
        let leads_here = || link().is_some_and(|to| to.file_name().is_some_and(|to| to == name));
        below == name || is_mapped() || leads_here()
    }
}

fn kind(name: &str, dir: &Path) -> Kind {
    let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    if starts(&["loop"]) {
        Kind::Loop
    } else if starts(&["sr", "fd"]) {
        Kind::Optical
    } else if starts(&["ram", "zram", "pmem", "brd"]) {
        Kind::Memory
    } else if starts(&["dm-", "md", "bcache"]) || dir.join("dm").exists() || dir.join("md").exists() {
        Kind::Mapped
    } else if starts(&["nbd", "rbd", "drbd"]) {
        Kind::Network
    } else {
        Kind::Disk
    }
}

fn bus(name: &str, dir: &Path) -> Bus {
    // The link's target has every bus on the way: the nearest one counts.
    let path = fs::canonicalize(dir).unwrap_or_default().to_string_lossy().into_owned();
    let has = |word: &str| path.split('/').any(|part| part.starts_with(word));
    if has("usb") {
        Bus::Usb
    } else if name.starts_with("nvme") {
        Bus::Nvme
    } else if name.starts_with("mmcblk") {
        Bus::Mmc
    } else if has("virtio") {
        Bus::Virtio
    } else if has("ata") {
        Bus::Ata
    } else {
        Bus::Other
    }
}

/// Returns the first line of a file of sysfs, or nothing where there is none.
fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn sorted_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = vec![];
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
