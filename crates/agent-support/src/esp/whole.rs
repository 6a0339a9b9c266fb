//! Changes of files on the ESP that no power cut divides: outside the kernel's driver, on the unmounted device.
//!
//! None is to be called while this process has the ESP mounted. Elsewhere than on a running machine the ESP is a
//! folder, and so a file system that renames in one piece.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use disk_image::Extent;
use disk_image::fat::{self, ChangeError, Volume};
use rustix::fs::{Advice, OFlags, fadvise};

use super::{ALONE_WAIT, ENTRIES_DIR, MOUNT_POINT, device, write};
use crate::host::Host;
use crate::{durable, tools};

/// Renames a boot entry so that a power cut leaves it under a whole name. One that has the new name already is
/// fine.
pub fn rename_entry(host: &Host, from: &str, to: &str) -> anyhow::Result<()> {
    if !host.is_live() {
        return rename_mounted(host, from, to);
    }
    let (mut dev, whole) = alone(host)?;
    match fat::rename_whole(&mut dev, whole, ENTRIES_DIR, from, to) {
        Err(ChangeError::Missing(_)) if has_entry(&mut dev, whole, to)? => Ok(()),
        renamed => Ok(renamed?),
    }
}

/// Renames a boot entry like [`rename_entry`]; where that cannot be done, the kernel's file system renames it, and
/// it can be gone after a cut. For what must be done: blessing, and putting last an entry that fails.
pub fn rename_entry_in_any_way(host: &Host, from: &str, to: &str) -> anyhow::Result<()> {
    rename_entry(host, from, to).or_else(|err| {
        eprintln!("warning: renaming {from} in one piece: {err:#}; the kernel renames it");
        rename_mounted(host, from, to)
    })
}

/// Writes a file to a folder of the ESP, whole or not at all: `check` is given what reads back from the disk
/// before it gets its name. A file of that name is replaced, and has one of the two contents after a power cut.
pub fn put_file(
    host: &Host,
    folder: &str,
    name: &str,
    from: &mut File,
    check: impl FnOnce(&mut dyn Read) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let len = u32::try_from(from.metadata().context("looking at the file")?.len());
    let len = len.context("the file is larger than FAT stores")?;
    if !host.is_live() {
        return write(host, |esp| durable::write_checked(&esp.join(folder).join(name), from, check));
    }
    let (mut dev, whole) = alone(host)?;
    let stored = fat::store(&mut dev, whole, from, len)?;
    fadvise(&dev, 0, None, Advice::DontNeed).context("forgetting what is cached of the device")?;
    check(&mut Parts { dev: &dev, left: stored.extents.clone() })?;
    Ok(fat::put_whole(&mut dev, whole, folder, name, &stored)?)
}

/// Writes a small file below the ESP's root, and the folders on the way; a power cut leaves the old one or the new
/// one. Where somebody holds the ESP mounted, the kernel writes it, and a cut can leave none.
pub fn put_record(host: &Host, folder: &str, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let by_kernel = || write(host, |esp| durable::write(&esp.join(folder).join(name), bytes));
    if !host.is_live() {
        return by_kernel();
    }
    let put = || -> anyhow::Result<()> {
        let len = u32::try_from(bytes.len()).context("it is larger than FAT stores")?;
        let (mut dev, whole) = alone(host)?;
        fat::make_folders(&mut dev, whole, folder)?;
        let stored = fat::store(&mut dev, whole, &mut &*bytes, len)?;
        Ok(fat::put_whole(&mut dev, whole, folder, name, &stored)?)
    };
    put().or_else(|err| {
        eprintln!("warning: writing {folder}/{name} in one piece: {err:#}; the kernel writes it");
        by_kernel()
    })
}

