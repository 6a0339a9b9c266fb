//! What a release publishes beside the raw image starts as it is: other formats of the disk, and kernel and initrd alone.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use vm::machine::Direct;
use write_log::Random;

use super::first_boot;
use crate::cuts::Choice;
use crate::guest::Guest;
use crate::lab::Lab;

/// Ends of the names of the disk in other formats.
const FORMATS: [&str; 3] = ["qcow2", "vmdk", "vhd"];
/// From power-on to the login of a machine that first takes a quarter of a gigabyte into its memory.
const NETBOOT: Duration = Duration::from_secs(420);
/// The disk of a machine that starts from the network.
const BLANK_BYTES: u64 = 1 << 30;

/// A machine with a blank disk starts kernel and initrd as a boot server gives them.
pub fn netboot(lab: &Lab) -> anyhow::Result<()> {
    let guest = lab.bare_guest("one")?;
    let blank = guest.home().disk();
    File::create(&blank).and_then(|disk| disk.set_len(BLANK_BYTES)).context("making a blank disk")?;
    for (end, name) in [("netboot.kernel", Direct::KERNEL), ("netboot.initrd", Direct::INITRD)] {
        let (from, to) = (lab.setup.format(end)?, guest.home().dir().join(name));
        std::fs::copy(&from, to).with_context(|| format!("copying {}", from.display()))?;
    }
    let script = lab.setup.format("netboot.ipxe")?;
    let script = std::fs::read_to_string(&script).with_context(|| format!("reading {}", script.display()))?;
    let cmdline = cmdline(&script).context("the script for iPXE starts no kernel")?.to_owned();
    guest.configure(|machine| machine.direct = Some(Direct { cmdline }));
    guest.power_on()?;
    guest.wait_login(NETBOOT)?;
    lab.say("core can log in");
    lab.check("the boot is complete and no unit failed", || complete(&guest))?;
    lab.check("/usr is erofs on dm-verity with the manifest's root hash", || {
        first_boot::verity(lab, &guest)
    })?;
    lab.check("root is in memory and can be written", || {
        guest.root("findmnt -no FSTYPE / | grep -qx tmpfs; touch /etc/written /var/written").map(drop)
    })?;
    lab.check("the machine's own disk is left alone", || {
        let written = std::fs::metadata(&blank).context("reading the disk")?.blocks();
        ensure!(written == 0, "{written} blocks of the blank disk are written");
        Ok(())
    })
}

/// Each format is the disk of a machine; a sampled run takes one of them by its seed.
pub fn formats(lab: &Lab) -> anyhow::Result<()> {
    for end in wanted(lab.setup.cuts) {
        let guest = lab.bare_guest(end)?;
        let image = lab.setup.format(end)?;
        let len = std::fs::metadata(&image).with_context(|| format!("reading {}", image.display()))?.len();
        guest.home().new_raw_copy(&image, len).context("copying the disk")?;
        guest.boot()?;
        lab.check(&format!("{end}: the boot is complete and no unit failed"), || complete(&guest))?;
        guest.power_cut();
    }
    Ok(())
}

fn wanted(choice: Choice) -> Vec<&'static str> {
    match choice {
        Choice::All => FORMATS.to_vec(),
        Choice::Sample { seed, .. } => {
            let n = u64::try_from(FORMATS.len()).unwrap_or(u64::MAX);
            let at = usize::try_from(Random::new(seed).below(n)).unwrap_or_default();
            FORMATS.get(at).copied().into_iter().collect()
        }
    }
}

fn complete(guest: &Guest) -> anyhow::Result<()> {
    guest.settled_running()?;
    guest.sh("systemctl is-active boot-complete.target docker.service").map(drop)
}

/// The kernel's words in a script: behind the names of kernel and initrd.
fn cmdline(script: &str) -> Option<&str> {
    let words = script.lines().find_map(|line| line.strip_prefix("kernel "))?;
    words.split_once(" initrd=")?.1.split_once(' ').map(|(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_behind_the_names() {
        assert_eq!(cmdline("#!ipxe\nkernel a initrd=b c d=e\ninitrd b\nboot\n"), Some("c d=e"));
        assert_eq!(cmdline("#!ipxe\nboot\n"), None);
    }

    #[test]
    fn each_format_has_its_turn_in_a_sampled_run() {
        let seeds = (0..32).flat_map(|seed| wanted(Choice::Sample { n_cuts: 1, seed }));
        let found: std::collections::BTreeSet<_> = seeds.collect();
        assert_eq!(found, FORMATS.into());
        assert_eq!(wanted(Choice::All), FORMATS);
    }
}
