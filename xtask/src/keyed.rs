//! A stage's outputs below `target/stages`, found by the key of its inputs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;
use crate::durable;

/// How many outputs of one stage are kept: enough to go back and forth between a few variants.
const KEPT: usize = 4;

/// What the build report says of a stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// Name of the stage.
    pub stage: String,
    /// Wall clock, seconds.
    pub seconds: f64,
    /// Whether the output was there already.
    pub outcome: Outcome,
    /// Length of all output files.
    pub bytes_out: u64,
}

/// Whether a stage ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The output with this key was there.
    Hit,
    /// It was made.
    Run,
}

/// Returns the folder `target/stages/<stage>/<key>` and how it came to be. When it is not there, `make`
/// fills an empty folder beside it, which gets this name only when `make` has succeeded.
pub fn run(
    ctx: &Ctx,
    stage: &str,
    key: &str,
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<(PathBuf, Timing)> {
    ctx.cancel.check()?;
    let start = Instant::now();
    let home = ctx.target.join("stages").join(stage);
    let done = home.join(&key[..32.min(key.len())]);
    let mut outcome = Outcome::Hit;
    if !done.exists() {
        fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
        fill(ctx, stage, &home.join("work"), &done, make)?;
        drop_old(&home, &done)?;
        outcome = Outcome::Run;
    }
    // The newest use decides what is dropped first.
    let used = File::create(done.join(".used")).context("marking the output as used")?;
    drop(used);
    let timing = Timing {
        stage: stage.to_owned(),
        seconds: seconds(start.elapsed()),
        outcome,
        bytes_out: flat_len(&done)?,
    };
    if outcome == Outcome::Run {
        ctx.log.line(&format!("{stage:>9}  {:6.1} s  {:>10}", timing.seconds, human(timing.bytes_out)));
    }
    Ok((done, timing))
}

/// Has an empty folder filled and gives it its final name, or removes it.
fn fill(
    ctx: &Ctx,
    stage: &str,
    work: &Path,
    done: &Path,
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    durable::remove_if_there(work)?;
    fs::create_dir(work).with_context(|| format!("creating {}", work.display()))?;
    let spinner = ctx.log.spinner(stage);
    let result = make(work);
    spinner.finish_and_clear();
    if result.is_err() {
        durable::remove_if_there(work)?;
        // What an interruption made fail is not worth a word.
        ctx.cancel.check()?;
    }
    result.with_context(|| format!("stage {stage}"))?;
    fs::rename(work, done).with_context(|| format!("renaming to {}", done.display()))
}

/// Seconds to a tenth of a millisecond.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10_000.0
}

/// A length for people, in binary units.
pub fn human(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

fn drop_old(home: &Path, keep: &Path) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (_, path) in crate::hash::sorted_dir(home)? {
        let used = fs::metadata(path.join(".used")).and_then(|meta| meta.modified()).ok();
        rows.push((used, path));
    }
    rows.sort();
    let excess = rows.len().saturating_sub(KEPT);
    for (_, path) in rows.into_iter().take(excess).filter(|(_, path)| path != keep) {
        durable::remove_if_there(&path)?;
    }
    Ok(())
}

/// Length of the files directly in the folder; a rootfs below it is not walked.
fn flat_len(dir: &Path) -> anyhow::Result<u64> {
    let mut total = 0;
    for (_, path) in crate::hash::sorted_dir(dir)? {
        let meta = fs::symlink_metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        if meta.is_file() {
            total += meta.len();
        }
    }
    Ok(total)
}