/// Removes a file, or a folder with all that is in it; a missing one is fine. Where somebody holds the ESP
/// mounted, the kernel removes it.
pub fn remove_record(host: &Host, folder: &str, name: &str) -> anyhow::Result<()> {
    let by_kernel = || write(host, |esp| durable::remove_all(&esp.join(folder).join(name)));
    if !host.is_live() {
        return by_kernel();
    }
    remove_files(host, folder, &[name.to_owned()]).or_else(|err| {
        eprintln!("warning: removing {folder}/{name} in one piece: {err:#}; the kernel removes it");
        by_kernel()
    })
}

/// Removes files from a folder of the ESP; missing ones are fine. A power cut leaves each whole or gone.
pub fn remove_files(host: &Host, folder: &str, names: &[String]) -> anyhow::Result<()> {
    if !host.is_live() {
        let remove = |esp: &Path, name: &String| durable::remove(&esp.join(folder).join(name)).map(drop);
        return write(host, |esp| names.iter().try_for_each(|name| remove(esp, name)));
    }
    let (mut dev, whole) = alone(host)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Ok(fat::remove_whole(&mut dev, whole, folder, &names)?)
}

fn rename_mounted(host: &Host, from: &str, to: &str) -> anyhow::Result<()> {
    write(host, |esp| {
        let dir = esp.join(ENTRIES_DIR);
        durable::rename(&dir.join(from), &dir.join(to))
    })
}

fn has_entry(dev: &mut File, whole: Extent, wanted: &str) -> anyhow::Result<bool> {
    let volume = Volume::read(dev, whole)?;
    let names = fat::read_folder(dev, &volume, ENTRIES_DIR)?;
    Ok(names.iter().any(|name| name.shown().eq_ignore_ascii_case(wanted)))
}

/// Parts of a device, one after the other.
struct Parts<'a> {
    dev: &'a File,
    left: Vec<Extent>,
}

impl Read for Parts<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(part) = self.left.first_mut() else { return Ok(0) };
        let most = usize::try_from(part.len).unwrap_or(usize::MAX).min(buf.len());
        let n = self.dev.read_at(&mut buf[..most], part.offset)?;
        let n_bytes = u64::try_from(n).map_err(io::Error::other)?;
        (part.offset, part.len) = (part.offset + n_bytes, part.len - n_bytes);
        if part.len == 0 {
            self.left.remove(0);
        }
        Ok(n)
    }
}

/// Opens the ESP's device with nobody else, repairs it, and returns it with its extent.
fn alone(host: &Host) -> anyhow::Result<(File, Extent)> {
    let device = device(host).context("finding the EFI system partition")?;
    let mut dev = open_alone(host, &device).with_context(|| format!("opening {}", device.display()))?;
    let whole = whole(&mut dev)?;
    repair_opened(&mut dev, whole, &device).with_context(|| format!("repairing {}", device.display()))?;
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
            tools::systemctl_begin_stop("efi.mount")?;
        }
        sleep(Duration::from_millis(100));
    }
}

/// Takes names that a power cut left half made out of the FAT on `device`, frees lost clusters, and makes the rest
/// agree, unless it is mounted: then whoever mounted it did that before. The kernel's driver would free clusters
/// of others with such names, or turn read-only.
pub fn repair(device: &Path) -> anyhow::Result<()> {
    let mut dev = File::open(device).context("opening it")?;
    let whole = whole(&mut dev)?;
    if fat::faulty_names(&mut dev, whole)?.is_empty() && fat::is_settled(&mut dev, whole)? {
        return Ok(());
    }
    match open_exclusively(device) {
        Err(err) if err.kind() == ErrorKind::ResourceBusy => Ok(()),
        opened => repair_opened(&mut opened.context("opening it for writing")?, whole, device),
    }
}

fn repair_opened(dev: &mut File, whole: Extent, device: &Path) -> anyhow::Result<()> {
    for taken in fat::repair_names(dev, whole)? {
        eprintln!("{}: a power cut left {taken}: took out the name", device.display());
    }
    let n_lost = fat::settle(dev, whole)?.lost_clusters;
    if n_lost != 0 {
        eprintln!("{}: a power cut left {n_lost} clusters without a name: freed them", device.display());
    }
    Ok(())
}

