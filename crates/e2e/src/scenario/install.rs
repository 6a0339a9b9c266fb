//! A stick that was flashed, a disk that it is installed onto, and both in one machine.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use vm::machine::{Bus, FurtherDisk};

use super::update;
use crate::guest::Guest;
use crate::lab::{DISK_BYTES, Lab};
use crate::onto;
use crate::site::Site;

const CONFIG: &str = "#cloud-config\nhostname: from-a-stick\n";
/// Names of the disks in the guest.
const STICK: &str = "sda";
const DISK: &str = "nvme0n1";
/// Reading `/usr` three times and writing it once.
const INSTALL: Duration = Duration::from_secs(600);

/// Starts from a stick although the disk has the same version, installs onto the disk, starts from that with the stick
/// still in, takes the stick out, and takes an update.
pub fn from_stick_to_disk(lab: &Lab) -> anyhow::Result<()> {
    let (image, next) = (&lab.setup.image, lab.next_image()?);
    let guest = lab.bare_guest("one")?;
    let (first, other) = (guest.home().disk(), guest.home().dir().join("other"));
    onto::stick(image, &first, DISK_BYTES, CONFIG)?;
    onto::disk_4096(image, &other, DISK_BYTES)?;
    guest.home().new_vars()?;
    let further = |bus| vec![FurtherDisk { file: "other".to_owned(), bus }];
    guest.configure(|machine| (machine.bus, machine.further_disks) = (Bus::Usb, further(Bus::Nvme4096)));
    guest.boot()?;
    lab.check("everything comes from the stick, although the disk has the same version", || {
        comes_from(&guest, STICK)
    })?;
    lab.check("root fills the stick, and its cloud-config was applied", || has_become_itself(&guest))?;
    lab.check("the stick is listed as what the system runs from, the disk as what may be taken", || {
        listed(&guest)
    })?;
    lab.check("it is installed onto the disk", || installed(&guest))?;
    guest.power_off()?;

    let aside = guest.home().dir().join("aside");
    for (from, to) in [(&first, &aside), (&other, &first), (&aside, &other)] {
        std::fs::rename(from, to).with_context(|| format!("renaming {}", from.display()))?;
    }
    guest.configure(|machine| (machine.bus, machine.further_disks) = (Bus::Nvme4096, further(Bus::Usb)));
    guest.boot()?;
    lab.check("with the stick still in, everything comes from the disk", || comes_from(&guest, DISK))?;
    lab.check("root fills the disk, and the stick's cloud-config was applied", || has_become_itself(&guest))?;
    lab.check("the disk has blocks of 4096 bytes", || {
        let size = guest.sh(&format!("cat /sys/block/{DISK}/queue/logical_block_size"))?;
        ensure!(size == "4096", "blocks have {size} bytes");
        Ok(())
    })?;
    lab.check("the stick can be taken out", || {
        let id = FurtherDisk::id(0);
        guest.vm()?.qmp().execute("device_del", serde_json::json!({ "id": id }))?;
        guest.sh(&format!("until ! test -e /dev/{STICK}; do sleep 1; done"))?;
        guest.settled_running()?;
        comes_from(&guest, DISK)
    })?;

    let site = Site::start(lab)?;
    site.tell(&guest, "off")?;
    site.offer(next, 1)?;
    lab.check("an update is written onto the disk", || update::wait_until_taken(&guest, &next.version))?;
    guest.reboot()?;
    lab.check("without the stick it starts from the disk's other slot and is found good", || {
        update::arrived(&guest, next, "B", &[image, next])?;
        comes_from(&guest, DISK)
    })
}

/// Fails unless `/usr`, `/`, `/oem` and the ESP are on that disk.
fn comes_from(guest: &Guest, disk: &str) -> anyhow::Result<()> {
    let script =
        "lsblk -nrso NAME /dev/mapper/usr | grep -vx usr; ls /efi >/dev/null; systemctl start oem.mount
                  for at in / /oem /efi; do findmnt -nro SOURCE --mountpoint $at | grep ^/dev; done
                  for link in /dev/disk/by-partuuid/*; do readlink -f $link; done";
    let found = guest.root(script)?;
    let names: Vec<_> = found.lines().map(|line| line.trim_start_matches("/dev/")).collect();
    let numbers = [2, 3, 7, 6, 1];
    let partition = |number: u32| match disk {
        DISK => format!("{disk}p{number}"),
        _ => format!("{disk}{number}"),
    };
    for number in numbers {
        ensure!(names.contains(&partition(number).as_str()), "no {} in {names:?}", partition(number));
    }
    // Links by the UUID of the slot are made for the disk alone that was started.
    let other = if disk == DISK { STICK } else { DISK };
    let slot = |name: &&&str| name.starts_with(other) && (name.ends_with('2') || name.ends_with('3'));
    ensure!(!names.iter().any(|name| slot(&name)), "a slot of {other} is linked: {names:?}");
    Ok(())
}

fn has_become_itself(guest: &Guest) -> anyhow::Result<()> {
    let bytes: u64 = guest.sh("df --output=size -B1 / | tail -1")?.trim().parse().context("reading df")?;
    ensure!(DISK_BYTES / 2 < bytes, "/ has {bytes} bytes of a disk of {DISK_BYTES}");
    let name = guest.sh("hostname")?;
    ensure!(name == "from-a-stick", "it is called {name}");
    guest.settled_running()
}

fn listed(guest: &Guest) -> anyhow::Result<()> {
    let out = guest.try_root("slipway install")?;
    let (may, may_not) = out.stderr.split_once("these may not:").with_context(|| out.stderr.clone())?;
    ensure!(out.status == 2 && may.contains(&format!("slipway install /dev/{DISK}")), "{}", out.stderr);
    ensure!(may.contains("usr_") && !may.contains(STICK), "{}", out.stderr);
    ensure!(may_not.contains("the running system is on it"), "{}", out.stderr);
    let refused = guest.try_root(&format!("slipway install --yes /dev/{STICK}"))?;
    ensure!(refused.status == 1 && refused.stderr.contains("name another device"), "{}", refused.stderr);
    Ok(())
}

fn installed(guest: &Guest) -> anyhow::Result<()> {
    let out = guest.run(&format!("sudo slipway install --yes /dev/{DISK}"), INSTALL)?;
    let expected = format!("take out /dev/{STICK}");
    ensure!(out.status == 0 && out.stderr.contains(&expected), "{}: {}", out.status, out.stderr);
    Ok(())
}
