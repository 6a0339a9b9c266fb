//! Judges a machine's disk at every moment at which its power can go, from a recording of its writes.
//!
//! A scenario records with [`Guest::record`](crate::guest::Guest::record), ends the machine, and calls
//! [`judge_all`]. What must hold at a cut is in `judge.rs`.

mod boots;
mod esp_file;
mod fsck;
mod judge;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use vm::{Home, machine};
use write_log::cuts::{self, Areas, Cut};
use write_log::{Log, Random};

use crate::image::Image;
use crate::lab::Lab;

use judge::{Judge, Layout};

pub use boots::start_some;

/// Failed cuts that are told one by one; the others are counted.
const TOLD_MAX: usize = 20;

/// Which cuts are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Every one.
    All,
    /// About so many, by the seed.
    Sample {
        /// How many.
        n_cuts: u64,
        /// Of the choice.
        seed: u64,
    },
}

/// What was judged.
#[derive(Debug, Default)]
pub struct Summary {
    /// Cuts in the recording.
    pub cuts: u64,
    /// Cuts judged.
    pub judged: u64,
    /// Different contents of the judged areas among them.
    pub states: usize,
    /// How often `fsck.fat` had something to say that is allowed, by what.
    pub remarks: BTreeMap<&'static str, u64>,
    /// What the disks looked like, in the order in which that was seen first, with the numbers of the cuts.
    pub pictures: Vec<(String, Vec<u64>)>,
    /// Cuts that failed, with why.
    pub failures: Vec<String>,
}

/// Judges the recording in the machine's folder: each visible entry has to be one of `images`, whole.
/// Prints the counts; fails with the cuts that failed.
pub fn judge_all(lab: &Lab, home: &Home, images: &[&Image]) -> anyhow::Result<Summary> {
    let start = Instant::now();
    let (seed, choice) = (lab.setup.seed, lab.setup.cuts);
    let (mut judge, log) = open(lab, home, images)?;
    let areas = judge.layout().areas();
    let total = cuts::visit(&log, &areas, seed, |_| false, |_, _| anyhow::Ok(()))?;
    let wanted = |number: u64| match choice {
        Choice::All => true,
        Choice::Sample { n_cuts, seed } => Random::new(seed ^ number).below(total) < n_cuts,
    };
    let mut summary = Summary { cuts: total, ..Summary::default() };
    cuts::visit(&log, &areas, seed, wanted, |cut, overlay| {
        summary.judged += 1;
        // An error is the host's; what is wrong with the disk is part of the verdict.
        let verdict = judge.judge(overlay).with_context(|| format!("judging {}", told(&cut)))?;
        for remark in &verdict.remarks {
            *summary.remarks.entry(remark).or_default() += 1;
        }
        match summary.pictures.iter_mut().find(|(picture, _)| *picture == verdict.picture) {
            Some((_, numbers)) => numbers.push(cut.number),
            None => summary.pictures.push((verdict.picture, vec![cut.number])),
        }
        summary.failures.extend(verdict.failure.iter().map(|why| format!("{}: {why}", told(&cut))));
        anyhow::Ok(())
    })?;
    summary.states = judge.n_states();
    lab.say(&format!(
        "{} of {} cuts judged in {:.0} s, seed {seed}: {} failed; {} different contents; remarks of fsck.fat: {:?}",
        summary.judged,
        summary.cuts,
        start.elapsed().as_secs_f64(),
        summary.failures.len(),
        summary.states,
        summary.remarks,
    ));
    let report = home.dir().join("judge/failures.txt");
    std::fs::write(&report, summary.failures.join("\n")).context("writing the failed cuts")?;
    let told: Vec<&str> = summary.failures.iter().take(TOLD_MAX).map(String::as_str).collect();
    let n_failed = summary.failures.len();
    ensure!(n_failed == 0, "{n_failed} of {} cuts failed, such as:\n{}", summary.judged, told.join("\n"));
    Ok(summary)
}

/// Returns how many cuts the recording in the machine's folder has.
pub fn count(lab: &Lab, home: &Home) -> anyhow::Result<u64> {
    let (base, mut log_file) = files(home)?;
    let log = Log::read(&mut log_file).context("reading the recording")?;
    let areas = Layout::read(&base, &lab.setup.image)?.areas();
    cuts::visit(&log, &areas, lab.setup.seed, |_| false, |_, _| Ok(()))
}

/// Gives the machine of `to` the disk that the recording in `from` has at the cut of that number.
pub fn rebuild(lab: &Lab, from: &Home, number: u64, to: &Home) -> anyhow::Result<Cut> {
    let (base, mut log_file) = files(from)?;
    let log = Log::read(&mut log_file).context("reading the recording")?;
    let layout = Layout::read(&base, &lab.setup.image)?;
    // The whole disk counts here; that changes no cut's number.
    let areas = Areas { judged: std::iter::once(0..layout.disk_len).collect(), ..layout.areas() };
    to.new_raw_copy(&from.base(), layout.disk_len)?;
    let disk = File::options().write(true).open(to.disk()).context("opening the rebuilt disk")?;
    let mut made = None;
    let is_it = |n| n == number;
    cuts::visit(&log, &areas, lab.setup.seed, is_it, |cut, overlay| {
        made = Some(cut);
        esp_file::write_pieces(&disk, &overlay.pieces(0..layout.disk_len), &log_file)
    })?;
    made.with_context(|| format!("the recording has no cut {number}"))
}

fn open<'a>(lab: &'a Lab, home: &Home, images: &[&'a Image]) -> anyhow::Result<(Judge<'a>, Log)> {
    let (base, mut log_file) = files(home)?;
    let log = Log::read(&mut log_file).context("reading the recording")?;
    let layout = Layout::read(&base, &lab.setup.image)?;
    let judge = Judge::new(&lab.setup.sandbox, &home.dir().join("judge"), layout, base, log_file, images)?;
    Ok((judge, log))
}

fn files(home: &Home) -> anyhow::Result<(File, File)> {
    let open = |path: &Path| File::open(path).with_context(|| format!("opening {}", path.display()));
    Ok((open(&home.base())?, open(&home.dir().join(machine::WRITES_LOG))?))
}

fn told(cut: &Cut) -> String {
    format!("cut {} (flush interval {}, {:?})", cut.number, cut.interval, cut.kind)
}
