//! A version that does not work and was found good before: the only one stays up, another one takes over.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::next::runs;
use crate::guest::{BOOT, Guest};
use crate::image::Image;
use crate::lab::Lab;
use crate::offline::Disk;

/// Failures in a row after which a blessed entry is put last, if there is another.
const FAILURES_TO_PUT_LAST: usize = 2;
/// Seconds that the start may take before the health checks call it hanging; the product has ten minutes.
const HEALTH_DEADLINE_SECS: u32 = 150;
/// For one try to boot, fail, and reset the machine.
pub const TRY: Duration = Duration::from_secs(480);
/// A unit that never finishes starting, on one version only.
const HANGING_UNIT: &str = "[Unit]
Description=Never Finishes Starting
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecCondition=grep -qF 'IMAGE_VERSION=\"@\"' /usr/lib/os-release
ExecStart=sleep infinity
";

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
    gives_way(lab, &guest, next)
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

/// Lets a device that does not come be given up soon.
pub fn short_device_wait(guest: &Guest) {
    guest.configure(|machine| machine.cmdline_extra.push("systemd.default_device_timeout_sec=20".to_owned()));
}

/// Lets a start that does not end be given up soon.
pub fn short_health_wait(guest: &Guest) {
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

/// Powers on, and follows the failures of the blessed `next` until the first version runs again.
fn gives_way(lab: &Lab, guest: &Guest, next: &Image) -> anyhow::Result<()> {
    guest.power_on()?;
    lab.check("every failure ends in a reset", || {
        for reset in 1..=FAILURES_TO_PUT_LAST {
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
        ensure!(resets == FAILURES_TO_PUT_LAST, "{resets} resets");
        Ok(())
    })?;
    lab.check("the failed entry is put last", || {
        let names = guest.root("ls /efi/EFI/Linux")?;
        let expected = format!("{}_{}+0-{FAILURES_TO_PUT_LAST}.efi", next.product, next.version);
        ensure!(names.lines().any(|name| name == expected), "no {expected} among {names}");
        Ok(())
    })?;
    lab.check("status says which version failed", || {
        let status = guest.root("slipway status")?;
        ensure!(status.contains(&next.version.to_string()), "{status}");
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
