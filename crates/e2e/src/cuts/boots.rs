//! Machines started from the disk that a recording has at a cut: what was judged is what starts.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use uki::Section;
use vm::machine::Direct;
use write_log::Random;

use super::judge::BACKUP_ONLY;
use super::{Choice, Summary, rebuild};
use crate::guest::Guest;
use crate::image::Image;
use crate::lab::Lab;

/// Pictures that are started when all cuts are judged, and when a sample is.
const BOOTS: usize = 12;
const SAMPLE_BOOTS: usize = 2;
/// Root file system of a machine that no boot loader has started.
const ROOT: &str = "root=PARTLABEL=root";
/// From power-on of a kernel without a boot loader to the login.
const DIRECT_BOOT: Duration = Duration::from_secs(300);

/// Starts cuts of the recording that look different, spread over its course, and all that have no primary
/// partition table.
pub fn start_some(lab: &Lab, recorded: &Guest, summary: &Summary, images: &[&Image]) -> anyhow::Result<()> {
    let (backup, plain): (Vec<_>, Vec<_>) =
        summary.pictures.iter().partition(|(picture, _)| picture.starts_with(BACKUP_ONLY));
    let most = if lab.setup.cuts == Choice::All { BOOTS } else { SAMPLE_BOOTS };
    let spread = (0..most.min(plain.len())).map(|n| plain[n * plain.len() / most.min(plain.len())]);
    let mut random = Random::new(lab.setup.seed);
    let mut pick = |numbers: &[u64]| {
        let n = u64::try_from(numbers.len()).expect("a length fits 64 bits");
        numbers[usize::try_from(random.below(n)).expect("below a length")]
    };
    for (n, (picture, numbers)) in spread.enumerate() {
        let guest = at_cut(lab, recorded, pick(numbers), &format!("cut-{n}"), picture)?;
        guest.boot()?;
        passes(lab, &guest, images)?;
    }
    // One is enough: they all differ in which half of the table was written.
    if let Some((picture, numbers)) = backup.first() {
        let guest = at_cut(lab, recorded, pick(numbers), "no-primary", picture)?;
        start_directly(&guest, images[0])?;
        passes(lab, &guest, images)?;
    }
    Ok(())
}

fn at_cut(lab: &Lab, recorded: &Guest, number: u64, name: &str, picture: &str) -> anyhow::Result<Rc<Guest>> {
    let guest = lab.bare_guest(name)?;
    let cut = rebuild(lab, recorded.home(), number, guest.home())?;
    lab.say(&format!(
        "starting cut {} (flush interval {}, {:?}): {picture}",
        cut.number, cut.interval, cut.kind
    ));
    Ok(guest)
}

fn passes(lab: &Lab, guest: &Guest, images: &[&Image]) -> anyhow::Result<()> {
    lab.check("a disk that was cut starts with a known version, and settles", || {
        let cmdline = guest.sh("cat /proc/cmdline")?;
        let is_it = |image: &&&Image| cmdline.contains(&format!("usrhash={}", image.root_hash));
        let image =
            images.iter().find(is_it).with_context(|| format!("an unknown version runs: {cmdline}"))?;
        let state = guest.settled()?;
        lab.say(&format!("version {} runs, the system is {state}", image.version));
        Ok(())
    })?;
    guest.power_cut();
    Ok(())
}

/// Starts the version's kernel without firmware, boot loader and so without their ideas of the disk.
fn start_directly(guest: &Guest, image: &Image) -> anyhow::Result<()> {
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
    guest.wait_login(DIRECT_BOOT)
}