/// Opens a device so that nobody can mount it meanwhile; one that is mounted is busy.
fn open_exclusively(device: &Path) -> io::Result<File> {
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
fn whole(dev: &mut File) -> anyhow::Result<Extent> {
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
    fn a_file_that_does_not_read_back_gets_no_name() {
        let tree = Tree::new();
        tree.file("/tmp/new", "new").file("/efi/EFI/BOOT/BOOTX64.EFI", "old");
        let from = || File::open(tree.host.path("/tmp/new")).unwrap();
        let put = |check: fn(&mut dyn Read) -> anyhow::Result<()>| {
            put_file(&tree.host, "EFI/BOOT", "BOOTX64.EFI", &mut from(), check)
        };
        let now = || tree.host.read("/efi/EFI/BOOT/BOOTX64.EFI").unwrap().unwrap();
        assert!(put(|_| anyhow::bail!("no")).is_err());
        assert_eq!(now(), "old");
        put(|read| {
            anyhow::ensure!(io::read_to_string(read)? == "new");
            Ok(())
        })
        .unwrap();
        assert_eq!(now(), "new");
        remove_files(&tree.host, "EFI/BOOT", &["none".to_owned(), "BOOTX64.EFI".to_owned()]).unwrap();
        assert_eq!(tree.host.list("/efi/EFI/BOOT").unwrap(), ["BOOTX64.EFI.partial"; 0]);
    }

    #[test]
    fn records_come_with_their_folders_and_go_with_them() {
        let tree = Tree::new();
        put_record(&tree.host, "slipway/tries/1.0.0", "1.json", b"one").unwrap();
        put_record(&tree.host, "slipway/tries/1.0.0", "1.json", b"two").unwrap();
        assert_eq!(tree.host.read("/efi/slipway/tries/1.0.0/1.json").unwrap().unwrap(), "two");
        for _ in 0..2 {
            remove_record(&tree.host, "slipway/tries", "1.0.0").unwrap();
            assert_eq!(tree.host.list("/efi/slipway/tries").unwrap(), [""; 0]);
        }
    }

    #[test]
    fn parts_of_a_device_read_as_one() {
        let tree = Tree::new();
        tree.file("/dev/disk", "0123456789");
        let dev = File::open(tree.host.path("/dev/disk")).unwrap();
        let left = [(7, 2), (0, 3)].map(|(offset, len)| Extent { offset, len }).to_vec();
        assert_eq!(io::read_to_string(Parts { dev: &dev, left }).unwrap(), "78012");
    }

    #[test]
    fn a_device_is_repaired_before_it_is_used() {
        use std::io::Write as _;

        use disk_image::LogicalBlockSize;

        let tree = Tree::new();
        tree.file("/dev/esp", "");
        let path = tree.host.path("/dev/esp");
        let mut dev = File::options().read(true).write(true).open(&path).unwrap();
        dev.set_len(512 << 20).unwrap();
        let spec = fat::FatSpec {
            label: "ESP".to_owned(),
            serial: 1,
            mtime_secs: 0,
            block_size: LogicalBlockSize::Lb512,
        };
        let all = whole(&mut dev).unwrap();
        fat::format(&mut dev, all, &spec, [("EFI/Linux/a.efi", &b""[..]), ("b", &[1; 9000])]).unwrap();
        dev.seek(SeekFrom::Start(65)).unwrap();
        dev.write_all(&[1]).unwrap();
        repair(&path).unwrap();
        assert!(
            fat::is_settled(&mut dev, all).unwrap() && fat::faulty_names(&mut dev, all).unwrap().is_empty()
        );
        assert_eq!(fat::list(&mut dev, all, "EFI/Linux").unwrap(), []);
    }
}
