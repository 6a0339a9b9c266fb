//! The moments at which the power can go, and what the disk holds then.
//!
//! A *flush interval* is what is written between two flushes. At a cut within one, the disk has all that was
//! flushed before, and of the interval's writes any part: disks reorder what is not flushed, and a write of
//! several sectors can stop between two of them.

use std::ops::Range;

use crate::format::{Action, Log};
use crate::overlay::Overlay;
use crate::random::Random;

/// Subsets of each interval's writes that are tried.
pub const SUBSETS: u64 = 16;
/// Places at which one write is torn.
pub const TEARS_MAX: u64 = 15;
/// What a write can be torn into, in bytes: disks with larger blocks tear at fewer places.
const SECTOR: u64 = 512;
/// Parts into which a long write falls in a torn subset.
const PARTS_MAX: u64 = 128;

/// Which places of the disk matter, as ranges of bytes.
#[derive(Clone, Debug, Default)]
pub struct Areas {
    /// A cut comes after every write to one of these.
    pub stepped: Vec<Range<u64>>,
    /// What the judge reads beside them; writes elsewhere are left out.
    pub judged: Vec<Range<u64>>,
}

/// When the power goes within an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Right after the flush that ends it, or before the first write of all.
    Flushed,
    /// After this many of its writes.
    Prefix {
        /// Number of writes, of all areas.
        n_writes: usize,
    },
    /// Within a write.
    Torn {
        /// Number of whole writes before it.
        n_writes: usize,
        /// Sectors of 512 bytes that are done of it.
        n_sectors: u64,
    },
    /// After some of the writes, whole.
    Subset {
        /// Of the random numbers.
        seed: u64,
    },
    /// After some sectors of some of the writes.
    TornSubset {
        /// Of the random numbers.
        seed: u64,
    },
}

/// One cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its number among all cuts of the log, from 0.
    pub number: u64,
    /// The flush interval in which it is, from 0.
    pub interval: usize,
    /// When in the interval.
    pub kind: Kind,
}

/// A write to a place that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Write {
    offset: u64,
    len: u64,
    data_at: u64,
    /// On the disk for good as soon as it is done.
    fua: bool,
    stepped: bool,
}

/// Shows `visit` every cut for which `wanted` says yes, with what then lies over the disk, and returns how many
/// there are in all.
///
/// # Errors
/// The first of `visit`.
pub fn visit<E>(
    log: &Log,
    areas: &Areas,
    seed: u64,
    wanted: impl Fn(u64) -> bool,
    mut visit: impl FnMut(Cut, &Overlay) -> Result<(), E>,
) -> Result<u64, E> {
    let mut flushed = Overlay::default();
    let mut number = 0;
    let mut show = |interval, kind, overlay: &dyn Fn() -> Overlay| {
        let cut = Cut { number, interval, kind };
        number += 1;
        if wanted(cut.number) { visit(cut, &overlay()) } else { Ok(()) }
    };
    show(0, Kind::Flushed, &Overlay::default)?;
    let intervals = intervals(log, areas);
    let last = intervals.len() - 1;
    for (interval, writes) in intervals.iter().enumerate() {
        let mut done = flushed.clone();
        for (n_writes, write) in writes.iter().enumerate() {
            let tears = if write.stepped { tears(write, seed) } else { Vec::new() };
            for n_sectors in tears {
                show(interval, Kind::Torn { n_writes, n_sectors }, &|| {
                    let mut torn = done.clone();
                    torn.write(write.offset, n_sectors * SECTOR, write.data_at);
                    torn
                })?;
            }
            done.write(write.offset, write.len, write.data_at);
            if write.stepped {
                show(interval, Kind::Prefix { n_writes: n_writes + 1 }, &|| done.clone())?;
            }
        }
        for n in 0..SUBSETS {
            let seed = subset_seed(seed, interval, n);
            let kind = if n % 2 == 0 { Kind::Subset { seed } } else { Kind::TornSubset { seed } };
            show(interval, kind, &|| subset(&flushed, writes, kind))?;
        }
        flushed = done;
        if interval != last {
            show(interval, Kind::Flushed, &|| flushed.clone())?;
        }
    }
    Ok(number)
}

/// Returns the writes that matter, by flush interval; there is at least one. The last was not flushed.
fn intervals(log: &Log, areas: &Areas) -> Vec<Vec<Write>> {
    let mut intervals = vec![Vec::new()];
    for record in &log.records {
        if record.flush {
            intervals.push(Vec::new());
        }
        // What a discarded block reads as is open; the recording disk left it as it was, and so do we.
        let Action::Write { offset, len, data_at } = record.action else { continue };
        let range = offset..offset + len;
        let touches =
            |areas: &[Range<u64>]| areas.iter().any(|area| area.start < range.end && range.start < area.end);
        let stepped = touches(&areas.stepped);
        if stepped || touches(&areas.judged) {
            let write = Write { offset, len, data_at, fua: record.fua, stepped };
            intervals.last_mut().expect("there is one").push(write);
        }
    }
    intervals
}

/// Returns the numbers of sectors after which `write` is torn: all, or some of a long one.
fn tears(write: &Write, seed: u64) -> Vec<u64> {
    let n_sectors = write.len / SECTOR;
    if n_sectors <= TEARS_MAX + 1 {
        return (1..n_sectors).collect();
    }
    let mut random = Random::new(seed ^ write.data_at);
    let mut places: Vec<u64> = (0..TEARS_MAX).map(|_| 1 + random.below(n_sectors - 1)).collect();
    places.sort_unstable();
    places.dedup();
    places
}

fn subset_seed(seed: u64, interval: usize, n: u64) -> u64 {
    let interval = u64::try_from(interval).expect("a count fits 64 bits");
    Random::new(seed ^ (interval * SUBSETS + n)).number()
}

fn subset(flushed: &Overlay, writes: &[Write], kind: Kind) -> Overlay {
    let (seed, is_torn) = match kind {
        Kind::TornSubset { seed } => (seed, true),
        Kind::Subset { seed } => (seed, false),
        Kind::Flushed | Kind::Prefix { .. } | Kind::Torn { .. } => return flushed.clone(),
    };
    let mut overlay = flushed.clone();
    for write in writes {
        // By the write, so that leaving out others does not change what becomes of this one.
        let mut random = Random::new(seed ^ write.data_at);
        let part = if is_torn { write.len.div_ceil(PARTS_MAX).next_multiple_of(SECTOR) } else { write.len };
        let mut at = 0;
        while at < write.len {
            let len = part.min(write.len - at);
            if random.coin() || write.fua {
                overlay.write(write.offset + at, len, write.data_at + at);
            }
            at += len;
        }
    }
    overlay
}
