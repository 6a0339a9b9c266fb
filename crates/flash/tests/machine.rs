//! Devices and their users are found in trees of sysfs and procfs that are made for it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use flash::machine::{self, Found};
use flash::open::{self, Named};
use flash::{Bus, Disk, Kind, Refusal, Use, refusals};

/// A root with `/sys`, `/proc` and `/dev`.
struct Tree(tempfile::TempDir);

impl Tree {
    /// Has nothing but a mounted root that is on no disk.
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(tree.path("sys/block")).unwrap();
        fs::create_dir_all(tree.path("sys/dev/block")).unwrap();
        tree.file("proc/self/mountinfo", "1 0 0:2 / / rw - rootfs rootfs rw\n");
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Makes a disk of 16 GB below a bus, as the kernel lays it out.
    fn disk(&self, name: &str, number: &str, bus: &str) -> &Self {
        let dir = format!("sys/devices/{bus}/block/{name}");
        for (file, text) in [
            ("dev", number),
            ("size", "31250000\n"),
            ("ro", "0\n"),
            ("removable", "1\n"),
            ("queue/logical_block_size", "512\n"),
            ("device/vendor", "Test    \n"),
            ("device/model", "Stick 3000      \n"),
        ] {
            self.file(&format!("{dir}/{file}"), text);
        }
        fs::create_dir_all(self.path(&format!("{dir}/holders"))).unwrap();
        symlink(self.path(&dir), self.path(&format!("sys/block/{name}"))).unwrap();
        symlink(self.path(&dir), self.path(&format!("sys/dev/block/{number}"))).unwrap();
        self
    }

    fn partition(&self, disk: &str, name: &str, number: &str) -> &Self {
        let dir = format!("sys/block/{disk}/{name}");
        self.file(&format!("{dir}/dev"), number);
        self.file(&format!("{dir}/partition"), "1\n");
        fs::create_dir_all(self.path(&format!("{dir}/holders"))).unwrap();
        symlink(self.path(&dir), self.path(&format!("sys/dev/block/{number}"))).unwrap();
        self
    }

    /// Makes a device of device-mapper on top of another.
    fn mapped(&self, name: &str, number: &str, label: &str, below: &str) -> &Self {
        self.disk(name, number, "virtual");
        self.file(&format!("sys/block/{name}/dm/name"), label);
        fs::write(self.path(&format!("sys/block/{below}/holders/{name}")), "").unwrap();
        self
    }

    fn mount(&self, number: &str, point: &str, source: &str) -> &Self {
        let path = self.path("proc/self/mountinfo");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(&format!("2 1 {number} / {point} rw shared:1 - ext4 {source} rw\n"));
        fs::write(path, text).unwrap();
        self
    }

    fn swap(&self, path: &str) -> &Self {
        self.file("proc/swaps", &format!("Filename\tType\n{path}\tpartition\t1\t0\t-2\n"));
        self
    }

    fn uses(&self, name: &str) -> Vec<Use> {
        let disks = machine::disks(self.0.path()).unwrap();
        disks.into_iter().find(|disk| disk.name == name).unwrap().uses
    }
}

fn mounted(device: &str, at: &str) -> Use {
    Use::Mounted { device: device.to_owned(), at: at.to_owned() }
}

const USB: &str = "pci0000:00/usb1/1-1/host6";

#[test]
fn a_stick_is_told_with_bus_model_and_length() {
    let tree = Tree::new();
    tree.disk("sdb", "8:16", USB).partition("sdb", "sdb1", "8:17");
    let expected = Disk {
        name: "sdb".to_owned(),
        kind: Kind::Disk,
        len: 16_000_000_000,
        block_size: 512,
        read_only: false,
        removable: true,
        bus: Bus::Usb,
        model: "Test Stick 3000".to_owned(),
        uses: vec![],
    };
    assert_eq!(machine::disks(tree.0.path()).unwrap(), std::slice::from_ref(&expected));
    assert!(refusals(&expected, &[512]).is_empty());
    assert_eq!(machine::find(tree.0.path(), (8, 16)).unwrap(), Found::Disk(expected));
    let partition = Found::Partition { disk: "sdb".to_owned() };
    assert_eq!(machine::find(tree.0.path(), (8, 17)).unwrap(), partition);
    assert!(machine::find(tree.0.path(), (8, 18)).is_err());
}

