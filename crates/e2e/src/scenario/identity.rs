//! What makes a machine itself: those of one image differ, and an emptied root gives a new one.

use std::collections::BTreeSet;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use vm::machine::DIR;

use crate::guest::Guest;
use crate::lab::Lab;
use crate::offline::Disk;

/// What identifies a machine, one per line.
const IDENTITY: [(&str, &str); 4] = [
    ("machine id", "cat /etc/machine-id"),
    ("SSH host key", "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub"),
    ("disk GUID", "lsblk -dno PTUUID /dev/vda"),
    ("root file system UUID", "findmnt -no UUID /"),
];

/// Machines of one image have nothing of it in common.
pub fn all_differ(guests: &[&Guest]) -> anyhow::Result<()> {
    let found = guests.iter().map(|guest| identity(guest)).collect::<Result<Vec<_>, _>>()?;
    for (index, (what, _)) in IDENTITY.iter().enumerate() {
        let values: BTreeSet<&str> = found.iter().map(|of_one| of_one[index].as_str()).collect();
        ensure!(
            values.len() == guests.len() && !values.contains(""),
            "the {what} is not their own: {values:?}"
        );
    }
    Ok(())
}

/// A03: with an emptied root file system the machine comes up again, provisioned as on a first boot.
pub fn emptied_root(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    let before = identity(guest)?;
    guest.root("touch /etc/of-the-old-root /srv/of-the-old-root")?;
    guest.power_off()?;
    let root = Disk::open(guest.home())?.root()?;
    let mut mkfs = guest.home().sandbox().clone().bind_at(guest.home().dir(), DIR).command("mke2fs");
    mkfs.args(["-q", "-F", "-t", "ext4", "-E", &format!("offset={}", root.offset), &format!("{DIR}/disk")]);
    mkfs.arg(format!("{}k", root.len / 1024));
    let out = mkfs.stdin(Stdio::null()).output().context("running mke2fs")?;
    ensure!(out.status.success(), "mke2fs failed: {}", String::from_utf8_lossy(&out.stderr));
    lab.say("emptied the root file system");
    guest.boot()?;
    lab.check("core can log in and /etc is populated", || {
        guest.root("test -s /etc/passwd && test -s /etc/ssh/sshd_config").map(drop)
    })?;
    lab.check("nothing of the old root is there", || {
        guest.root("test ! -e /etc/of-the-old-root && test ! -e /srv/of-the-old-root").map(drop)
    })?;
    lab.check("machine id and host key are new", || {
        let after = identity(guest)?;
        for index in [0, 1] {
            ensure!(before[index] != after[index], "{} is still {}", IDENTITY[index].0, after[index]);
        }
        Ok(())
    })?;
    lab.check("the system is running", || {
        let state = guest.settled()?;
        ensure!(state == "running", "the system is {state}");
        Ok(())
    })
}

fn identity(guest: &Guest) -> anyhow::Result<Vec<String>> {
    IDENTITY.iter().map(|(_, line)| guest.sh(line)).collect()
}
