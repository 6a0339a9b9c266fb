//! What could be written: a list of the machine's disks, with what is on them and why some are not written.

use std::fs::File;
use std::path::Path;

use crate::content::{self, shown};
use crate::open::{Named, Opened};
use crate::{Bus, Disk, Kind, Refusal, refusals};

/// Who asks, for the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The command before the name of a device.
    pub command: &'static str,
    /// Bytes of the logical blocks of disks that it takes.
    pub takes: &'static [u64],
}

/// Returns the list; `content` says what is on a disk.
pub fn listing(asker: Asker, disks: &[Disk], content: impl Fn(&Disk) -> String) -> String {
    let refusals = |disk: &Disk| refusals(disk, asker.takes);
    let disks = disks.iter().filter(|disk| disk.kind == Kind::Disk);
    let (may, may_not): (Vec<&Disk>, Vec<&Disk>) = disks.partition(|disk| refusals(disk).is_empty());
    let mut text = String::new();
    match may.first() {
        Some(first) => {
            text.push_str(&format!(
                "these may be written, name one: `{} /dev/{}` (all that is on it is lost)\n",
                asker.command, first.name
            ));
        }
        None => text.push_str("no device may be written: plug one in\n"),
    }
    for disk in &may {
        text.push_str(&format!("  {}\n      has {}\n", facts(disk), content(disk)));
    }
    if !may_not.is_empty() {
        text.push_str("these may not:\n");
    }
    for disk in &may_not {
        let reasons: Vec<_> = refusals(disk).iter().map(Refusal::to_string).collect();
        text.push_str(&format!("  {}\n      {}\n", facts(disk), reasons.join("; ")));
    }
    text.push_str("a regular file is taken too: `truncate --size 16G disk.raw`\n");
    text
}

/// Says what is on a disk, as far as this user may look.
pub fn content(disk: &Disk) -> String {
    let path = Path::new("/dev").join(&disk.name);
    let look = || content::look(&mut File::open(path)?, disk.logical_block_size());
    match look() {
        Ok(found) => found.to_string(),
        Err(err) => format!("what cannot be read: {err}"),
    }
}

/// Says which device it is and what will be lost.
pub fn described(named: &Named, opened: &mut Opened) -> String {
    let facts = match &named.disk {
        Some(disk) => facts(disk),
        None => format!("{}, {}", named.path.display(), decimal(opened.device_len())),
    };
    match content::look(opened, named.block_size()) {
        Ok(found) => format!("{facts}, has {found}"),
        Err(err) => format!("{facts}, cannot be read: {err}"),
    }
}

/// Says why a device is not written.
pub fn refused(path: &Path, refusals: &[Refusal]) -> String {
    let reasons: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    format!("{} is not written: {}", path.display(), reasons.join("; "))
}

/// Says which disk it is: name, length, bus, model.
pub fn facts(disk: &Disk) -> String {
    let bus = match disk.bus {
        Bus::Usb => "USB",
        Bus::Nvme => "NVMe",
        Bus::Mmc => "card",
        Bus::Virtio => "virtio",
        Bus::Ata => "ATA",
        Bus::Other => "disk",
    };
    let removable = if disk.removable { ", removable" } else { "" };
    let model = if disk.model.is_empty() { "no model known".to_owned() } else { shown(&disk.model) };
    format!("/dev/{}, {}, {bus}{removable}, {model}", disk.name, decimal(disk.len))
}

/// Returns a length as it is printed on devices: `16.00 GB`.
fn decimal(bytes: u64) -> String {
    let units = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000)];
    let (unit, size) = units.into_iter().find(|(_, size)| *size <= bytes).unwrap_or(("kB", 1000));
    format!("{}.{:02} {unit}", bytes / size, bytes % size * 100 / size)
}

#[cfg(test)]
mod tests {
    use crate::Use;

    use super::*;

    fn disk(name: &str, len: u64) -> Disk {
        Disk {
            name: name.to_owned(),
            kind: Kind::Disk,
            len,
            block_size: 512,
            read_only: false,
            removable: true,
            bus: Bus::Usb,
            model: "Test \u{1b}Stick".to_owned(),
            uses: vec![],
        }
    }

    const ASKER: Asker = Asker { command: "cargo xtask flash", takes: &[512] };

    #[test]
    fn candidates_come_first_and_the_others_with_their_reasons() {
        let mut system = disk("sda", 500_000_000_000);
        system.uses = vec![Use::Mounted { device: "sda2".to_owned(), at: "/".to_owned() }];
        let mut zram = disk("zram0", 16_000_000_000);
        zram.kind = Kind::Memory;
        let large = Disk { block_size: 4096, ..disk("sdd", 1_920_383_410_176) };
        let disks = [system, disk("sdb", 16_000_000_000), disk("sdc", 4_000_000_000), large, zram];
        let text = listing(ASKER, &disks, |disk| format!("what {} has", disk.name));
        expect_test::expect![[r"
            these may be written, name one: `cargo xtask flash /dev/sdb` (all that is on it is lost)
              /dev/sdb, 16.00 GB, USB, removable, Test ?Stick
                  has what sdb has
            these may not:
              /dev/sda, 500.00 GB, USB, removable, Test ?Stick
                  the running system is on it (sda2: /): name another device
              /dev/sdc, 4.00 GB, USB, removable, Test ?Stick
                  it has 4000000000 bytes, and at least 8000000000 (8 GB) are needed: take a larger one
              /dev/sdd, 1.92 TB, USB, removable, Test ?Stick
                  its logical blocks have 4096 bytes: expected 512; take another one
            a regular file is taken too: `truncate --size 16G disk.raw`
        "]]
        .assert_eq(&text);
        let text = listing(Asker { takes: &[512, 4096], ..ASKER }, &disks, |_| String::new());
        assert!(!text.contains("logical blocks"), "{text}");
    }

    #[test]
    fn a_machine_without_a_free_disk_is_told_what_to_do() {
        let text = listing(ASKER, &[], |_| String::new());
        assert!(text.starts_with("no device may be written: plug one in\n"), "{text}");
    }

    #[test]
    fn lengths_are_those_on_devices() {
        for (bytes, expected) in
            [(1500, "1.50 kB"), (8_000_000_000, "8.00 GB"), (2_000_398_934_016, "2.00 TB"), (0, "0.00 kB")]
        {
            assert_eq!(decimal(bytes), expected);
        }
    }
}
