//! Changes of names on the ESP that no power cut divides: outside the kernel's driver, on the unmounted device.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use disk_image::Extent;
use disk_image::fat::{self, RenameError, Volume};
use rustix::fs::OFlags;

use super::{ALONE_WAIT, ENTRIES_DIR, MOUNT_POINT, device, write};
use crate::host::Host;
use crate::{durable, tools};

/// Renames a boot entry, or a file that becomes one, so that a power cut leaves it under a whole name; not to be
/// called while this process has the ESP mounted. One that has the new name already is fine.
///
/// Where that cannot be done, the kernel's file system renames it: its entry can be gone after a cut.
pub fn rename_entry(host: &Host, from: &str, to: &str) -> anyhow::Result<()> {
    if host.is_live() {
        match rename_unmounted(host, from, to) {
            Ok(()) => return Ok(()),
            Err(err) => eprintln!("warning: renaming {from} in one piece: {err:#}; the kernel renames it"),
        }
    }
    write(host, |esp| {
        let dir = esp.join(ENTRIES_DIR);
        durable::rename(&dir.join(from), &dir.join(to))
    })
}

/// Gives two files in a folder of the ESP each other's content, so that a power cut leaves each name with one of
/// the two, whole; not to be called while this process has the ESP mounted.
pub fn exchange_files(host: &Host, folder: &str, one: &str, two: &str) -> anyhow::Result<()> {
    if !host.is_live() {
        return write(host, |esp| {
            let dir = esp.join(folder);
            let beside = dir.join(format!("{one}{}", durable::PARTIAL_SUFFIX));
            durable::rename(&dir.join(one), &beside)?;
            durable::rename(&dir.join(two), &dir.join(one))?;
            durable::rename(&beside, &dir.join(two))
        });
    }
    let (mut dev, whole) = alone(host)?;
    Ok(fat::exchange_whole(&mut dev, whole, folder, one, two)?)
}

fn rename_unmounted(host: &Host, from: &str, to: &str) -> anyhow::Result<()> {
    let (mut dev, whole) = alone(host)?;
    match fat::rename_whole(&mut dev, whole, ENTRIES_DIR, from, to) {
        Err(RenameError::Missing(_)) if has_entry(&mut dev, whole, to)? => Ok(()),
        renamed => Ok(renamed?),
    }
}

fn has_entry(dev: &mut File, whole: Extent, wanted: &str) -> anyhow::Result<bool> {
    let volume = Volume::read(dev, whole)?;
    let names = fat::read_folder(dev, &volume, ENTRIES_DIR)?;
    Ok(names.iter().any(|name| name.shown().eq_ignore_ascii_case(wanted)))
}

/// Opens the ESP's device with nobody else, and returns it with its extent.
fn alone(host: &Host) -> anyhow::Result<(File, Extent)> {
    let device = device(host).context("finding the EFI system partition")?;
    let mut dev = open_alone(host, &device).with_context(|| format!("opening {}", device.display()))?;
    let whole = whole(&mut dev)?;
    Ok((dev, whole))
}

/// Opens the device so that nobody can mount it meanwhile, once nobody has it mounted.
fn open_alone(host: &Host, device: &Path) -> anyhow::Result<File> {
    let start = Instant::now();
    loop {
        match open_exclusively(device) {
            Err(err) if err.kind() == ErrorKind::ResourceBusy && start.elapsed() < ALONE_WAIT => {}
            opened => return Ok(opened?),
        }
        // The automount would let go of it by itself only after a while of rest.
        if is_at_efi(&host.read("/proc/self/mountinfo")?.unwrap_or_default()) {
            tools::systemctl_stop("efi.mount")?;
        }
        sleep(Duration::from_millis(100));
    }
}

/// Opens a device so that nobody can mount it meanwhile; one that is mounted is busy.
pub(super) fn open_exclusively(device: &Path) -> std::io::Result<File> {
    // A mounted device cannot be opened exclusively, and one that is open so cannot be mounted.
    let exclusive = OFlags::EXCL.bits().cast_signed();
    File::options().read(true).write(true).custom_flags(exclusive).open(device)
}

/// Says whether the ESP itself, not only its automount, is mounted at `/efi`.
fn is_at_efi(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let is_there = line.split(' ').nth(4) == Some(MOUNT_POINT);
        is_there && line.split_once(" - ").is_some_and(|(_, rest)| rest.starts_with("vfat "))
    })
}

/// Returns the extent of a device.
pub(super) fn whole(dev: &mut File) -> anyhow::Result<Extent> {
    Ok(Extent { offset: 0, len: dev.seek(SeekFrom::End(0)).context("measuring the device")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn only_the_file_system_itself_counts_as_mounted() {
        let automount = "40 30 0:50 / /efi rw,relatime shared:20 - autofs systemd-1 rw,fd=70\n";
        let mounted = "60 40 254:1 / /efi rw,nosuid shared:30 - vfat /dev/vda1 rw,umask=0077\n";
        let elsewhere = "61 30 254:1 / /run/slipway/esp.7 rw - vfat /dev/vda1 rw\n";
        assert!(!is_at_efi(automount));
        assert!(is_at_efi(&format!("{automount}{mounted}")));
        assert!(!is_at_efi(&format!("{automount}{elsewhere}")));
    }

    #[test]
    fn exchanged_files_have_each_others_content() {
        let tree = Tree::new();
        tree.file("/efi/EFI/BOOT/BOOTX64.EFI", "old");
        tree.file("/efi/EFI/BOOT/BOOTX64.EFI.new", "new");
        exchange_files(&tree.host, "EFI/BOOT", "BOOTX64.EFI", "BOOTX64.EFI.new").unwrap();
        let read = |name: &str| tree.host.read(&format!("/efi/EFI/BOOT/{name}")).unwrap().unwrap();
        assert_eq!((read("BOOTX64.EFI").as_str(), read("BOOTX64.EFI.new").as_str()), ("new", "old"));
        assert_eq!(tree.host.list("/efi/EFI/BOOT").unwrap().len(), 2);
    }
}
