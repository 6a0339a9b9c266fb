//! What a reboot keeps, kernel arguments that it brings into effect, and a network that is late.

use anyhow::{Context as _, ensure};

use crate::guest::{BOOT, Guest};
use crate::lab::Lab;

/// Prints what has to be the same after a reboot.
const IDENTITY: &str = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /etc/motd.machine; \
                        getent passwd alice; stat -c %U /home/alice; lsblk -dno PTUUID /dev/vda; \
                        findmnt -no UUID /";

/// A service that starts when there is a network, or none is waited for any longer, and says so.
const WANTS_NETWORK: &str = "
mkdir -p /etc/systemd/system
cat > /etc/systemd/system/after-network.service <<'END'
[Unit]
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
ExecStart=/usr/bin/echo started after the network
StandardOutput=journal+console
[Install]
WantedBy=multi-user.target
END
systemctl enable --quiet after-network.service";

/// The scenario.
pub fn run(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    guest.settled()?;
    guest.root(
        "echo mine > /etc/motd.machine
         useradd --create-home --uid 1234 alice
         rm /etc/hosts
         slipway kernel-args set slipway.e2e=1",
    )?;
    guest.root(WANTS_NETWORK)?;
    let before = guest.sh(IDENTITY)?;
    let cmdline = guest.sh("cat /proc/cmdline")?;
    lab.check("a start does not wait for ever for a network that is late", || reboot_before_network(guest))?;
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
    lab.check("the second boot reaches a running system too, for all that the network was late", || {
        guest.settled_running()?;
        guest.sh("test -e /run/slipway/boot-complete").map(drop)
    })?;
    lab.check("kernel-args lists and clears", || {
        let listed = guest.root("slipway kernel-args list --json")?;
        ensure!(listed.contains("slipway.e2e=1"), "{listed}");
        guest.root("slipway kernel-args clear")?;
        let listed = guest.root("slipway kernel-args list")?;
        ensure!(!listed.lines().next().unwrap_or_default().contains("slipway.e2e=1"), "{listed}");
        Ok(())
    })
}

/// Reboots, pulls the cable meanwhile, and puts it in when the start has gone on without.
fn reboot_before_network(guest: &Guest) -> anyhow::Result<()> {
    let mark = guest.vm()?.console().context("the machine has no console log")?.mark();
    guest.reset()?;
    guest.pull_cable()?;
    guest.wait_console("started after the network", mark, BOOT)?;
    guest.plug_cable()?;
    guest.wait_login(BOOT)?;
    let status = guest.sh("systemctl show -P ExecMainStatus systemd-networkd-wait-online.service")?;
    ensure!(status == "1", "the wait for the network ended with {status}: there was one");
    Ok(())
}
