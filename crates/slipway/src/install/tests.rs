//! A machine made of files whose `/usr` is on slot B of its second disk, and a file that it is installed onto.

use std::fs;
use std::io::{Cursor, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use agent_support::testing::{Tree, two_disks};
use disk_image::{DiskPlan, Extent, PartitionPlan, PartitionType, Source, Table, Uuid, fat, write_table};
use flash::LEN_MIN;
use uki::{Section, append_section};
use verity::{RootHash, Salt};

use super::*;

const MIB: u64 = 1 << 20;
/// Blocks of the `/usr`.
const BLOCKS: u64 = 300;
const CONFIG: &str = "#cloud-config\nhostname: first\n";
/// Takes a file that has `good` in it, and says what it thinks of others.
const CLOUDINIT: &str =
    "#!/bin/sh\ncase $(cat) in *hostname*|*good*) exit 0 ;; esac\necho '-:2:1: error: no good'; exit 1\n";

struct Machine {
    tree: Tree,
    args: InstallArgs,
}

fn usr() -> Vec<u8> {
    (0..BLOCKS).flat_map(|block| [u8::try_from(block % 251).unwrap(); 4096]).collect()
}

fn uki(root_hash: &str) -> Vec<u8> {
    let cmdline = format!("rw usrhash={root_hash}");
    let sections = [
        (Section::Linux, "kernel"),
        (Section::OsRel, "ID=slipway\n"),
        (Section::Cmdline, cmdline.as_str()),
        (Section::Initrd, "initrd"),
    ];
    let add = |uki: Vec<u8>, (section, text): (Section, &str)| {
        append_section(&uki, section, text.as_bytes()).unwrap()
    };
    sections.into_iter().fold(kernel_args_stub(), add)
}

fn kernel_args_stub() -> Vec<u8> {
    crate::kernel_args::tests::stub()
}

impl Machine {
    /// Has another version on trial, records of tries, and kernel arguments on its ESP.
    fn new() -> Self {
        let tree = two_disks();
        let mut verity = Cursor::new(vec![0; 1 << 20]);
        let root = verity::build(&usr()[..], BLOCKS, &Salt([7; 32]), [1; 16], &mut verity).unwrap();
        let addon = uki::cmdline_addon(&kernel_args_stub(), "nomodeset").unwrap();
        tree.file("/dev/vdb", table(&root))
            .file("/dev/vdb5", verity.into_inner())
            .file("/dev/mapper/usr", usr())
            .file("/proc/cmdline", format!("rw usrhash={root}\n"))
            .file("/efi/EFI/BOOT/BOOTX64.EFI", kernel_args_stub())
            .file("/efi/EFI/Linux/slipway_2.0.0.efi", uki(&root.to_string()))
            .file("/efi/EFI/Linux/slipway_3.0.0+3.efi", "another")
            .file("/efi/loader/loader.conf", "timeout 3\n")
            .file("/efi/loader/addons/slipway-kernel-args.addon.efi", addon)
            .file("/efi/slipway/tries/3.0.0/1.json", "{}")
            .file("/oem/cloud-config.yml", CONFIG)
            .file("/oem/notes/of the owner", "x")
            .loader_variable("LoaderEntrySelected", "slipway_2.0.0.efi")
            .program("/usr/bin/slipway-cloudinit", CLOUDINIT)
            .file("/target", "");
        let mounts = fs::read_to_string(tree.host.path("/proc/self/mountinfo")).unwrap();
        let oem = "22 20 254:6 / /oem ro - vfat /dev/vdb6 ro\n";
        tree.file("/proc/self/mountinfo", format!("{mounts}{oem}"));
        fs::create_dir_all(tree.host.path("/sys/block")).unwrap();
        let device = tree.host.path("/target");
        File::options().write(true).open(&device).unwrap().set_len(LEN_MIN).unwrap();
        Self { tree, args: InstallArgs { device: Some(device), cloud_config: None, yes: true } }
    }

    fn target(&self) -> PathBuf {
        self.tree.host.path("/target")
    }

    fn install(&self) -> Result<(), String> {
        self.install_unless(&Stop(Arc::default()))
    }

    fn install_unless(&self, stop: &Stop) -> Result<(), String> {
        install(&self.tree.host, &self.args, &self.target(), stop).map_err(|err| format!("{err:#}"))
    }

    /// Fails unless it is refused with these words and the target is as it was.
    #[track_caller]
    fn check_refused(&self, expected: &str) {
        let refused = self.install().unwrap_err();
        assert!(refused.contains(expected), "{refused}");
        self.check_untouched();
    }

    #[track_caller]
    fn check_untouched(&self) {
        let mut start = [1; 8192];
        File::open(self.target()).unwrap().read_exact(&mut start).unwrap();
        assert_eq!(start, [0; 8192], "something was written");
    }
}

/// The table of the running disk.
fn table(root: &RootHash) -> Vec<u8> {
    use PartitionType::*;
    let (usr, verity) = slots::part_uuids(&root.0);
    let ours = |uuid: slots::PartUuid| Uuid::from_bytes(uuid.0);
    let partitions = [
        ("esp", Esp, Uuid::from_u128(1), 8),
        ("usr_1.0.0", UsrX86_64, Uuid::from_u128(2), 2),
        ("usr_1.0.0_verity", UsrVerityX86_64, Uuid::from_u128(3), 1),
        ("usr_2.0.0", UsrX86_64, ours(usr), 2),
        ("usr_2.0.0_verity", UsrVerityX86_64, ours(verity), 1),
        ("oem", BasicData, Uuid::from_u128(6), 5),
        ("root", RootX86_64, Uuid::from_u128(7), 2),
    ];
    let plan = DiskPlan {
        disk_guid: Uuid::from_u128(0xd15c),
        size_bytes: 24 * MIB,
        block_size: LogicalBlockSize::Lb512,
        partitions: partitions
            .map(|(label, kind, uuid, mib)| PartitionPlan {
                label: label.to_owned(),
                kind,
                uuid,
                size_bytes: mib * MIB,
            })
            .to_vec(),
    };
    let mut dev = Cursor::new(vec![0; 24 << 20]);
    write_table(&mut dev, &plan).unwrap();
    dev.into_inner()
}

fn names(dev: &mut File, extent: Extent, folder: &str) -> Vec<String> {
    fat::list(dev, extent, folder).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn the_running_version_is_installed_with_what_starts_it_and_nothing_of_the_machine() {
    let machine = Machine::new();
    machine.install().unwrap();
    let mut dev = File::options().read(true).write(true).open(machine.target()).unwrap();
    let table = Table::read(&mut dev, LogicalBlockSize::Lb512).unwrap();
    assert_eq!(table.source(), Source::Primary);
    assert_ne!(table.disk_guid(), Uuid::from_u128(0xd15c));
    let partitions = table.partitions();
    let labels: Vec<_> = partitions.iter().map(|it| it.label.as_str()).collect();
    assert_eq!(labels, ["esp", "usr_2.0.0", "usr_2.0.0_verity", "_empty", "_empty", "oem"]);

    let [esp, slot, verity] = [0, 1, 2].map(|idx| partitions[idx].extent);
    assert_eq!(names(&mut dev, esp, ""), ["EFI", "loader"]);
    assert_eq!(names(&mut dev, esp, "EFI/Linux"), ["slipway_2.0.0.efi"]);
    assert_eq!(names(&mut dev, esp, "loader/addons"), ["slipway-kernel-args.addon.efi"]);
    assert_eq!(fat::read_file(&mut dev, esp, "loader/loader.conf").unwrap(), b"timeout 3\n");
    for loader in ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"] {
        assert_eq!(fat::read_file(&mut dev, esp, loader).unwrap(), kernel_args_stub());
    }
    let mut found = vec![0; usr().len()];
    dev.seek(SeekFrom::Start(slot.offset)).unwrap();
    dev.read_exact(&mut found).unwrap();
    assert!(found == usr());
    let mut tree = disk_image::Window::new(&mut dev, verity);
    let root = machine.tree.host.root_hash().unwrap().unwrap().parse().unwrap();
    verity::verify(&found[..], &mut tree, &root).unwrap();
    let oem = partitions[5].extent;
    assert_eq!(fat::read_file(&mut dev, oem, "cloud-config.yml").unwrap(), CONFIG.as_bytes());
    assert_eq!(fat::read_file(&mut dev, oem, "notes/of the owner").unwrap(), b"x");
}

#[test]
fn another_cloud_config_takes_the_place_of_the_one_here() {
    let mut machine = Machine::new();
    machine.tree.file("/root/mine.yml", "#cloud-config\n# good\n");
    machine.args.cloud_config = Some(machine.tree.host.path("/root/mine.yml"));
    machine.install().unwrap();
    let mut dev = File::options().read(true).write(true).open(machine.target()).unwrap();
    let oem = Table::read(&mut dev, LogicalBlockSize::Lb512).unwrap().partitions()[5].extent;
    assert_eq!(names(&mut dev, oem, ""), ["cloud-config.yml", "notes"]);
    let found = fat::read_file(&mut dev, oem, "cloud-config.yml").unwrap();
    assert_eq!(found, b"#cloud-config\n# good\n");
}

#[test]
fn a_cloud_config_with_errors_is_refused_wherever_it_comes_from() {
    let mut machine = Machine::new();
    machine.tree.file("/oem/cloud-config.yml", "#cloud-config\nx: [a]\n");
    machine.check_refused("/oem/cloud-config.yml has errors and would change nothing: correct them first");
    machine.tree.file("/root/mine.yml", "#cloud-config\nx: [a]\n");
    machine.args.cloud_config = Some(machine.tree.host.path("/root/mine.yml"));
    machine.check_refused("mine.yml has errors");
    machine.args.cloud_config = Some(machine.tree.host.path("/root/no-such"));
    machine.check_refused("reading ");
    // Who checks has to be there.
    machine.args.cloud_config = None;
    fs::remove_file(machine.tree.host.path("/usr/bin/slipway-cloudinit")).unwrap();
    machine.check_refused("running ");
}

#[test]
fn first_boot_input_that_cannot_be_seen_is_not_left_behind() {
    let machine = Machine::new();
    let mounts = "20 1 254:7 / / rw - ext4 /dev/vdb7 rw\n21 20 253:0 / /usr ro - erofs /dev/mapper/usr ro\n";
    machine.tree.file("/proc/self/mountinfo", mounts).file("/run/slipway/disk/oem", "");
    machine.check_refused("/oem is not mounted: `systemctl start oem.mount`");
    fs::remove_file(machine.tree.host.path("/run/slipway/disk/oem")).unwrap();
    machine.install().unwrap();
}

#[test]
fn a_version_on_trial_is_not_installed() {
    let machine = Machine::new();
    machine.tree.loader_variable("LoaderBootCountPath", "\\EFI\\Linux\\slipway_2.0.0+2-1.efi");
    machine.check_refused("version 2.0.0 is on trial: wait until `slipway status` shows that it is good");
    machine.tree.file(boot_complete(), "");
    machine.install().unwrap();
}

fn boot_complete() -> &'static str {
    agent_support::boot::COMPLETE_FILE
}

