//! A second version on a machine that has been changed.

use anyhow::ensure;

use crate::guest::Guest;
use crate::image::Image;
use crate::lab::Lab;
use crate::offline::Disk;

/// User and unit that the overlay `crates/e2e/next` adds.
const ADDED: &str = "e2e-added";

/// A version that adds a system user and a unit brings both, although `useradd` has copied the user database
/// into the machine's layer of /etc.
pub fn user_and_unit(lab: &Lab) -> anyhow::Result<()> {
    let next = lab.next_image()?;
    let guest = lab.editable_guest("one")?;
    guest.boot()?;
    guest.root("useradd --create-home alice && echo mine > /etc/mine")?;
    let absent = guest.try_root(&format!("getent passwd {ADDED}"))?;
    ensure!(absent.status != 0, "the first version has the user already: {}", absent.stdout);
    guest.power_off()?;
    Disk::open(guest.home())?.install(next, &next.blessed_entry())?;
    lab.say("installed the next version in slot B");
    guest.boot()?;
    lab.check("the next version runs", || runs(&guest, next))?;
    lab.check("its system user is there with its fixed number", || {
        let user = guest.sh(&format!("getent passwd {ADDED}"))?;
        ensure!(user.starts_with(&format!("{ADDED}:x:987:")), "{user}");
        Ok(())
    })?;
    lab.check("its unit runs as that user", || {
        let text = guest.sh(&format!("systemctl is-active {ADDED}.service; cat /run/{ADDED}/user"))?;
        ensure!(text == format!("active\n{ADDED}"), "{text}");
        Ok(())
    })?;
    lab.check("the machine's own user and file are still there", || {
        guest.root("getent passwd alice && test -d /home/alice && grep -qx mine /etc/mine").map(drop)
    })?;
    lab.check("the system is running", || {
        let state = guest.settled()?;
        ensure!(state == "running", "the system is {state}");
        Ok(())
    })
}

/// Fails when another version runs.
pub fn runs(guest: &Guest, image: &Image) -> anyhow::Result<()> {
    let found = guest.sh(". /usr/lib/os-release; echo $IMAGE_VERSION")?;
    ensure!(found == image.version.to_string(), "version {found} runs, not {}", image.version);
    Ok(())
}
