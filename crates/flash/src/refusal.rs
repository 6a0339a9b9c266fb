//! Whether a device may be written, and if not, why and what helps.

use std::fmt;

use crate::machine::{Disk, Kind, Use};

/// Smallest device, in bytes: the image, and room for what a machine writes.
pub const LEN_MIN: u64 = 8_000_000_000;
/// Bytes of the smallest logical blocks.
const BLOCK_MIN: u64 = 512;
/// Where a system has what it runs from.
const SYSTEM: [&str; 6] = ["/", "/usr", "/boot", "/boot/efi", "/efi", "/sysroot"];

/// Why a device is not written. `Display` has the reason and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Part of a disk.
    Partition {
        /// Kernel name of the disk.
        disk: String,
    },
    /// Neither a block device nor a file.
    NoDevice,
    /// A regular file where devices are.
    FileInDev,
    /// The image itself.
    ImageItself,
    /// A kind that nothing starts from.
    Kind(Kind),
    /// A reader without a card.
    NoMedium,
    /// It cannot be written.
    ReadOnly,
    /// The running system is on it.
    System {
        /// Kernel name of the device.
        device: String,
        /// Where it is mounted, or `swap`.
        at: String,
    },
    /// A file system of it is mounted.
    Mounted {
        /// Kernel name of the device.
        device: String,
        /// Where.
        at: String,
    },
    /// Another device is made of it.
    Held {
        /// Kernel name of the device.
        device: String,
        /// Name of the other.
        by: String,
    },
    /// A file that something uses.
    FileInUse {
        /// Who.
        by: String,
    },
    /// It cannot be had alone.
    Busy,
    /// It is too small.
    TooSmall {
        /// Its length in bytes.
        found: u64,
    },
    /// Its blocks have another size.
    BlockSize {
        /// Bytes of its logical blocks.
        found: u64,
        /// Bytes of those that are taken.
        takes: &'static [u64],
    },
    /// Its length is no number of blocks.
    OddLength {
        /// Its length in bytes.
        found: u64,
        /// Bytes of a block.
        block_size: u64,
    },
}

/// Returns all that speaks against a disk, where disks with logical blocks of `takes` bytes are taken; nothing does
/// against one that may be written.
pub fn refusals(disk: &Disk, takes: &'static [u64]) -> Vec<Refusal> {
    let mut found = vec![];
    if !matches!(disk.kind, Kind::Disk | Kind::Loop) {
        found.push(Refusal::Kind(disk.kind));
    }
    for it in &disk.uses {
        let refusal = match it.clone() {
            Use::Mounted { device, at } if SYSTEM.contains(&at.as_str()) => Refusal::System { device, at },
            Use::Swap { device } => Refusal::System { device, at: "swap".to_owned() },
            Use::Mounted { device, at } => Refusal::Mounted { device, at },
            Use::Held { device, by } => Refusal::Held { device, by },
        };
        if !found.contains(&refusal) {
            found.push(refusal);
        }
    }
    // What the running system is on comes first: no remedy is wanted there.
    found.sort_by_key(|refusal| !matches!(refusal, Refusal::System { .. }));
    if disk.read_only {
        found.push(Refusal::ReadOnly);
    }
    if disk.len == 0 {
        found.push(Refusal::NoMedium);
        return found;
    }
    let block_size = if takes.contains(&disk.block_size) {
        disk.block_size
    } else {
        found.push(Refusal::BlockSize { found: disk.block_size, takes });
        BLOCK_MIN
    };
    found.extend(of_len(disk.len, block_size));
    found
}

/// Returns what speaks against the length of a regular file.
pub fn of_file_len(len: u64) -> Option<Refusal> {
    of_len(len, BLOCK_MIN)
}

