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

/// Pictures that are started when all cuts are judged, beside one without a primary partition table.
const BOOTS: usize = 12;

/// Starts cuts of the recording that look different, spread over its course, and one without a primary partition
/// table; of a sample one of all these.
pub fn start_some(lab: &Lab, recorded: &Guest, summary: &Summary, images: &[&Image]) -> anyhow::Result<()> {
    let (backup, plain): (Vec<_>, Vec<_>) =
        summary.pictures.iter().partition(|(picture, _)| picture.starts_with(BACKUP_ONLY));
    let n_plain = BOOTS.min(plain.len());
    let mut random = Random::new(lab.setup.seed);
    // One without a table is enough: they all differ in which half of it was written.
    let mut chosen: Vec<_> =
        backup.into_iter().take(1).chain((0..n_plain).map(|n| plain[n * plain.len() / n_plain])).collect();
    if lab.setup.cuts != Choice::All && !chosen.is_empty() {
        chosen = vec![chosen.swap_remove(below(&mut random, chosen.len()))];
    }
    for (n, (picture, numbers)) in chosen.into_iter().enumerate() {
        let number = numbers[below(&mut random, numbers.len())];
        let guest = at_cut(lab, recorded, number, &format!("cut-{n}"), picture)?;
        if picture.starts_with(BACKUP_ONLY) {
            direct::start(&guest, images[0])?;
        } else {
            guest.boot()?;
        }
        passes(lab, &guest, images)?;
    }
    Ok(())
}

fn below(random: &mut Random, len: usize) -> usize {
    let len = u64::try_from(len).expect("a length fits 64 bits");
    usize::try_from(random.below(len)).expect("below a length")
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
