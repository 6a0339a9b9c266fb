//! The slots of the disk that the running `/usr` is on: which partitions they are, and which slot runs.

use anyhow::Context;
use disk_image::{SlotPartitions, Table};
use slots::Slot;

use super::{Disk, Partition};

/// The partitions of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotDevices {
    /// The data partition.
    pub usr: Partition,
    /// Its hash tree.
    pub verity: Partition,
}

/// The slots of the disk that the running `/usr` is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSlots {
    /// Slots A and B, in the order of [`Slot::ALL`].
    pub devices: [SlotDevices; 2],
    /// The one that the running `/usr` is on: never to be written.
    pub running: Slot,
}

/// Returns the slots of `disk`, whose partition table is `table`: by types and order, as [`disk_image::slots`].
pub fn disk_slots(disk: &Disk, table: &Table) -> anyhow::Result<DiskSlots> {
    let [a, b] = disk_image::slots(table).with_context(|| format!("finding the slots of {}", disk.name))?;
    let devices = |slot: SlotPartitions| -> anyhow::Result<SlotDevices> {
        Ok(SlotDevices { usr: partition(disk, slot.usr)?, verity: partition(disk, slot.verity)? })
    };
    let devices = [devices(a)?, devices(b)?];
    let is_running = |slot: &SlotDevices| {
        [&slot.usr, &slot.verity].iter().any(|partition| disk.usr_numbers.contains(&partition.number))
    };
    let running = match devices.each_ref().map(is_running) {
        [true, false] => Slot::A,
        [false, true] => Slot::B,
        [true, true] | [false, false] => anyhow::bail!(
            "/usr is on partitions {:?} of {}: expected those of one slot",
            disk.usr_numbers,
            disk.name
        ),
    };
    Ok(DiskSlots { devices, running })
}

fn partition(disk: &Disk, number: u32) -> anyhow::Result<Partition> {
    let partition = disk.partitions.iter().find(|partition| partition.number == number);
    partition.cloned().with_context(|| format!("the kernel knows no partition {number} of {}", disk.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use disk_image::LogicalBlockSize;
    use disk_image::PartitionType::{UsrVerityX86_64 as Verity, UsrX86_64 as Usr};
    use disk_image::{DiskPlan, PartitionPlan, PartitionType};
    use std::io::Cursor;

    /// A disk of six partitions: esp, four of the slots, oem; `/usr` is on `usr_numbers`.
    fn disk(usr_numbers: &[u32]) -> Disk {
        let partition = |number| Partition { name: format!("vda{number}"), number, label: String::new() };
        Disk {
            name: "vda".to_owned(),
            logical_block_size: 512,
            partitions: (1..=6).map(partition).collect(),
            usr_numbers: usr_numbers.to_vec(),
        }
    }

    /// The table of such a disk, with these types from its second partition on.
    fn table(slots: &[PartitionType]) -> Table {
        let kinds = [&[PartitionType::Esp], slots, &[PartitionType::BasicData]].concat();
        let partition = |(number, kind)| PartitionPlan {
            label: String::new(),
            kind,
            uuid: disk_image::cleared_uuid(number),
            size_bytes: disk_image::ALIGNMENT,
        };
        let plan = DiskPlan {
            disk_guid: disk_image::cleared_uuid(0xd15c),
            size_bytes: 8 << 20,
            block_size: LogicalBlockSize::Lb512,
            partitions: (1..).zip(kinds).map(partition).collect(),
        };
        let mut dev = Cursor::new(vec![0; 8 << 20]);
        disk_image::write_table(&mut dev, &plan).unwrap();
        Table::read(&mut dev, LogicalBlockSize::Lb512).unwrap()
    }

    #[track_caller]
    fn check_slots(types: [PartitionType; 4], usr: &[u32], expected: [[&str; 2]; 2], running: Slot) {
        let slots = disk_slots(&disk(usr), &table(&types)).unwrap();
        let names = slots.devices.each_ref().map(|slot| [slot.usr.name.as_str(), slot.verity.name.as_str()]);
        assert_eq!((names, slots.running), (expected, running));
    }

    #[test]
    fn slots_are_paired_by_type_and_order_of_the_table() {
        check_slots([Usr, Verity, Usr, Verity], &[2, 3], [["vda2", "vda3"], ["vda4", "vda5"]], Slot::A);
        check_slots([Usr, Verity, Usr, Verity], &[4, 5], [["vda2", "vda3"], ["vda4", "vda5"]], Slot::B);
        check_slots([Usr, Usr, Verity, Verity], &[3, 5], [["vda2", "vda4"], ["vda3", "vda5"]], Slot::B);
    }

    #[test]
    fn no_slot_is_taken_for_running_unless_it_alone_has_usr() {
        let table = table(&[Usr, Verity, Usr, Verity]);
        for usr in [&[][..], &[6], &[2, 5]] {
            let err = disk_slots(&disk(usr), &table).unwrap_err().to_string();
            assert_eq!(err, format!("/usr is on partitions {usr:?} of vda: expected those of one slot"));
        }
    }

    #[test]
    fn a_partition_that_only_the_table_has_is_named() {
        let mut short = disk(&[2, 3]);
        short.partitions.truncate(4);
        let err = disk_slots(&short, &table(&[Usr, Verity, Usr, Verity])).unwrap_err().to_string();
        assert_eq!(err, "the kernel knows no partition 5 of vda");
    }

    #[test]
    fn a_disk_without_two_slots_is_an_error() {
        let err = format!("{:#}", disk_slots(&disk(&[2]), &table(&[Usr, Verity])).unwrap_err());
        assert!(err.starts_with("finding the slots of vda: expected two usr"), "{err}");
    }
}
