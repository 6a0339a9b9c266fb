//! Versions that do not work: a counted one is left after its tries, a blessed one without another stays.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::next::runs;
use crate::guest::{BOOT, Guest};
use crate::image::Image;
use crate::lab::Lab;
use crate::offline::Disk;

/// Tries of an update's entry. One scenario uses them all; the others begin with the last one, because each try
/// of theirs takes minutes.
const TRIES: u32 = 3;
/// What is left of them then.
const LAST_TRY: u32 = 1;
/// Failures in a row after which a blessed entry is put last, if there is another.
const FAILURES_TO_PUT_LAST: u32 = 2;
/// Seconds that the start may take before the health checks call it hanging; the product has ten minutes.
const HEALTH_DEADLINE_SECS: u32 = 150;
/// For one try to boot, fail, and reset the machine.
const TRY: Duration = Duration::from_secs(480);
/// A unit that never finishes starting, on one version only.
const HANGING_UNIT: &str = "[Unit]
Description=Never Finishes Starting
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecCondition=grep -qF 'IMAGE_VERSION=\"@\"' /usr/lib/os-release
ExecStart=sleep infinity
";

/// A counted entry whose engine cannot be read.
pub fn counted_bad_block(lab: &Lab) -> anyhow::Result<()> {
    let next = lab.next_image()?;
    let guest = changed_guest(lab)?;
    let mut disk = Disk::open(guest.home())?;
    let usr = disk.install(next, &next.counted_entry(LAST_TRY))?;
    disk.corrupt_file(guest.home().sandbox(), next, usr, "/sbin/dockerd")?;
    drop(disk);
    lab.say("installed the next version, counted, with a corrupted block of dockerd");
    falls_back(lab, &guest, next, LAST_TRY, "docker")
}

/// A counted entry whose slot does not exist.
pub fn counted_wrong_root_hash(lab: &Lab) -> anyhow::Result<()> {
    let next = lab.next_image()?;
    let guest = changed_guest(lab)?;
    let mut disk = Disk::open(guest.home())?;
    disk.install(next, &next.counted_entry(TRIES))?;
    disk.break_root_hash(next, &next.counted_entry(TRIES))?;
    drop(disk);
    lab.say("installed the next version, counted, with a wrong root hash");
    short_device_wait(&guest);
    falls_back(lab, &guest, next, TRIES, "")
}

/// A counted entry on which a unit never finishes starting.
pub fn counted_hanging_unit(lab: &Lab) -> anyhow::Result<()> {
    let next = lab.next_image()?;
    let guest = lab.editable_guest("one")?;
    guest.boot()?;
    install_hanging_unit(&guest, &next.version.to_string())?;
    guest.power_off()?;
    Disk::open(guest.home())?.install(next, &next.counted_entry(LAST_TRY))?;
    lab.say("installed the next version, counted, with a hanging unit");
    short_health_wait(&guest);
    falls_back(lab, &guest, next, LAST_TRY, "hanging.service")
}

/// A blessed entry whose slot does not exist, beside another blessed one.
pub fn blessed_gives_way(lab: &Lab) -> anyhow::Result<()> {
    let next = lab.next_image()?;
    let guest = lab.editable_guest("one")?;
    let mut disk = Disk::open(guest.home())?;
    disk.install(next, &next.blessed_entry())?;
    disk.break_root_hash(next, &next.blessed_entry())?;
    drop(disk);
    lab.say("installed the next version, blessed, with a wrong root hash");
    short_device_wait(&guest);
    falls_back(lab, &guest, next, FAILURES_TO_PUT_LAST, "")
}

/// The only blessed entry, with an engine that cannot be read: the machine stays up and can be entered.
pub fn blessed_bad_block(lab: &Lab) -> anyhow::Result<()> {
    let guest = lab.editable_guest("one")?;
    let image = &lab.setup.image;
    let mut disk = Disk::open(guest.home())?;
    let usr = disk.slot_of(image)?;
    disk.corrupt_file(guest.home().sandbox(), image, usr, "/sbin/dockerd")?;
    drop(disk);
    short_health_wait(&guest);
    guest.boot()?;
    stays_reachable(lab, &guest, "docker")
}

/// The only blessed entry, with a unit that never finishes starting.
pub fn blessed_hanging_unit(lab: &Lab) -> anyhow::Result<()> {
    let guest = lab.guest("one")?;
    guest.boot()?;
    install_hanging_unit(&guest, &lab.setup.image.version.to_string())?;
    guest.power_off()?;
    short_health_wait(&guest);
    guest.boot()?;
    stays_reachable(lab, &guest, "hanging.service")
}

