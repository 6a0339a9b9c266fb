//! `slipway disk`: gives a plain copy of the image an identity of its own and links the disk's partitions.
//!
//! Our tools look only at the disk that the running `/usr` is on; with two disks from one image in a machine,
//! labels and UUIDs in `/dev/disk` could name the other one's partitions.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;

use agent_support::host::Host;
use agent_support::topology::{self, Disk, LINKS_DIR};
use agent_support::{durable, esp, sealed};
use anyhow::Context;
use disk_image::{Table, Uuid, randomize_identity};
use rustix::fs::{FlockOperation, flock};

/// Exists while the disk still has the identity that every copy of the image starts with.
pub const FACTORY_IDENTITY_FILE: &str = "/run/slipway/factory-disk-identity";

/// Labels of the partitions that get a link of the same name.
const LINKED_LABELS: [&str; 2] = ["esp", "oem"];

/// Links the partitions and, on a plain copy of the image, makes the disk's identity new.
///
/// A disk whose identity cannot be made new is used as it is: the status warns.
pub fn run(host: &Host) -> anyhow::Result<()> {
    let disk = topology::usr_disk(host).context("finding the disk that /usr is on")?;
    if let Err(err) = own_identity(host, &disk) {
        durable::write(&host.path(FACTORY_IDENTITY_FILE), format!("{err:#}").as_bytes())?;
        eprintln!("warning: giving the disk its own identity: {err:#}");
    }
    link(host, &disk)?;
    repair_esp(host, &disk);
    Ok(())
}

/// Takes out what a cut left half made, before anything mounts the ESP in the running system. Through the
/// partition's device, whose cache a mount shares, and behind the new identity, which goes through the disk's.
fn repair_esp(host: &Host, disk: &Disk) {
    let Some(esp) = disk.partitions.iter().find(|partition| partition.label == "esp") else { return };
    let device = host.path(&format!("/dev/{}", esp.name));
    // An ESP that cannot be repaired is used as it is.
    if let Err(err) = esp::repair(&device) {
        eprintln!("warning: repairing {}: {err:#}", device.display());
    }
}

fn own_identity(host: &Host, disk: &Disk) -> anyhow::Result<()> {
    let factory: Uuid = sealed::image(host)?.disk_guid.parse().context("parsing disk_guid of image.json")?;
    let path = host.path(&disk.device());
    let block_size = disk.block_size()?;
    let mut dev = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let found =
        Table::read(&mut dev, block_size).with_context(|| format!("reading {}", path.display()))?.disk_guid();
    if found != factory {
        return Ok(());
    }
    let mut dev = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    // Keeps udev from looking at the partitions meanwhile (https://systemd.io/BLOCK_DEVICE_LOCKING/): what it
    // read would stay in the partitions' caches, and FAT writes its boot sector back from there.
    flock(&dev, FlockOperation::LockExclusive).with_context(|| format!("locking {}", path.display()))?;
    let mut random = File::open("/dev/random").context("opening /dev/random")?;
    let guid = randomize_identity(&mut dev, block_size, |buf| random.read_exact(buf))
        .with_context(|| format!("writing {}", path.display()))?;
    println!("{}: this copy of the image has its own identity now: {guid}", path.display());
    Ok(())
}

fn link(host: &Host, disk: &Disk) -> anyhow::Result<()> {
    let dir = host.path(LINKS_DIR);
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    replace_link(&dir.join("disk"), &disk.name)?;
    for label in LINKED_LABELS {
        if let Some(partition) = disk.partitions.iter().find(|partition| partition.label == label) {
            replace_link(&dir.join(label), &partition.name)?;
        }
    }
    Ok(())
}

fn replace_link(path: &Path, device: &str) -> anyhow::Result<()> {
    durable::remove(path)?;
    symlink(Path::new("/dev").join(device), path).with_context(|| format!("linking {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::{Tree, two_disks};
    use disk_image::fat::{self, FatSpec};
    use disk_image::{Extent, LogicalBlockSize};

    #[test]
    fn links_the_partitions_of_the_disk_that_usr_is_on() {
        let tree = two_disks();
        let disk = topology::usr_disk(&tree.host).unwrap();
        link(&tree.host, &disk).unwrap();
        link(&tree.host, &disk).unwrap();
        let target = |name: &str| fs::read_link(tree.host.path(LINKS_DIR).join(name)).unwrap();
        assert_eq!(target("disk"), Path::new("/dev/vdb"));
        assert_eq!(target("esp"), Path::new("/dev/vdb1"));
        assert_eq!(target("oem"), Path::new("/dev/vdb6"));
    }

    #[test]
    fn a_disk_whose_identity_cannot_be_made_new_is_linked_all_the_same() {
        let tree = two_disks();
        run(&tree.host).unwrap();
        assert!(tree.host.path(LINKS_DIR).join("esp").is_symlink());
        assert!(tree.host.read(FACTORY_IDENTITY_FILE).unwrap().unwrap().contains("image.json"));
    }

    #[test]
    fn only_a_plain_copy_gets_a_new_identity() {
        let tree = two_disks();
        let factory = "11111111-2222-3333-4444-555555555555";
        let image = format!(r#"{{"product":"slipway","version":"1.0.0","disk_guid":"{factory}"}}"#);
        tree.file("/usr/lib/slipway/image.json", image);
        make_disk(&tree, factory.parse().unwrap());
        let guid = || {
            let mut dev = File::open(tree.host.path("/dev/vdb")).unwrap();
            Table::read(&mut dev, LogicalBlockSize::Lb512).unwrap().disk_guid().to_string()
        };
        run(&tree.host).unwrap();
        let first = guid();
        assert_ne!(first, factory);
        run(&tree.host).unwrap();
        assert_eq!(guid(), first);
        assert!(!tree.host.path(FACTORY_IDENTITY_FILE).exists());
    }

    #[test]
    fn names_that_a_cut_left_half_made_are_gone_before_the_esp_is_mounted() {
        let tree = two_disks();
        let extent = Extent { offset: 0, len: 512 << 20 };
        tree.file("/dev/vdb1", "");
        let path = tree.host.path("/dev/vdb1");
        let mut dev = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        dev.set_len(extent.len).unwrap();
        let spec = FatSpec {
            label: "ESP".to_owned(),
            serial: 1,
            mtime_secs: 0,
            block_size: LogicalBlockSize::Lb512,
        };
        let files = [("EFI/Linux/slipway_1.0.0.efi", &b"whole"[..]), ("EFI/Linux/slipway_1.1.0.efi", &[])];
        fat::format(&mut dev, extent, &spec, files).unwrap();
        run(&tree.host).unwrap();
        let left = fat::list(&mut dev, extent, "EFI/Linux").unwrap();
        assert_eq!(left.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["slipway_1.0.0.efi"]);
    }

    fn make_disk(tree: &Tree, guid: Uuid) {
        let plan = disk_image::DiskPlan {
            disk_guid: guid,
            size_bytes: 8 << 20,
            block_size: LogicalBlockSize::Lb512,
            partitions: Vec::new(),
        };
        tree.file("/dev/vdb", vec![0; 8 << 20]);
        let path = tree.host.path("/dev/vdb");
        let mut dev = OpenOptions::new().read(true).write(true).open(path).unwrap();
        disk_image::write_table(&mut dev, &plan).unwrap();
    }
}
