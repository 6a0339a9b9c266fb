//! Updates from a static web server, without a person.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::next::runs;
use crate::guest::{BOOT, Guest};
use crate::image::Image;
use crate::lab::Lab;
use crate::site::Site;

/// From an offer to the reboot into it: the agent looks at its settings twice a minute, then fetches and writes.
const UPDATE: Duration = Duration::from_secs(600);
/// Of the payload, most that two builds of the same packages may differ in, in percent.
const FETCHED_MAX: u64 = 10;

/// F01: version 1 takes 2 by itself, keeps what the machine has, and goes back when told to; 2 is not taken again.
pub fn over_and_back(lab: &Lab) -> anyhow::Result<()> {
    let (first, next) = (&lab.setup.image, lab.next_image()?);
    let site = Site::start(lab)?;
    site.offer(next, 1)?;
    let guest = lab.guest("one")?;
    guest.boot()?;
    guest.settled()?;
    guest.root("echo mine > /etc/mine; echo kept > /var/lib/kept; useradd --create-home alice")?;
    let resets = guest.resets()?;
    site.tell(&guest)?;
    lab.check("the machine takes the version and reboots without a command", || {
        guest.wait_resets(resets + 1, UPDATE).with_context(|| last_word(&guest))?;
        guest.wait_login(BOOT)
    })?;
    lab.check("the next version runs from the other slot and is blessed", || {
        let state = guest.settled()?;
        ensure!(state == "running", "the system is {state}");
        runs(&guest, next)?;
        let slot = guest.root("slipway status --json")?;
        ensure!(slot.contains("\"name\": \"B\"") || slot.contains("\"name\":\"B\""), "not in slot B: {slot}");
        entries(&guest, &[first.blessed_entry(), next.blessed_entry()])
    })?;
    lab.check("most of it was copied from the old slot", || little_was_fetched(&guest, next))?;
    lab.check("what the machine had is there", || {
        guest.root("grep -qx mine /etc/mine; grep -qx kept /var/lib/kept; test -d /home/alice").map(drop)
    })?;
    guest.root("slipway-update rollback")?;
    guest.reboot()?;
    lab.check("after a rollback the first version runs from its slot", || {
        let state = guest.settled()?;
        ensure!(state == "running", "the system is {state}");
        runs(&guest, first)
    })?;
    lab.check("the version that was rolled back is not taken again", || {
        let out = guest.try_root("slipway-update apply")?;
        ensure!(format!("{} {}", out.stdout, out.stderr).contains("held"), "{} {}", out.stdout, out.stderr);
        runs(&guest, first)
    })
}

fn entries(guest: &Guest, expected: &[String]) -> anyhow::Result<()> {
    let names = guest.root("ls /efi/EFI/Linux")?;
    for name in expected {
        ensure!(names.lines().any(|found| found == name), "no {name} among {names}");
    }
    Ok(())
}

fn little_was_fetched(guest: &Guest, image: &Image) -> anyhow::Result<()> {
    let text = guest.root("slipway-update status --json")?;
    let status: serde_json::Value = serde_json::from_str(&text).context("parsing the status")?;
    let number =
        |key: &str| status.pointer(&format!("/last_update/{key}")).and_then(serde_json::Value::as_u64);
    let (fetched, payload) =
        number("fetched").zip(number("payload")).with_context(|| format!("no figures in {text}"))?;
    ensure!(
        0 < fetched && fetched * 100 < payload * FETCHED_MAX,
        "{fetched} of {payload} bytes of version {} were fetched",
        image.version
    );
    Ok(())
}

/// What the agent says when nothing came of it.
fn last_word(guest: &Guest) -> String {
    let line = "systemctl status slipway-update.service --no-pager -n 20; slipway-update status";
    guest.try_root(line).map_or_else(|err| format!("{err:#}"), |out| out.stdout)
}