fn of_len(len: u64, block_size: u64) -> Option<Refusal> {
    if len < LEN_MIN {
        Some(Refusal::TooSmall { found: len })
    } else if !len.is_multiple_of(block_size) {
        Some(Refusal::OddLength { found: len, block_size })
    } else {
        None
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition { disk } => {
                write!(f, "it is a partition, and the image is a whole disk: name the disk, /dev/{disk}")
            }
            Self::NoDevice => write!(f, "it is neither a block device nor a regular file"),
            Self::FileInDev => {
                write!(f, "it is a regular file where devices are: no such device is there; remove the file")
            }
            Self::ImageItself => write!(f, "it is the image itself: name another file"),
            Self::Kind(kind) => {
                let what = match kind {
                    Kind::Optical => "a drive for discs",
                    Kind::Memory => "memory, which is gone with the power",
                    Kind::Mapped => {
                        "made of other devices (RAID, LVM, encryption), and no firmware starts from it"
                    }
                    Kind::Network => "another machine's",
                    Kind::Disk | Kind::Loop => "a disk",
                };
                write!(f, "it is {what}: name a disk")
            }
            Self::NoMedium => write!(f, "it has no medium: put the card in"),
            Self::ReadOnly => {
                write!(f, "it is read-only: a stick or card may have a switch; else `blockdev --setrw` it")
            }
            Self::System { device, at } => {
                write!(f, "the running system is on it ({device}: {at}): name another device")
            }
            Self::Mounted { device, at } => {
                write!(f, "{device} is mounted at {at}: `umount {at}` first")
            }
            Self::Held { device, by } => write!(
                f,
                "{device} is a part of `{by}`: close that first (`cryptsetup close`, `vgchange --activate n`, \
                 `mdadm --stop`)"
            ),
            Self::FileInUse { by } => write!(f, "it is in use as {by}: end that first"),
            Self::Busy => write!(f, "another program or another container has it: end that first"),
            Self::TooSmall { found } => {
                write!(f, "it has {found} bytes, and at least {LEN_MIN} (8 GB) are needed: take a larger one")
            }
            Self::BlockSize { found, takes } => {
                let takes: Vec<_> = takes.iter().map(ToString::to_string).collect();
                let takes = takes.join(" or ");
                write!(f, "its logical blocks have {found} bytes: expected {takes}; take another one")
            }
            Self::OddLength { found, block_size } => {
                write!(f, "it has {found} bytes, which is no multiple of {block_size}: `truncate` it to one")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Bus;

    /// A disk that may be written.
    fn stick() -> Disk {
        Disk {
            name: "sdb".to_owned(),
            kind: Kind::Disk,
            len: LEN_MIN,
            block_size: 512,
            read_only: false,
            removable: true,
            bus: Bus::Usb,
            model: "Test Stick".to_owned(),
            uses: vec![],
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Disk), expected: &[&str]) {
        let mut disk = stick();
        change(&mut disk);
        let found: Vec<_> = refusals(&disk, &[512]).iter().map(Refusal::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    fn mounted(at: &str) -> Use {
        Use::Mounted { device: "sdb1".to_owned(), at: at.to_owned() }
    }

    #[test]
    fn a_free_disk_and_a_free_loop_device_may_be_written() {
        check(|_| {}, &[]);
        check(|disk| disk.kind = Kind::Loop, &[]);
    }

    #[test]
    fn what_the_system_is_on_is_refused_first() {
        for at in SYSTEM {
            check(
                |disk| disk.uses = vec![mounted("/mnt"), mounted(at)],
                &["the running system", "umount /mnt"],
            );
        }
        check(|disk| disk.uses = vec![Use::Swap { device: "sdb2".to_owned() }], &["(sdb2: swap)"]);
    }

    #[test]
    fn what_is_mounted_or_held_is_refused_with_what_helps() {
        check(
            |disk| disk.uses = vec![mounted("/a"), mounted("/a"), mounted("/b")],
            &["umount /a", "umount /b"],
        );
        let held = Use::Held { device: "sdb1".to_owned(), by: "vault".to_owned() };
        check(|disk| disk.uses = vec![held], &["a part of `vault`: close"]);
    }

    #[test]
    fn small_disks_and_other_blocks_are_refused_with_both_values() {
        check(|disk| disk.len = LEN_MIN - 512, &["it has 7999999488 bytes, and at least 8000000000"]);
        check(|disk| disk.block_size = 4096, &["logical blocks have 4096 bytes"]);
        check(|disk| disk.len = LEN_MIN + 1, &["no multiple of 512"]);
        let large = Disk { block_size: 4096, len: LEN_MIN + 512, ..stick() };
        let odd = Refusal::OddLength { found: LEN_MIN + 512, block_size: 4096 };
        assert_eq!(refusals(&large, &[512, 4096]), [odd]);
        assert_eq!(refusals(&Disk { len: 1 << 33, ..large }, &[512, 4096]), []);
        check(|disk| disk.len = 0, &["no medium"]);
    }

    #[test]
    fn kinds_that_nothing_starts_from_are_refused() {
        for kind in [Kind::Optical, Kind::Memory, Kind::Mapped, Kind::Network] {
            check(|disk| disk.kind = kind, &["name a disk"]);
        }
        check(|disk| disk.read_only = true, &["read-only"]);
    }

    #[test]
    fn every_other_reason_ends_in_what_to_do() {
        let held = Refusal::FileInUse { by: "/dev/loop0".to_owned() };
        for (refusal, remedy) in [
            (Refusal::Partition { disk: "sdb".to_owned() }, "name the disk, /dev/sdb"),
            (Refusal::FileInDev, "remove the file"),
            (Refusal::ImageItself, "name another file"),
            (held, "in use as /dev/loop0: end that"),
            (Refusal::Busy, "end that first"),
            (Refusal::NoDevice, "regular file"),
        ] {
            assert!(refusal.to_string().contains(remedy), "{refusal}");
        }
    }
}
