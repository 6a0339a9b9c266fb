//! What could be flashed: a list of the machine's disks, with what is on them and why some are not written.

use std::fs::File;
use std::path::Path;

use ::flash::content::{self, shown};
use ::flash::open::{Named, Opened};
use ::flash::{Bus, Disk, Kind, Refusal, refusals};
use disk_image::LogicalBlockSize;
use indicatif::DecimalBytes;

/// Returns the list; `content` says what is on a disk.
pub fn listing(disks: &[Disk], content: impl Fn(&Disk) -> String) -> String {
    let disks: Vec<_> = disks.iter().filter(|disk| disk.kind == Kind::Disk).collect();
    let (may, may_not): (Vec<&Disk>, Vec<&Disk>) =
        disks.into_iter().partition(|disk| refusals(disk).is_empty());
    let mut text = String::new();
    match may.first() {
        Some(first) => {
            text.push_str(&format!(
                "these may be flashed, name one: `cargo xtask flash /dev/{}` (all that is on it is lost)\n",
                first.name
            ));
        }
        None => text.push_str("no device may be flashed: plug one in\n"),
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
    let look = || content::look(&mut File::open(path)?, LogicalBlockSize::Lb512);
    match look() {
        Ok(found) => found.to_string(),
        Err(err) => format!("what cannot be read: {err}"),
    }
}

/// Says which device it is and what will be lost.
pub fn described(named: &Named, opened: &mut Opened) -> String {
    let facts = match &named.disk {
        Some(disk) => facts(disk),
        None => format!("{}, {}", named.path.display(), DecimalBytes(opened.device_len())),
    };
    match content::look(opened, LogicalBlockSize::Lb512) {
        Ok(found) => format!("{facts}, has {found}"),
        Err(err) => format!("{facts}, cannot be read: {err}"),
    }
}

fn facts(disk: &Disk) -> String {
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
    format!("/dev/{}, {}, {bus}{removable}, {model}", disk.name, DecimalBytes(disk.len))
}

#[cfg(test)]
mod tests {
    use ::flash::Use;

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

    #[test]
    fn candidates_come_first_and_the_others_with_their_reasons() {
        let mut system = disk("sda", 500_000_000_000);
        system.uses = vec![Use::Mounted { device: "sda2".to_owned(), at: "/".to_owned() }];
        let mut zram = disk("zram0", 16_000_000_000);
        zram.kind = Kind::Memory;
        let disks = [system, disk("sdb", 16_000_000_000), disk("sdc", 4_000_000_000), zram];
        let text = listing(&disks, |disk| format!("what {} has", disk.name));
        expect_test::expect![[r"
            these may be flashed, name one: `cargo xtask flash /dev/sdb` (all that is on it is lost)
              /dev/sdb, 16.00 GB, USB, removable, Test ?Stick
                  has what sdb has
            these may not:
              /dev/sda, 500.00 GB, USB, removable, Test ?Stick
                  the running system is on it (sda2: /): name another device
              /dev/sdc, 4.00 GB, USB, removable, Test ?Stick
                  it has 4000000000 bytes, and at least 8000000000 (8 GB) are needed: take a larger one
            a regular file is taken too: `truncate --size 16G disk.raw`
        "]]
        .assert_eq(&text);
    }

    #[test]
    fn a_machine_without_a_free_disk_is_told_what_to_do() {
        let text = listing(&[], |_| String::new());
        assert!(text.starts_with("no device may be flashed: plug one in\n"), "{text}");
    }
}
