//! `slipway whose-disk`: whether a disk is another than the one that was started, for udev (61-slipway-disk.rules).
//!
//! Two disks with one version have partitions of the same UUIDs, by which `usrhash=` finds `/usr`. In the initrd the disk
//! is known by its EFI system partition, which the boot loader named; later, when that may have got a new UUID, by the
//! running `/usr`.

use std::fs::File;
use std::path::Path;

use agent_support::host::Host;
use agent_support::topology;
use anyhow::{Context, bail};
use disk_image::{LogicalBlockSize, PartitionType, Table, Uuid};

/// Property of a disk that the rules look at.
const PROPERTY: &str = "SLIPWAY_DISK";

/// Prints the property. On an error nothing, and the partitions keep their links, as on a machine with one disk.
pub fn run(host: &Host, device: &Path) -> anyhow::Result<()> {
    let name = device.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no name", device.display()))?;
    println!("{PROPERTY}={}", if is_own(host, name)? { "own" } else { "other" });
    Ok(())
}

fn is_own(host: &Host, name: &str) -> anyhow::Result<bool> {
    if !host.in_initrd() {
        return Ok(topology::usr_disk(host)?.name == name);
    }
    // Without a boot loader that says it, no disk is another.
    let Some(started) = host.loader_variable("LoaderDevicePartUUID")? else { return Ok(true) };
    let started: Uuid = started.parse().context("parsing the EFI variable LoaderDevicePartUUID")?;
    let path = host.path(&format!("/dev/{name}"));
    let mut dev = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let table = Table::read(&mut dev, block_size(host, name)?)
        .with_context(|| format!("reading {}", path.display()))?;
    let is_started =
        |it: &disk_image::Partition| it.type_guid == PartitionType::Esp.guid() && it.uuid == started;
    Ok(table.partitions().iter().any(is_started))
}

fn block_size(host: &Host, name: &str) -> anyhow::Result<LogicalBlockSize> {
    let path = format!("/sys/class/block/{name}/queue/logical_block_size");
    let text = host.read(&path)?.with_context(|| format!("reading {path}: no such file"))?;
    match text.trim() {
        "512" => Ok(LogicalBlockSize::Lb512),
        "4096" => Ok(LogicalBlockSize::Lb4096),
        found => bail!("{name} has blocks of {found} bytes: expected 512 or 4096"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use agent_support::testing::{Tree, two_disks};
    use disk_image::{DiskPlan, PartitionPlan, write_table};

    use super::*;

    const STARTED: Uuid = Uuid::from_u128(0xe59);

    /// A machine in its initrd with a disk whose EFI system partition has that UUID.
    fn initrd(esp: Uuid, block_size: LogicalBlockSize) -> Tree {
        let tree = Tree::new();
        let partition = |label: &str, kind, uuid| PartitionPlan {
            label: label.to_owned(),
            kind,
            uuid,
            size_bytes: 1 << 20,
        };
        let plan = DiskPlan {
            disk_guid: Uuid::from_u128(7),
            size_bytes: 8 << 20,
            block_size,
            partitions: vec![
                partition("esp", PartitionType::Esp, esp),
                // The same number elsewhere says nothing.
                partition("oem", PartitionType::BasicData, STARTED),
            ],
        };
        let mut dev = Cursor::new(vec![0; 8 << 20]);
        write_table(&mut dev, &plan).unwrap();
        tree.file("/etc/initrd-release", "")
            .file("/dev/sda", dev.into_inner())
            .file("/sys/class/block/sda/queue/logical_block_size", format!("{}\n", block_size.as_u64()));
        tree
    }

    #[test]
    fn in_the_initrd_the_disk_is_the_one_with_the_loaders_partition() {
        for block_size in [LogicalBlockSize::Lb512, LogicalBlockSize::Lb4096] {
            for (esp, expected) in [(STARTED, true), (Uuid::from_u128(1), false)] {
                let tree = initrd(esp, block_size);
                tree.loader_variable("LoaderDevicePartUUID", &STARTED.to_string().to_uppercase());
                assert_eq!(is_own(&tree.host, "sda").unwrap(), expected);
            }
        }
    }

    #[test]
    fn without_a_loader_that_says_it_no_disk_is_another() {
        assert!(is_own(&initrd(Uuid::from_u128(1), LogicalBlockSize::Lb512).host, "sda").unwrap());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_it() {
        let tree = initrd(STARTED, LogicalBlockSize::Lb512);
        tree.loader_variable("LoaderDevicePartUUID", &STARTED.to_string());
        tree.file("/dev/sda", vec![0; 8 << 20]);
        let err = format!("{:#}", is_own(&tree.host, "sda").unwrap_err());
        assert!(err.contains("/dev/sda: the disk has no valid GPT"), "{err}");
        tree.file("/sys/class/block/sda/queue/logical_block_size", "520\n");
        let err = format!("{:#}", is_own(&tree.host, "sda").unwrap_err());
        assert_eq!(err, "sda has blocks of 520 bytes: expected 512 or 4096");
    }

    #[test]
    fn the_rules_are_the_same_in_both_systems_and_about_slots() {
        let rules = include_str!("../../../overlays/slipway/usr/lib/udev/rules.d/61-slipway-disk.rules");
        let of_initrd =
            include_str!("../../../overlays/slipway/initrd/usr/lib/udev/rules.d/61-slipway-disk.rules");
        assert_eq!(rules, of_initrd);
        let [usr, verity] =
            [PartitionType::UsrX86_64, PartitionType::UsrVerityX86_64].map(PartitionType::guid);
        assert!(rules.contains(&format!("{{ID_PART_ENTRY_TYPE}}!=\"{usr}|{verity}\"")), "{rules}");
        assert!(rules.contains(&format!("{{{PROPERTY}}}!=\"other\"")), "{rules}");
    }

    #[test]
    fn later_the_disk_is_the_one_with_the_running_usr() {
        let tree = two_disks();
        assert!(is_own(&tree.host, "vdb").unwrap());
        assert!(!is_own(&tree.host, "vda").unwrap());
        // Whatever the loader's partition is called by now.
        tree.loader_variable("LoaderDevicePartUUID", &STARTED.to_string());
        assert!(is_own(&tree.host, "vdb").unwrap());
    }
}
