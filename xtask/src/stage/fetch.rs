//! Stage `fetch`: every locked package in the cache, with its hash checked.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::ProgressBar;

use crate::cache::{Found, Packages, Seen};
use crate::ctx::Ctx;
use crate::lock::Row;
use crate::log::{Cancel, Log};
use crate::mirror::Mirror;

mod download;

/// Downloads at a time.
const CONNECTIONS: usize = 4;

/// How often the waiting thread looks whether the user wants to stop.
const TICK: Duration = Duration::from_millis(100);

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What is wanted.
#[derive(Debug)]
pub struct Input<'a> {
    /// Packages; the same one twice does no harm.
    pub rows: Vec<&'a Row>,
    /// Where those come from that the cache lacks.
    pub source: Source<'a>,
}

/// Where packages come from that the cache lacks.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The network, or a folder.
    Mirror(&'a Mirror),
    /// Nowhere.
    Offline,
}

/// What there is now.
#[derive(Debug)]
pub struct Output {
    /// Checked files by SHA-256.
    pub paths: BTreeMap<String, PathBuf>,
    /// Packages that neither the cache nor the mirror has. With one of them the build needs a new lock.
    pub gone: Vec<Row>,
}

/// Fetches what is missing. Fails when the mirror cannot be reached or serves other bytes than the locked ones,
/// and offline when anything is missing.
pub fn run(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<Output> {
    let packages = Packages::open(&ctx.cache)?;
    let rows: BTreeMap<&str, &Row> = input.rows.iter().map(|row| (row.sha256.as_str(), *row)).collect();
    let missing: Vec<&Row> = rows.values().copied().filter(|row| !packages.path(row).exists()).collect();
    let bytes = missing.iter().map(|row| row.size).sum();
    let mirror = match input.source {
        Source::Offline if !missing.is_empty() => bail!(offline(&missing)),
        Source::Offline => None,
        Source::Mirror(mirror) => Some(mirror.clone()),
    };
    let bar = match &mirror {
        Some(mirror) if !missing.is_empty() => {
            ctx.log.line(&format!(
                "fetch: {} packages, {} MB from {mirror}",
                missing.len(),
                megabytes(bytes)
            ));
            ctx.log.bytes("fetch", bytes)
        }
        _ => ProgressBar::hidden(),
    };
    bar.set_length(bytes);
    let seen = packages.seen();
    let shared = Arc::new(Shared {
        queue: Mutex::new(rows.values().map(|row| (*row).clone()).collect()),
        packages,
        seen,
        mirror,
        stop: AtomicBool::new(false),
        cancel: ctx.cancel.clone(),
        log: ctx.log.clone(),
        bar,
    });
    let res = work(&shared);
    shared.bar.finish_and_clear();
    let output = res?;
    shared.packages.remember(shared.seen.clone(), &output.paths)?;
    Ok(output)
}

/// Tells whether the cache has a file for every package; whether it is the right one is asked by [`run`].
pub fn all_cached(ctx: &Ctx, rows: &[&Row]) -> anyhow::Result<bool> {
    let packages = Packages::open(&ctx.cache)?;
    Ok(rows.iter().all(|row| packages.path(row).exists()))
}

/// What the threads have in common.
#[derive(Debug)]
struct Shared {
    queue: Mutex<VecDeque<Row>>,
    packages: Packages,
    seen: Seen,
    mirror: Option<Mirror>,
    /// Set when one thread failed: the others need not go on.
    stop: AtomicBool,
    cancel: Cancel,
    log: Log,
    bar: ProgressBar,
}

impl Shared {
    fn next(&self) -> Option<Row> {
        // A thread that panicked while it held the queue cannot have left it half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.cancel.is_set()
    }
}

type Done = (Row, anyhow::Result<Option<PathBuf>>);

/// Runs the threads and collects what they find. The threads are not waited for when the user stops or one
/// fails: they may be waiting for the network, and all they leave is a part to resume.
fn work(shared: &Arc<Shared>) -> anyhow::Result<Output> {
    let (sender, receiver) = mpsc::channel::<Done>();
    for _ in 0..CONNECTIONS {
        let (shared, sender) = (Arc::clone(shared), sender.clone());
        std::thread::spawn(move || {
            while let Some(row) = shared.next() {
                if shared.stopped() {
                    return;
                }
                let res = fetch_one(&shared, &row);
                if sender.send((row, res)).is_err() {
                    return; // Nobody waits any more.
                }
            }
        });
    }
    drop(sender);
    let mut output = Output { paths: BTreeMap::new(), gone: Vec::new() };
    let mut next_line = Instant::now() + LINE_EVERY;
    loop {
        shared.cancel.check().inspect_err(|_| shared.stop.store(true, Ordering::Relaxed))?;
        if next_line < Instant::now() {
            next_line += LINE_EVERY;
            let (done, total) = (shared.bar.position(), shared.bar.length().unwrap_or(0));
            if shared.bar.is_hidden() && total != 0 {
                shared.log.line(&format!("fetch: {} of {} MB", megabytes(done), megabytes(total)));
            }
        }
        match receiver.recv_timeout(TICK) {
            Ok((row, Ok(Some(path)))) => {
                output.paths.insert(row.sha256, path);
            }
            Ok((row, Ok(None))) => output.gone.push(row),
            Ok((_, Err(err))) => {
                shared.stop.store(true, Ordering::Relaxed);
                return Err(err);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    output.gone.sort();
    Ok(output)
}

/// Returns the checked file, or none when the mirror lacks it.
fn fetch_one(shared: &Shared, row: &Row) -> anyhow::Result<Option<PathBuf>> {
    match shared.packages.find(row, &shared.seen)? {
        Found::Good(path) => return Ok(Some(path)),
        Found::Missing => {}
        Found::Bad { found } => {
            let what = format!(
                "package {} {}: the cached file has SHA-256 {found}, expected {}; it is deleted",
                row.name, row.version, row.sha256
            );
            if shared.mirror.is_none() {
                bail!("{what}; run again without --offline");
            }
            shared.log.warn(&format!("{what} and fetched again"));
        }
    }
    match &shared.mirror {
        Some(mirror) => download::run(shared, mirror, row),
        None => bail!(offline(&[row])),
    }
}

fn offline(missing: &[&Row]) -> String {
    format!(
        "the cache lacks {} packages, and --offline forbids to fetch them (run without it once): {}",
        missing.len(),
        names(missing.iter().copied())
    )
}

/// Returns names with versions for an error.
pub fn names<'a>(rows: impl IntoIterator<Item = &'a Row>) -> String {
    let names: Vec<String> = rows.into_iter().map(|row| format!("{} {}", row.name, row.version)).collect();
    names.join(", ")
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests;