#[test]
fn what_is_damaged_here_is_not_copied() {
    let check = |path: &str, damage: fn(Vec<u8>) -> Vec<u8>, expected: &str| {
        let machine = Machine::new();
        let bytes = fs::read(machine.tree.host.path(path)).unwrap();
        machine.tree.file(path, damage(bytes));
        machine.check_refused(expected);
    };
    let one_bit = |mut bytes: Vec<u8>| {
        bytes[3 * 4096 + 5] ^= 1;
        bytes
    };
    // Found before `/usr` is read.
    check("/dev/vdb5", one_bit, "checking the hash tree on /dev/vdb5: the disk may be failing");
    check("/dev/vdb5", |_| vec![0; 1 << 20], "verity superblock: expected signature");
    check("/dev/mapper/usr", |bytes| bytes[..100 * 4096].to_vec(), "its disk may be failing");
    check("/efi/EFI/Linux/slipway_2.0.0.efi", |_| uki(&"ab".repeat(32)), "it starts root hash abab");
    check("/efi/EFI/Linux/slipway_2.0.0.efi", |_| b"MZ".to_vec(), "checking slipway_2.0.0.efi");
    check("/efi/EFI/BOOT/BOOTX64.EFI", |_| b"MZ".to_vec(), "checking EFI/BOOT/BOOTX64.EFI");
    let machine = Machine::new();
    let other = RootHash([9; 32]);
    machine.tree.file("/dev/vdb", table(&other));
    machine.check_refused("partition 4 has UUID 09090909-");
    fs::remove_file(machine.tree.host.path("/efi/EFI/Linux/slipway_2.0.0.efi")).unwrap();
    machine.tree.file("/dev/vdb", table(&machine.tree.host.root_hash().unwrap().unwrap().parse().unwrap()));
    machine.check_refused("the entry of the running version 2.0.0 is gone");
}

