//! Starts a version's kernel without firmware of UEFI and boot loader: these mend a partition table before the kernel
//! sees it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use uki::Section;
use vm::machine::Direct;

use crate::guest::Guest;
use crate::image::Image;

/// The root file system; a boot loader would have said on which disk it is to be looked for.
const ROOT: &str = "root=PARTLABEL=root";
/// From power-on to the login.
const BOOT: Duration = Duration::from_secs(300);

/// Starts the kernel of `image` on the machine's disk, and waits until `core` can log in.
pub fn start(guest: &Guest, image: &Image) -> anyhow::Result<()> {
    let bytes = std::fs::read(&image.uki).with_context(|| format!("reading {}", image.uki.display()))?;
    let uki = uki::validate_uki(&bytes)?;
    let section = |section: Section| {
        uki.pe().read_section(section).with_context(|| format!("the kernel image has no {section}"))
    };
    let initrd = [section(Section::Ucode)?, section(Section::Initrd)?].concat();
    let cmdline = uki.text(Section::Cmdline)?.context("no command line")?.trim_end_matches(['\n', '\0']);
    ensure!(cmdline.split(' ').any(|word| word == "gpt"), "no `gpt` on the command line: {cmdline}");
    for (name, content) in [(Direct::KERNEL, section(Section::Linux)?), (Direct::INITRD, &initrd)] {
        std::fs::write(guest.home().dir().join(name), content).with_context(|| format!("writing {name}"))?;
    }
    let direct = Direct { cmdline: format!("{cmdline} {ROOT}") };
    guest.configure(|machine| machine.direct = Some(direct));
    guest.power_on()?;
    guest.wait_login(BOOT)
}