#[test]
fn kinds_and_buses_are_told_apart() {
    let tree = Tree::new();
    for (minor, (name, bus, kind, expected)) in [
        ("loop0", "virtual", Kind::Loop, Bus::Other),
        ("sr0", "pci/ata2/host1", Kind::Optical, Bus::Ata),
        ("zram0", "virtual", Kind::Memory, Bus::Other),
        ("ram0", "virtual", Kind::Memory, Bus::Other),
        ("md127", "virtual", Kind::Mapped, Bus::Other),
        ("nbd0", "virtual", Kind::Network, Bus::Other),
        ("nvme0n1", "pci/nvme/nvme0", Kind::Disk, Bus::Nvme),
        ("mmcblk0", "platform/mmc_host/mmc0", Kind::Disk, Bus::Mmc),
        ("vda", "pci/virtio3", Kind::Disk, Bus::Virtio),
        ("sda", "pci/ata1/host0", Kind::Disk, Bus::Ata),
    ]
    .into_iter()
    .enumerate()
    {
        tree.disk(name, &format!("9:{minor}"), bus);
        let disks = machine::disks(tree.0.path()).unwrap();
        let disk = disks.iter().find(|disk| disk.name == name).unwrap();
        assert_eq!((disk.kind, disk.bus), (kind, expected), "{name}");
    }
}

#[test]
fn mounts_are_found_by_number_and_by_name() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", USB).partition("sda", "sda1", "8:1").partition("sda", "sda2", "8:2");
    // The kernel's own name for it, and a file system whose number is no device's.
    tree.mount("8:1", "/", "/dev/root").mount("0:31", "/data", "/dev/sda2");
    assert_eq!(tree.uses("sda"), [mounted("sda1", "/"), mounted("sda2", "/data")]);
    let other = Tree::new();
    other.disk("sda", "8:0", USB);
    fs::create_dir_all(other.path("dev/disk/by-uuid")).unwrap();
    symlink("../../sda", other.path("dev/disk/by-uuid/1-2")).unwrap();
    other.mount("0:32", "/x", "/dev/disk/by-uuid/1-2");
    assert_eq!(other.uses("sda"), [mounted("sda", "/x")]);
}

#[test]
fn what_is_made_of_a_partition_is_followed_up() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", USB).partition("sda", "sda1", "8:1").partition("sda", "sda2", "8:2");
    tree.mapped("dm-0", "254:0", "crypt", "sda/sda1").mapped("dm-1", "254:1", "vg-root", "dm-0");
    let held = |device: &str, by: &str| Use::Held { device: device.to_owned(), by: by.to_owned() };
    assert_eq!(tree.uses("sda"), [held("dm-0", "vg-root")]);
    tree.mount("254:1", "/", "/dev/mapper/vg-root");
    assert_eq!(tree.uses("sda"), [mounted("dm-1", "/")]);
    tree.swap("/dev/dm-0");
    assert_eq!(tree.uses("sda"), [Use::Swap { device: "dm-0".to_owned() }, mounted("dm-1", "/")]);
    // An array that holds itself must not loop; what of it is mounted is one of its partitions.
    tree.disk("md0", "9:0", "virtual").partition("md0", "md0p1", "259:0");
    fs::write(tree.path("sys/block/sda/sda2/holders/md0"), "").unwrap();
    fs::write(tree.path("sys/block/md0/holders/md0"), "").unwrap();
    assert!(tree.uses("sda").iter().any(|it| matches!(it, Use::Held { by, .. } if by == "md0")));
    tree.mount("259:0", "/usr", "/dev/md0p1");
    assert!(tree.uses("sda").contains(&mounted("md0p1", "/usr")));
}

#[track_caller]
fn look(tree: &Tree, path: &Path) -> (Named, String) {
    let named = open::look(tree.0.path(), path, &[512]).unwrap();
    let said: Vec<_> = named.refusals.iter().map(Refusal::to_string).collect();
    (named, said.join("; "))
}

#[test]
fn files_are_judged_by_length_and_users() {
    let tree = Tree::new();
    let path = fs::canonicalize(tree.0.path()).unwrap().join("disk.raw");
    let file = fs::File::create(&path).unwrap();
    assert!(look(&tree, &path).1.contains("at least 8000000000"));
    file.set_len(8_000_000_001).unwrap();
    assert!(look(&tree, &path).1.contains("`truncate` it"));
    file.set_len(8_000_000_000).unwrap();
    let (named, said) = look(&tree, &path);
    assert_eq!((named.name.as_str(), said.as_str()), ("disk.raw", ""));
    tree.disk("loop3", "7:3", "virtual");
    tree.file("sys/block/loop3/loop/backing_file", &format!("{}\n", path.display()));
    assert!(look(&tree, &path).1.contains("in use as /dev/loop3"));
    tree.swap(path.to_str().unwrap());
    assert!(look(&tree, &path).1.contains("in use as swap"));
}

#[test]
fn what_is_neither_device_nor_file_is_refused() {
    let tree = Tree::new();
    for path in [tree.0.path(), Path::new("/dev/null")] {
        assert!(look(&tree, path).1.contains("neither a block device nor a regular file"));
    }
    assert!(open::look(tree.0.path(), &tree.path("no-such"), &[512]).is_err());
}