/// The only blessed entry, with a slot that does not exist: a prompt after three failures in a row.
pub fn blessed_wrong_root_hash(lab: &Lab) -> anyhow::Result<()> {
    let guest = lab.editable_guest("one")?;
    let image = &lab.setup.image;
    Disk::open(guest.home())?.break_root_hash(image, &image.blessed_entry())?;
    short_device_wait(&guest);
    guest.power_on()?;
    lab.check("two failures reboot", || {
        for reset in 1..=2 {
            guest.wait_resets(reset, TRY)?;
            lab.say(&format!("reset {reset}"));
        }
        Ok(())
    })?;
    lab.check("the third opens a prompt", || {
        guest.wait_console("opening a prompt", 0, TRY)?;
        // A further reset would mean that nobody could use the prompt.
        std::thread::sleep(guest.patient(Duration::from_secs(30)));
        let resets = guest.resets()?;
        ensure!(resets == 2, "{resets} resets");
        Ok(())
    })
}

/// A machine whose disk was used by the first version and is off.
fn changed_guest(lab: &Lab) -> anyhow::Result<std::rc::Rc<Guest>> {
    let guest = lab.editable_guest("one")?;
    guest.boot()?;
    guest.settled()?;
    guest.power_off()?;
    Ok(guest)
}

fn short_device_wait(guest: &Guest) {
    guest.configure(|machine| machine.cmdline_extra.push("systemd.default_device_timeout_sec=20".to_owned()));
}

fn short_health_wait(guest: &Guest) {
    guest.configure(|machine| {
        let seconds = HEALTH_DEADLINE_SECS.to_string().into_bytes();
        machine.credentials.insert("slipway.health-deadline".to_owned(), seconds);
    });
}

fn install_hanging_unit(guest: &Guest, version: &str) -> anyhow::Result<()> {
    let unit = HANGING_UNIT.replace('@', version);
    let dir = "/etc/systemd/system";
    guest.root(&format!(
        "mkdir -p {dir}/multi-user.target.wants\n\
         cat > {dir}/hanging.service <<'END'\n{unit}END\n\
         ln -s ../hanging.service {dir}/multi-user.target.wants/hanging.service"
    ))?;
    Ok(())
}

/// Powers on, and follows the `left` tries of `next` until the first version runs again.
fn falls_back(lab: &Lab, guest: &Guest, next: &Image, left: u32, reason: &str) -> anyhow::Result<()> {
    let tries = usize::try_from(left)?;
    guest.power_on()?;
    lab.check("every try ends in a reset", || {
        for reset in 1..=tries {
            guest.wait_resets(reset, TRY)?;
            lab.say(&format!("reset {reset}"));
        }
        Ok(())
    })?;
    guest.wait_login(BOOT)?;
    lab.check("the first version runs again", || runs(guest, &lab.setup.image))?;
    lab.check("it settles and is not reset again", || {
        let state = guest.settled()?;
        ensure!(state == "running", "the system is {state}");
        let resets = guest.resets()?;
        ensure!(resets == tries, "{resets} resets");
        Ok(())
    })?;
    lab.check("the failed entry has no tries left", || {
        let names = guest.root("ls /efi/EFI/Linux")?;
        let expected = format!("{}_{}+0-{left}.efi", next.product, next.version);
        ensure!(names.lines().any(|name| name == expected), "no {expected} among {names}");
        Ok(())
    })?;
    lab.check("status says which version failed and why", || {
        let status = guest.root("slipway status")?;
        ensure!(status.contains(&next.version.to_string()) && status.contains(reason), "{status}");
        Ok(())
    })
}

/// Follows a machine that was booted into a failure until its health checks have given up.
fn stays_reachable(lab: &Lab, guest: &Guest, reason: &str) -> anyhow::Result<()> {
    lab.check("the health checks fail with a reason", || {
        let script = "until systemctl is-failed slipway-health.service; do sleep 2; done";
        let out = guest.run(script, Duration::from_secs(u64::from(HEALTH_DEADLINE_SECS) * 3))?;
        ensure!(out.status == 0, "slipway-health.service did not fail: {}", out.stdout);
        let status = guest.root("slipway status").context("asking for the status")?;
        ensure!(status.contains(reason), "no {reason} in {status}");
        Ok(())
    })?;
    lab.check("the machine is degraded and was never reset", || {
        // Time enough for a reboot that must not come.
        std::thread::sleep(guest.patient(Duration::from_secs(30)));
        let state = guest.run("systemctl is-system-running", Duration::from_secs(60))?.stdout;
        ensure!(["degraded", "starting"].contains(&state.as_str()), "the system is {state}");
        let resets = guest.resets()?;
        ensure!(resets == 0, "{resets} resets");
        guest.root("true").map(drop)
    })
}