#[test]
fn an_interruption_says_what_it_leaves() {
    let machine = Machine::new();
    let stop = Stop(Arc::new(AtomicBool::new(true)));
    assert_eq!(machine.install_unless(&stop).unwrap_err(), "interrupted; nothing was written");
    machine.check_untouched();

    let host = &machine.tree.host;
    let (source, go_on) = (source::collect(host).unwrap(), Stop(Arc::default()));
    let named = open::look(&host.path("/"), &machine.target(), ASKER.takes).unwrap();
    let composed = compose(&source, &named, &[]).unwrap();
    let survey = check(host, &source, (&composed, named.block_size()), &go_on).unwrap();
    let plan = Plan::new(&survey, LEN_MIN, &[], |_| Ok(())).unwrap();
    let mut opened = open_device(&named).unwrap();
    let parts = (&source, &composed, &plan);
    let err = write(host, &mut opened, Path::new("/dev/sdx"), parts, &stop).unwrap_err();
    assert_eq!(
        format!("{err:#}"),
        "/dev/sdx is incomplete and does not start, run the same command again: interrupted"
    );
    assert!(Table::read(&mut opened, LogicalBlockSize::Lb512).is_err());
}

#[test]
fn a_device_is_refused_with_the_reason() {
    let mut machine = Machine::new();
    File::options().write(true).open(machine.target()).unwrap().set_len(LEN_MIN - 512).unwrap();
    machine
        .check_refused("is not written: it has 7999999488 bytes, and at least 8000000000 (8 GB) are needed");
    let other = Path::new("/dev/null");
    let err = install(&machine.tree.host, &machine.args, other, &Stop(Arc::default())).unwrap_err();
    assert!(err.to_string().starts_with("/dev/null is not written: it is neither"), "{err}");
    let err = install(&machine.tree.host, &machine.args, Path::new("/no-such"), &Stop(Arc::default()));
    assert!(err.unwrap_err().to_string().ends_with("`slipway install` lists what there is"));
    machine.args.yes = false;
    File::options().write(true).open(machine.target()).unwrap().set_len(LEN_MIN).unwrap();
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        println!("skipped: somebody could answer here");
        return;
    }
    machine.check_refused("say --yes; nothing was written");
}

