//! What a reboot keeps, and kernel arguments that it brings into effect.

use anyhow::ensure;

use crate::guest::Guest;
use crate::lab::Lab;

/// Prints what has to be the same after a reboot.
const IDENTITY: &str = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /etc/motd.machine; \
                        getent passwd alice; stat -c %U /home/alice; lsblk -dno PTUUID /dev/vda; \
                        findmnt -no UUID /";

/// The scenario.
pub fn run(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    guest.settled()?;
    guest.root(
        "echo mine > /etc/motd.machine
         useradd --create-home --uid 1234 alice
         rm /etc/hosts
         slipway kernel-args set slipway.e2e=1",
    )?;
    let before = guest.sh(IDENTITY)?;
    let cmdline = guest.sh("cat /proc/cmdline")?;
    guest.reboot()?;
    lab.say("rebooted");
    lab.check("machine id, host key, users and files are the same", || {
        let after = guest.sh(IDENTITY)?;
        ensure!(before == after, "before:\n{before}\nafter:\n{after}");
        Ok(())
    })?;
    lab.check("a default that was removed stays removed", || guest.sh("test ! -e /etc/hosts").map(drop))?;
    lab.check("the kernel has the added argument behind the sealed ones", || {
        let now = guest.sh("cat /proc/cmdline")?;
        ensure!(now.contains("slipway.e2e=1"), "{now}");
        ensure!(!cmdline.contains("slipway.e2e"), "it was there before: {cmdline}");
        Ok(())
    })?;
    lab.check("the second boot reaches a running system too", || guest.settled_running())?;
    lab.check("kernel-args lists and clears", || {
        let listed = guest.root("slipway kernel-args list --json")?;
        ensure!(listed.contains("slipway.e2e=1"), "{listed}");
        guest.root("slipway kernel-args clear")?;
        let listed = guest.root("slipway kernel-args list")?;
        ensure!(!listed.lines().next().unwrap_or_default().contains("slipway.e2e=1"), "{listed}");
        Ok(())
    })
}
