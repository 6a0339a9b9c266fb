//! The first boot of an image on a larger disk: what runs, what is sealed, what the console says.

use anyhow::{Context as _, ensure};
use disk_image::{LogicalBlockSize, Table};
use std::fs::File;

use crate::guest::Guest;
use crate::lab::{DISK_BYTES, Lab};

/// What must be among the packages (A01), by the start of a name.
const PRESENT: [&str; 6] =
    ["linux-image-", "systemd", "etcd-server", "openssh-server", "docker.io", "containerd"];
/// What must not, as package or program.
const ABSENT: [&str; 4] = ["python3", "java", "nginx", "mysql"];

/// The scenario.
pub fn run(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    lab.check("the system is running and no unit failed", || running(guest))?;
    lab.check("boot-complete.target was reached", || {
        guest.sh("systemctl is-active boot-complete.target multi-user.target docker.service").map(drop)
    })?;
    lab.say(&guest.sh("systemd-analyze time | head -1")?);
    lab.check("/usr is erofs on dm-verity with the manifest's root hash", || verity(lab, guest))?;
    lab.check("/usr refuses writes and a writable remount", || sealed(guest))?;
    lab.check("the packages are a container host's and nothing else's", || packages(guest))?;
    lab.check("root fills the disk", || root_fills_the_disk(guest))?;
    lab.check("the disk's GUID is not the image's", || fresh_guid(lab, guest))?;
    lab.check("status names version, root hash and slot", || status(lab, guest))?;
    lab.check("a machine of 2 GiB keeps no reserve for huge pages", || {
        guest.root("grep -qF '[never]' /sys/kernel/mm/transparent_hugepage/enabled").map(drop)
    })?;
    lab.check("the locale is where sshd looks for it", || {
        guest.sh("grep -qx LANG=C.UTF-8 /etc/default/locale /etc/locale.conf").map(drop)
    })?;
    lab.check("etcd is off until configured", || {
        let out = guest.try_root("systemctl is-active etcd.service")?;
        ensure!(out.stdout == "inactive", "etcd is {}", out.stdout);
        Ok(())
    })?;
    lab.check("core is uid 500 in sudo, docker, fleet and systemd-journal, without a password", || {
        core(guest)
    })?;
    lab.check("the console shows version and host key fingerprint", || banner(lab, guest))?;
    lab.check("/etc is the machine's layer over the image's", || {
        guest
            .root("findmnt -no FSTYPE /etc | grep -qx overlay; touch /etc/written; test -f /etc/written")
            .map(drop)
    })
}

fn running(guest: &Guest) -> anyhow::Result<()> {
    let state = guest.settled()?;
    let failed = guest.sh("systemctl --failed --no-legend --plain")?;
    ensure!(state == "running" && failed.is_empty(), "the system is {state}; failed: {failed}");
    Ok(())
}

/// Fails unless `/usr` is the verified one of the image.
pub fn verity(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    let source = guest.sh("findmnt -no SOURCE,FSTYPE,OPTIONS /usr")?;
    ensure!(source.contains("erofs") && source.contains("ro"), "/usr is {source}");
    let table = guest.root("dmsetup table --target verity; dmsetup status --target verity")?;
    let hash = &lab.setup.image.root_hash;
    ensure!(table.contains(hash.as_str()), "no verity device with root hash {hash}: {table}");
    ensure!(table.contains(" V"), "the verity device is not valid: {table}");
    Ok(())
}

fn sealed(guest: &Guest) -> anyhow::Result<()> {
    for script in ["touch /usr/x", "mount -o remount,rw /usr"] {
        let out = guest.try_root(script)?;
        ensure!(out.status != 0, "`{script}` succeeded");
    }
    let options = guest.sh("findmnt -no OPTIONS /usr")?;
    ensure!(options.split(',').any(|option| option == "ro"), "/usr is mounted {options}");
    Ok(())
}

fn packages(guest: &Guest) -> anyhow::Result<()> {
    let list = guest.sh("slipway packages")?;
    for name in PRESENT {
        ensure!(list.lines().any(|line| line.starts_with(name)), "no package {name} in: {list}");
    }
    for name in ABSENT {
        ensure!(!list.lines().any(|line| line.starts_with(name)), "package {name} is there");
        let out = guest.run(&format!("command -v {name}"), std::time::Duration::from_secs(60))?;
        ensure!(out.status != 0, "program {name} is at {}", out.stdout);
    }
    Ok(())
}

fn root_fills_the_disk(guest: &Guest) -> anyhow::Result<()> {
    let bytes: u64 =
        guest.sh("df --output=size -B1 / | tail -1")?.trim().parse().context("reading the size of /")?;
    // The image's other partitions take 2.7 GiB of the disk, ext4 some percent of the rest.
    let expected = DISK_BYTES / 2;
    ensure!(expected < bytes, "/ has {bytes} bytes of a disk of {DISK_BYTES}");
    Ok(())
}

fn fresh_guid(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    let mut raw = File::open(&lab.setup.image.raw).context("opening the image")?;
    let image = Table::read(&mut raw, LogicalBlockSize::Lb512)?.disk_guid().to_string();
    let machine = guest.sh("lsblk -dno PTUUID /dev/vda")?;
    ensure!(!machine.is_empty() && !machine.eq_ignore_ascii_case(&image), "both are {machine}");
    Ok(())
}

fn status(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    let text = guest.root("slipway status --json")?;
    let status: serde_json::Value = serde_json::from_str(&text).context("parsing the status")?;
    let image = &lab.setup.image;
    for expected in [&image.version.to_string(), &image.root_hash] {
        ensure!(text.contains(expected.as_str()), "no {expected} in {status}");
    }
    Ok(())
}

fn core(guest: &Guest) -> anyhow::Result<()> {
    let id = guest.sh("id")?;
    for part in ["uid=500(core)", "(sudo)", "(docker)", "(fleet)", "(systemd-journal)"] {
        ensure!(id.contains(part), "no {part} in {id}");
    }
    let shadow = guest.root("getent shadow core")?;
    let password = shadow.split(':').nth(1).unwrap_or_default();
    ensure!(password.starts_with(['!', '*']), "core has a password: {shadow}");
    Ok(())
}

fn banner(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    let print = guest.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d\" \" -f2")?;
    let console = guest.console()?;
    for expected in [&lab.setup.image.version.to_string(), &print] {
        ensure!(console.contains(expected.as_str()), "no {expected} on the console");
    }
    Ok(())
}