#[test]
fn the_running_disk_is_listed_with_the_reason_and_the_other_can_be_taken() {
    let machine = Machine::new();
    let path = |path: &str| machine.tree.host.path(path);
    for disk in ["vda", "vdb"] {
        let dir = format!("/sys/devices/pci0000:00/{disk}");
        machine
            .tree
            .file(&format!("{dir}/size"), "31250000\n")
            .file(&format!("{dir}/queue/logical_block_size"), "4096\n");
        symlink(path(&dir), path("/sys/block").join(disk)).unwrap();
    }
    machine
        .tree
        .file("/sys/devices/virtual/block/dm-0/dev", "253:0\n")
        .file("/sys/devices/pci0000:00/vdb/vdb4/holders/dm-0", "");
    symlink(path("/sys/devices/virtual/block/dm-0"), path("/sys/block/dm-0")).unwrap();
    let disks = flash::machine::disks(&path("/")).unwrap();
    let text = candidates::listing(ASKER, &disks, |_| "something".to_owned());
    let (may, may_not) = text.split_once("these may not:").unwrap();
    assert!(may.contains("`slipway install /dev/vda`") && !may.contains("vdb"), "{text}");
    assert!(may_not.contains("the running system is on it (dm-0: /usr): name another"), "{text}");
    let args = InstallArgs { device: None, ..machine.args };
    assert_eq!(run(&machine.tree.host, &args).unwrap(), ExitCode::from(2));
}
