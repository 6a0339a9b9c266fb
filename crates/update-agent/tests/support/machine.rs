//! A machine made of files: a disk with a real partition table, an ESP in a folder, and a sysfs that leads to them.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs::{self, File};
use std::io::{Cursor, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use agent_support::testing::Tree;
use disk_image::{
    DiskPlan, LogicalBlockSize, PartitionPlan, PartitionType, SlotIdentity, Table, Uuid, Window,
};
use payload::SecretKey;
use slots::{EntryName, part_uuids};
use update_agent::source::Limits;
use update_agent::{files, state};

use super::releases::{BUILD_TIME, Release, key, verity_device};

const MIB: u64 = 1 << 20;
const SYS: &str = "/sys/devices/pci0000:00/vda";

pub struct Machine {
    pub tree: Tree,
}

/// A machine that was installed with `release` in slot A, and trusts key 1.
pub fn machine(release: &Release) -> Machine {
    let tree = Tree::new();
    tree.file(&format!("{SYS}/queue/logical_block_size"), "512\n")
        .file("/proc/self/mountinfo", "21 20 253:0 / /usr ro - erofs /dev/mapper/usr ro\n")
        .file("/sys/devices/virtual/block/dm-0/.keep", "")
        .file("/sys/dev/block/.keep", "");
    for n in 1..=7 {
        tree.file(&format!("{SYS}/vda{n}/partition"), format!("{n}\n"));
        tree.file(&format!("{SYS}/vda{n}/uevent"), "PARTNAME=x\n");
    }
    symlink("../../devices/virtual/block/dm-0", tree.host.path("/sys/dev/block/253:0")).unwrap();
    let machine = Machine { tree };
    machine.make_disk(release);
    machine.put_usr(release, &[key(1)], "");
    let name = format!("slipway_{}.efi", release.version);
    machine.tree.file(&format!("/efi/EFI/Linux/{name}"), &release.uki);
    for path in update_agent::entries::LOADER_FILES {
        machine.tree.file(&format!("/efi/{path}"), &release.loader);
    }
    machine.booted(&EntryName::parse("slipway", &name).unwrap(), release);
    machine
}

impl Machine {
    fn make_disk(&self, release: &Release) {
        use PartitionType::{BasicData, Esp, RootX86_64, UsrVerityX86_64, UsrX86_64};
        let kinds = [
            (Esp, 1),
            (UsrX86_64, 4),
            (UsrVerityX86_64, 1),
            (UsrX86_64, 4),
            (UsrVerityX86_64, 1),
            (BasicData, 1),
            (RootX86_64, 1),
        ];
        let partition = |(number, (kind, mib)): (u32, (PartitionType, u64))| PartitionPlan {
            label: "_empty".to_owned(),
            kind,
            uuid: disk_image::cleared_uuid(number),
            size_bytes: mib * MIB,
        };
        let plan = DiskPlan {
            disk_guid: Uuid::from_u128(0xd15c),
            size_bytes: 20 * MIB,
            block_size: LogicalBlockSize::Lb512,
            partitions: (1..).zip(kinds).map(partition).collect(),
        };
        let mut disk = Cursor::new(vec![0; 20 << 20]);
        disk_image::write_table(&mut disk, &plan).unwrap();
        let mut table = Table::read(&mut disk, LogicalBlockSize::Lb512).unwrap();
        let slot = disk_image::slots(&table).unwrap()[0];
        for (number, bytes) in [(slot.usr, &release.usr), (slot.verity, &verity_device(release))] {
            let extent = table.partition(number).unwrap().extent;
            Window::new(&mut disk, extent).write_all(bytes).unwrap();
        }
        let (usr, verity) = part_uuids(&release.root.0);
        let identity = SlotIdentity {
            usr_label: format!("usr_{}", release.version),
            verity_label: format!("usr_{}_verity", release.version),
            usr_uuid: Uuid::from_bytes(usr.0),
            verity_uuid: Uuid::from_bytes(verity.0),
        };
        disk_image::commit_slot(&mut disk, &mut table, slot, &identity).unwrap();
        self.tree.file("/dev/vda", disk.into_inner());
    }

    /// What `/usr` of a version has: description, keys, retired keys.
    pub fn put_usr(&self, release: &Release, keys: &[SecretKey], retired: &str) {
        let dir = self.tree.host.path(files::KEYS_DIR);
        // There is none before the first.
        fs::remove_dir_all(&dir).ok();
        for key in keys {
            let public = key.public();
            self.tree.file(&format!("{}/{}.pub", files::KEYS_DIR, public.id()), public.to_file("a test"));
        }
        let version = &release.version;
        let image = format!(
            r#"{{"product":"slipway","version":"{version}","disk_guid":"x","build_time":{BUILD_TIME}}}"#
        );
        self.tree
            .file(files::RETIRED_FILE, retired)
            .file("/usr/lib/slipway/image.json", image)
            .file("/usr/lib/os-release", format!("IMAGE_VERSION={version}\n"));
    }

    /// Makes this boot one of `entry`, as the loader and the kernel leave it.
    fn booted(&self, entry: &EntryName, release: &Release) {
        let table = self.table();
        let (usr, verity) = part_uuids(&release.root.0);
        let slaves = self.tree.host.path("/sys/devices/virtual/block/dm-0/slaves");
        fs::remove_dir_all(&slaves).ok();
        fs::create_dir_all(&slaves).unwrap();
        for uuid in [usr, verity] {
            let found = table.partitions().into_iter().find(|p| p.uuid == Uuid::from_bytes(uuid.0));
            let number = found.expect("usrhash= finds a slot").number;
            symlink(format!("../../../../pci0000:00/vda/vda{number}"), slaves.join(format!("vda{number}")))
                .unwrap();
        }
        self.tree.loader_variable("LoaderEntrySelected", &entry.to_string());
        self.tree.file("/proc/cmdline", format!("quiet usrhash={}\n", release.root));
    }

    /// Starts the machine anew: `/run` is empty, the loader chooses among the entries and counts. Returns the
    /// version that runs.
    pub fn reboot(&self, releases: &[&Release]) -> String {
        fs::remove_dir_all(self.tree.host.path("/run")).ok();
        let mut entries = self.entries();
        let before = entries.clone();
        let idx = slots::boot_once(&mut entries).unwrap();
        let dir = self.tree.host.path("/efi/EFI/Linux");
        fs::rename(dir.join(before[idx].to_string()), dir.join(entries[idx].to_string())).unwrap();
        let version = entries[idx].version.to_string();
        let release = releases.iter().find(|release| release.version == version).unwrap();
        self.put_usr(release, &[key(1)], "");
        self.booted(&entries[idx], release);
        version
    }

    /// Takes the counter off the entry that runs, and does what follows from that.
    pub fn bless(&self) {
        let running = fs::read_to_string(self.tree.host.path("/usr/lib/os-release")).unwrap();
        let version = running.trim().trim_start_matches("IMAGE_VERSION=").to_owned();
        let entry = self.entries().into_iter().find(|entry| entry.version.to_string() == version).unwrap();
        let dir = self.tree.host.path("/efi/EFI/Linux");
        fs::rename(dir.join(entry.to_string()), dir.join(entry.after_blessing().to_string())).unwrap();
        update_agent::command::blessed::blessed(&self.tree.host).unwrap();
    }

    pub fn entries(&self) -> Vec<EntryName> {
        agent_support::esp::entries(&self.tree.host.path("/efi"), "slipway").unwrap()
    }

    pub fn entry_names(&self) -> Vec<String> {
        self.tree.host.list("/efi/EFI/Linux").unwrap()
    }

    pub fn table(&self) -> Table {
        let mut disk = File::open(self.disk()).unwrap();
        Table::read(&mut disk, LogicalBlockSize::Lb512).unwrap()
    }

    pub fn disk(&self) -> PathBuf {
        self.tree.host.path("/dev/vda")
    }

    /// Returns the label of each partition.
    pub fn labels(&self) -> Vec<String> {
        self.table().partitions().into_iter().map(|partition| partition.label).collect()
    }

    /// Returns the bytes of a partition.
    pub fn partition(&self, number: u32) -> Vec<u8> {
        let extent = self.table().partition(number).unwrap().extent;
        let mut disk = File::open(self.disk()).unwrap();
        disk.seek(SeekFrom::Start(extent.offset)).unwrap();
        let mut bytes = Vec::new();
        disk.take(extent.len).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Writes bytes into a partition.
    pub fn damage(&self, number: u32, at: u64, bytes: &[u8]) {
        let extent = self.table().partition(number).unwrap().extent;
        let mut disk = File::options().write(true).open(self.disk()).unwrap();
        disk.seek(SeekFrom::Start(extent.offset + at)).unwrap();
        disk.write_all(bytes).unwrap();
    }

    /// Points the agent at a server.
    pub fn use_server(&self, url: &str) {
        self.tree.file("/etc/slipway/update.conf", format!("SERVER={url}\n"));
    }

    pub fn state(&self) -> state::State {
        state::load(&self.tree.host).unwrap()
    }

    /// Everything that a refused update must leave as it was: the running slot, its names and its entry.
    pub fn running_side(&self) -> (Vec<u8>, Vec<u8>, Vec<String>, Vec<u8>) {
        let name = self.entry_names().into_iter().find(|name| !name.contains('+')).unwrap();
        let entry = fs::read(self.tree.host.path(&format!("/efi/EFI/Linux/{name}"))).unwrap();
        (self.partition(2), self.partition(3), self.labels()[..3].to_vec(), entry)
    }
}

/// Limits whose pauses a test can wait for. A server of the test that has to wait for the processor is not given up.
pub fn limits() -> Limits {
    Limits {
        tries: 3,
        progress_bytes: 64 << 10,
        pause: Duration::from_millis(5),
        pause_max: Duration::from_millis(20),
        ..Limits::default()
    }
}
