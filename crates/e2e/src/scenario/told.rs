//! User data from where the machine is told: a URL of the kernel's command line, then a drive.

mod script;
mod url;

use std::time::Duration;

use anyhow::ensure;

use crate::drive;
use crate::guest::Guest;
use crate::lab::Lab;

/// The drive's file, and what it is called: OpenStack's label, as FAT writes it.
const DRIVE: &str = "config-2.img";
const LABEL: &str = "CONFIG-2";
/// The name of the machine by the drive's metadata.
const NAME: &str = "told-by-drive";
/// A look at a unit.
const LOOK: Duration = Duration::from_secs(60);

/// The scenario.
pub fn comes_from_where_it_is_told(lab: &Lab) -> anyhow::Result<()> {
    let guest = lab.guest("one")?;
    let server = url::Server::start();
    guest.configure(|machine| machine.cmdline_extra.push(format!("cloud-config-url={}", server.url())));
    guest.boot()?;
    lab.check("a server in trouble was asked again until it answered", || server.was_asked())?;
    lab.check("units that were told to start in the wrong order do not hang the start", || {
        guest.settled_running()
    })?;
    url::checks(lab, &guest)?;
    guest.power_off()?;

    guest.configure(|machine| {
        machine.cmdline_extra.clear();
        machine.drives.push(DRIVE.to_owned());
    });
    // Only the metadata has the machine's own key from here on.
    guest.hand_in_no_key();
    let metadata = serde_json::json!({
        "uuid": "e2e",
        "hostname": NAME,
        "public_keys": { "mine": guest.home().public_key() },
    });
    let files = [
        ("openstack/latest/user_data", script::TEXT.as_bytes()),
        ("openstack/latest/meta_data.json", &metadata.to_string().into_bytes()),
    ];
    drive::make(&guest.home().dir().join(DRIVE), LABEL, &files)?;
    guest.boot()?;
    lab.say("core logged in with the key of the drive's metadata");
    lab.check("nothing waits for the script", || script::is_beside_the_boot(&guest))?;
    lab.check("the start ends", || guest.settled_running())?;
    lab.check("the drive was enough, and the stage of the network did not run", || {
        let state = guest.run("systemctl is-active slipway-cloudinit.service", LOOK)?.stdout;
        ensure!(state == "inactive", "it is {state}");
        Ok(())
    })?;
    lab.check("the metadata names the machine", || named(&guest, NAME))?;
    lab.check("what the URL's file made is gone, and its user is there", || url::gone(&guest))?;
    lab.check("the script ran in a unit of its own", || script::ran(&guest, 1))?;
    guest.reboot()?;
    lab.check("the script runs in the next boot too", || {
        script::is_beside_the_boot(&guest)?;
        script::ran(&guest, 2)
    })
}

fn named(guest: &Guest, expected: &str) -> anyhow::Result<()> {
    let text = guest.sh("cat /proc/sys/kernel/hostname /etc/hostname")?;
    ensure!(text.lines().eq([expected; 2]), "expected {expected} twice, found `{text}`");
    Ok(())
}
