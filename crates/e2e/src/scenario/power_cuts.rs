//! Every cut of power while a machine takes another version.

use std::time::Duration;

use anyhow::ensure;

use crate::cuts;
use crate::guest::{BOOT, Guest};
use crate::lab::Lab;
use crate::offline::Disk;
use crate::site::Site;

/// Tries of the counted entry.
const TRIES: u32 = 3;
/// From an offer to the reboot into it.
const UPDATE: Duration = Duration::from_secs(900);
/// Ends when the service has taken the counter off the entry's name.
const BLESSED: &str = "systemctl start boot-complete.target systemd-bless-boot.service
                       /usr/lib/systemd/systemd-bless-boot status | grep -qx good";

/// The first boot of the disk and of the counted version in its slot B, blessing, and records on the ESP.
pub fn first_boot(lab: &Lab) -> anyhow::Result<()> {
    let next = lab.next_image()?;
    let guest = lab.editable_guest("one")?;
    Disk::open(guest.home())?.install(next, &next.counted_entry(TRIES))?;
    guest.record()?;
    guest.boot()?;
    lab.check("the counted version runs and is blessed", || {
        runs_slot_of(&guest, &next.root_hash)?;
        guest.settled()?;
        guest.root(BLESSED).map(drop)
    })?;
    lab.check("blessing again, with /efi in use just before, changes nothing", || {
        let before = guest.root("ls /efi/EFI/Linux && systemctl is-active efi.mount")?;
        let after = guest.root("systemctl restart systemd-bless-boot.service && ls /efi/EFI/Linux")?;
        ensure!(before == format!("{after}\nactive"), "before:\n{before}\nafter:\n{after}");
        Ok(())
    })?;
    guest.root("slipway kernel-args set slipway.e2e=1 && slipway kernel-args clear && sync")?;
    guest.power_cut();
    lab.say("recorded");
    cuts::judge_all(lab, guest.home(), &[&lab.setup.image, next])?;
    boot_from_last_cut(lab, &guest)
}

/// F03: a whole update from a server, its first boot, blessing, and the loader's replacement.
pub fn update(lab: &Lab) -> anyhow::Result<()> {
    let next = lab.next_image()?;
    let site = Site::start(lab)?;
    site.offer(next, 1)?;
    let guest = lab.editable_guest("one")?;
    Disk::open(guest.home())?.age_loaders()?;
    guest.boot()?;
    guest.settled()?;
    guest.power_off()?;
    guest.record()?;
    guest.boot()?;
    guest.settled()?;
    let resets = guest.resets()?;
    site.tell(&guest, "reboot")?;
    lab.check("the machine takes the version and reboots", || {
        guest.wait_resets(resets + 1, UPDATE)?;
        guest.wait_login(BOOT)
    })?;
    lab.check("the next version runs, is blessed, and brought its boot loader", || {
        guest.settled()?;
        runs_slot_of(&guest, &next.root_hash)?;
        guest.root(BLESSED)?;
        guest.root("systemctl start slipway-update-blessed.service")?;
        let history = guest.root("slipway-update history; sync")?;
        ensure!(history.contains("systemd-boot"), "no new boot loader in the history:\n{history}");
        Ok(())
    })?;
    guest.power_cut();
    lab.say("recorded");
    let images = [&lab.setup.image, next];
    let summary = cuts::judge_all(lab, guest.home(), &images)?;
    cuts::start_some(lab, &guest, &summary, &images)
}

/// The recording's last cut, rebuilt, starts: what was judged is what the machine wrote.
fn boot_from_last_cut(lab: &Lab, recorded: &Guest) -> anyhow::Result<()> {
    let next = lab.next_image()?;
    let guest = lab.bare_guest("rebuilt")?;
    let last = cuts::count(lab, recorded.home())? - 1;
    let cut = cuts::rebuild(lab, recorded.home(), last, guest.home())?;
    lab.say(&format!("rebuilt the disk at {cut:?}"));
    guest.boot()?;
    lab.check("a rebuilt disk starts with the version that was blessed", || {
        runs_slot_of(&guest, &next.root_hash)
    })
}

/// Fails when `/usr` is not the one with that root hash.
fn runs_slot_of(guest: &Guest, root_hash: &str) -> anyhow::Result<()> {
    let cmdline = guest.sh("cat /proc/cmdline")?;
    ensure!(cmdline.contains(&format!("usrhash={root_hash}")), "another slot runs: {cmdline}");
    Ok(())
}
