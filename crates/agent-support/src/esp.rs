//! The EFI system partition: getting at it in any state of the machine, and the boot entries on it.
//!
//! It is changed without being mounted, by code of ours that no power cut divides; where somebody holds it mounted,
//! records are written through the kernel's driver. Readers mount it privately where the automount at `/efi` might
//! not answer: in the initrd, in emergency mode and while jobs hang. It is unmounted, so clean, as soon as they are
//! done. A second mount shares the first one's superblock, so both see the same files.

mod whole;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use slots::{Counter, EntryName, TRIES_MAX};

use crate::host::{self, Host};
use crate::topology;

pub use whole::{
    put_file, put_record, remove_files, remove_record, rename_entry, rename_entry_in_any_way, repair,
};

/// Mount point of the ESP in the running system.
const MOUNT_POINT: &str = "/efi";
/// Folder of the boot entries, below the ESP's mount point.
const ENTRIES_DIR: &str = "EFI/Linux";
/// How long others may need the ESP before it is had alone.
const ALONE_WAIT: Duration = Duration::from_secs(10);
/// How long the device of the ESP may take to appear; the initrd waits as long for `/usr`.
const DEVICE_WAIT: Duration = Duration::from_secs(20);

/// Runs `read` on the mounted ESP, preferring the mount at `/efi`, so that looking does not write anything.
pub fn read<T>(host: &Host, read: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mounts = host.read("/proc/self/mountinfo")?.unwrap_or_default();
    let at_efi = mounts.lines().any(|line| line.split(' ').nth(4) == Some(MOUNT_POINT));
    if !host.is_live() || at_efi { read(&host.path(MOUNT_POINT)) } else { visit(host, read) }
}

/// Mounts the ESP privately, shows it to `visit`, and unmounts it. To be read only: no power cut may divide what
/// is written.
pub fn visit<T>(host: &Host, visit: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    if !host.is_live() {
        return visit(&host.path(MOUNT_POINT));
    }
    let device = device(host).context("finding the EFI system partition")?;
    if let Err(err) = repair(&device) {
        // Whatever is wrong with it, it may still be read.
        eprintln!("warning: repairing {}: {err:#}", device.display());
    }
    mounted(&device, visit)
}

/// Mounts the repaired ESP privately, runs `write`, and unmounts it.
fn write<T>(host: &Host, write: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    if !host.is_live() {
        return write(&host.path(MOUNT_POINT));
    }
    let device = device(host).context("finding the EFI system partition")?;
    // The kernel's driver must not change a file whose clusters may be those of another.
    repair(&device).with_context(|| format!("repairing {}", device.display()))?;
    mounted(&device, write)
}

fn mounted<T>(device: &Path, work: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let point = PathBuf::from(format!("/run/slipway/esp.{}", std::process::id()));
    fs::create_dir_all(&point).with_context(|| format!("making {}", point.display()))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_when_free(device, &point, flags)
        .with_context(|| format!("mounting {} at {}", device.display(), point.display()))?;
    let res = work(&point);
    let unmounted =
        unmount(&point, UnmountFlags::empty()).with_context(|| format!("unmounting {}", point.display()));
    let value = res?;
    unmounted?;
    fs::remove_dir(&point).with_context(|| format!("removing {}", point.display()))?;
    Ok(value)
}

/// Mounts the ESP; one that another process has for itself is free again at once.
fn mount_when_free(device: &Path, point: &Path, flags: MountFlags) -> Result<(), Errno> {
    let start = Instant::now();
    loop {
        match mount(device, point, "vfat", flags, c"umask=0077") {
            Err(Errno::BUSY) if start.elapsed() < ALONE_WAIT => sleep(Duration::from_millis(100)),
            mounted => return mounted,
        }
    }
}

/// Returns the entries of `product` in the order in which the loader prefers them; other files are left out.
pub fn entries(esp: &Path, product: &str) -> anyhow::Result<Vec<EntryName>> {
    let names = host::sorted_names(&esp.join(ENTRIES_DIR))?;
    let mut entries: Vec<_> = names.iter().filter_map(|name| EntryName::parse(product, name).ok()).collect();
    entries.sort_by(slots::boot_order);
    Ok(entries)
}

/// Renames a blessed entry so that the boot loader sorts it last: no tries left, `done` tries made.
pub fn put_last(host: &Host, entry: &EntryName, done: u32) -> anyhow::Result<EntryName> {
    let counter = Some(Counter { left: 0, done: Some(done.min(TRIES_MAX)) });
    let last = EntryName { counter, ..entry.clone() };
    rename_entry_in_any_way(host, &entry.to_string(), &last.to_string())?;
    Ok(last)
}

/// Returns the block device of the ESP: the link of slipway-disk.service, or what the boot loader was read from.
///
/// The boot loader's variable alone would not do: the first boot gives the partition a new UUID.
fn device(host: &Host) -> anyhow::Result<PathBuf> {
    let link = host.path(topology::LINKS_DIR).join("esp");
    if link.exists() {
        return Ok(link);
    }
    let part_uuid = host
        .loader_variable("LoaderDevicePartUUID")?
        .context("the boot loader did not say where it was read from (no LoaderDevicePartUUID)")?;
    let path = host.path("/dev/disk/by-partuuid").join(part_uuid.to_lowercase());
    let start = Instant::now();
    while !path.exists() {
        anyhow::ensure!(
            start.elapsed() < DEVICE_WAIT,
            "{} did not appear within {} s",
            path.display(),
            DEVICE_WAIT.as_secs()
        );
        sleep(Duration::from_millis(100));
    }
    Ok(path)
}
