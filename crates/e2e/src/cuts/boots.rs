//! Machines started from the disk that a recording has at a cut: what was judged is what starts.

use std::rc::Rc;

use anyhow::Context as _;
use write_log::Random;

use super::judge::BACKUP_ONLY;
use super::{Choice, Summary, rebuild};
use crate::direct;
use crate::guest::Guest;
use crate::image::Image;
use crate::lab::Lab;

/// Pictures that are started when all cuts are judged, and when a sample is.
const BOOTS: usize = 12;
const SAMPLE_BOOTS: usize = 2;

/// Starts cuts of the recording that look different, spread over its course, and one without a primary partition
/// table.
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
    // One is enough: they all differ in which half of the table was written.
    if let Some((picture, numbers)) = backup.first() {
        let guest = at_cut(lab, recorded, pick(numbers), "no-primary", picture)?;
        direct::start(&guest, images[0])?;
        passes(lab, &guest, images)?;
    }
    for (n, (picture, numbers)) in spread.enumerate() {
        let guest = at_cut(lab, recorded, pick(numbers), &format!("cut-{n}"), picture)?;
        guest.boot()?;
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
