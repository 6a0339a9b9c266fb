//! Drives that hold user data: found by label, only where a person with a stick in the hand is no danger, and
//! mounted for as long as they are read.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Command;

use agent_support::host::Host;
use agent_support::topology;
use anyhow::{Context as _, bail, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// For root alone: the file systems of such drives let everybody read.
const PRIVATE: &str = "/run/slipway/cloudinit-drive";
/// Where a drive is mounted for the moment.
const MOUNT: &str = "/run/slipway/cloudinit-drive/mount";
/// Where the kernel shows disks and their partitions, and what is on SCSI and ATA.
const DISKS: &str = "/sys/class/block";
const SCSI: &str = "/sys/bus/scsi/devices";
/// Type of a CD or DVD drive on SCSI.
const SCSI_DISC: &str = "5";
/// How names of disks begin that the kernel makes up.
const VIRTUAL: [&str; 6] = ["dm-", "loop", "md", "nbd", "ram", "zram"];
/// Longest time for devices to appear.
const SETTLE_SECONDS: u32 = 30;
/// File systems of such drives.
const TYPES: [&str; 3] = ["iso9660", "vfat", "udf"];
/// What says whether drives count: `1` everywhere, `0` nowhere, else in virtual machines.
const ARGUMENT: &str = "coreos.configdrive=";

/// Returns the path of a drive with one of these labels.
pub(super) fn find(host: &Host, labels: [&str; 2]) -> anyhow::Result<Option<String>> {
    let paths = labels.map(|label| format!("/dev/disk/by-label/{label}"));
    let Some(path) = paths.into_iter().find(|path| host.path(path).exists()) else { return Ok(None) };
    Ok(count(host)?.then_some(path))
}

/// Tells whether drives count on this machine.
pub(super) fn count(host: &Host) -> anyhow::Result<bool> {
    let arguments = host.kernel_args()?;
    match arguments.iter().rev().find_map(|argument| argument.strip_prefix(ARGUMENT)) {
        Some(value) => Ok(value == "1"),
        None => is_virtual(host),
    }
}

/// Tells whether a drive's label may become known yet: whether the machine has anything but the disk that it runs
/// from. Who has no drive does not wait for one; the kernel knows the disks and the places of discs since the initrd.
pub(super) fn may_come(host: &Host) -> bool {
    let others = topology::usr_disk(host).and_then(|own| has_others(host, &own.name));
    // Waiting is the safe side.
    others.unwrap_or(true)
}

fn has_others(host: &Host, own: &str) -> anyhow::Result<bool> {
    let is_drive = |name: &str| {
        let is_virtual = VIRTUAL.iter().any(|start| name.starts_with(start));
        let is_partition = host.path(&format!("{DISKS}/{name}/partition")).exists();
        name != own && !is_virtual && !is_partition
    };
    if names(host, DISKS)?.iter().any(|name| is_drive(name)) {
        return Ok(true);
    }
    // The driver of discs comes later than they.
    for name in names(host, SCSI)? {
        let kind = host.read(&format!("{SCSI}/{name}/type"))?;
        if kind.is_some_and(|kind| kind.trim() == SCSI_DISC) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns what is in a folder; without the folder that is nothing.
fn names(host: &Host, folder: &str) -> anyhow::Result<Vec<String>> {
    let path = host.path(folder);
    let listing = match fs::read_dir(&path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.with_context(|| format!("listing {}", path.display()))?,
    };
    let names = listing.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().with_context(|| format!("listing {}", path.display()))
}

/// Waits until every device that is there is known by its label, for a bounded time.
pub(super) fn settle(host: &Host) -> anyhow::Result<()> {
    if !host.is_live() {
        return Ok(());
    }
    let status = Command::new("udevadm").arg("settle").arg(format!("--timeout={SETTLE_SECONDS}")).status();
    let status = status.context("running udevadm")?;
    ensure!(
        status.success(),
        "the machine's devices did not settle within {SETTLE_SECONDS} s: drives may be missing"
    );
    Ok(())
}

/// Tells whether the processor says that somebody emulates it.
fn is_virtual(host: &Host) -> anyhow::Result<bool> {
    let text = host.read("/proc/cpuinfo")?.unwrap_or_default();
    let mut flags = text.lines().filter(|line| line.starts_with("flags"));
    Ok(flags.any(|line| line.split_whitespace().any(|flag| flag == "hypervisor")))
}

/// Reads a drive, mounted for as long. A folder is taken as it is: it is a drive that somebody mounted.
pub(super) fn with_mounted<T>(
    host: &Host,
    at: &str,
    read: impl FnOnce(&Path) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let device = host.path(at);
    if device.is_dir() {
        return read(&device);
    }
    let folder = host.path(MOUNT);
    make_private(&host.path(PRIVATE), &folder).with_context(|| format!("making {}", folder.display()))?;
    mount_read_only(&device, &folder)?;
    let read = read(&folder);
    unmount(&folder, UnmountFlags::DETACH).with_context(|| format!("unmounting {}", folder.display()))?;
    read
}

fn make_private(private: &Path, folder: &Path) -> io::Result<()> {
    if let Some(above) = private.parent() {
        fs::create_dir_all(above)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(private)?;
    fs::create_dir_all(folder)
}

/// Mounts a drive so that nothing on it runs, is a device, or leads elsewhere.
fn mount_read_only(device: &Path, folder: &Path) -> anyhow::Result<()> {
    let flags = MountFlags::RDONLY
        | MountFlags::NODEV
        | MountFlags::NOEXEC
        | MountFlags::NOSUID
        | MountFlags::NOSYMFOLLOW;
    let mut said = Vec::new();
    for kind in TYPES {
        match mount(device, folder, kind, flags, None) {
            Ok(()) => return Ok(()),
            Err(err) => said.push(format!("as {kind}: {err}")),
        }
    }
    bail!("mounting {}: {}", device.display(), said.join("; "))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn drives_count_in_virtual_machines_unless_the_kernels_arguments_say_otherwise() {
        let tree = Tree::new();
        tree.file("/dev/disk/by-label/B", "").file("/proc/cmdline", "quiet\n");
        let found = || find(&tree.host, ["A", "B"]).unwrap();
        assert_eq!(found(), None);
        tree.file("/proc/cmdline", "coreos.configdrive=0 coreos.configdrive=1\n");
        assert_eq!(found().as_deref(), Some("/dev/disk/by-label/B"));
        tree.file("/proc/cmdline", "quiet\n").file("/proc/cpuinfo", "flags\t\t: fpu hypervisor\n");
        assert!(found().is_some());
        tree.file("/proc/cmdline", "coreos.configdrive=0\n");
        assert_eq!(found(), None);
        assert_eq!(find(&tree.host, ["C", "D"]).unwrap(), None);
    }

    #[test]
    fn a_drive_is_waited_for_where_the_kernel_knows_more_than_the_machines_own_disk() {
        let tree = Tree::new();
        assert!(may_come(&tree.host), "it is not known which disk is the own one");
        tree.file("/sys/class/block/vda/size", "1").file("/sys/class/block/vda1/partition", "1");
        tree.file("/sys/class/block/dm-0/size", "1").file("/sys/class/block/loop0/size", "0");
        tree.file("/sys/bus/scsi/devices/0:0:0:0/type", "0\n");
        assert!(!has_others(&tree.host, "vda").unwrap());
        assert!(has_others(&tree.host, "sda").unwrap());
        tree.file("/sys/bus/scsi/devices/1:0:0:0/type", "5\n");
        assert!(has_others(&tree.host, "vda").unwrap(), "a CD drive");
        let tree = Tree::new();
        tree.file("/sys/class/block/vdb/size", "1");
        assert!(has_others(&tree.host, "vda").unwrap());
    }

    #[test]
    fn what_is_no_drive_is_told_with_what_was_tried() {
        let tree = Tree::new();
        tree.file("/dev/disk/by-label/A", "");
        let err = with_mounted(&tree.host, "/dev/disk/by-label/A", |_| Ok(())).unwrap_err().to_string();
        assert!(err.starts_with("mounting ") && err.contains("as iso9660: "), "{err}");
        let mode = |path: &str| fs::metadata(tree.host.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(PRIVATE), 0o700);
    }
}
