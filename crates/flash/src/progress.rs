//! How far a device is, in lines: where there is no bar, one every few seconds.

use std::time::{Duration, Instant};

use crate::{Phase, Progress};

/// How often a line is due.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Says when a line is due, and what it is.
#[derive(Clone, Debug)]
pub struct Lines {
    phase: Phase,
    begin: Instant,
    next_line: Instant,
}

impl Lines {
    /// Begins with a phase.
    pub fn new(phase: Phase) -> Self {
        let now = Instant::now();
        Self { phase, begin: now, next_line: now + LINE_EVERY }
    }

    /// Returns the line, if one is due; a new phase begins to count anew.
    pub fn due(&mut self, progress: Progress) -> Option<String> {
        if self.phase != progress.phase {
            *self = Self::new(progress.phase);
        }
        if Instant::now() <= self.next_line {
            return None;
        }
        self.next_line += LINE_EVERY;
        Some(line(progress, self.begin.elapsed()))
    }
}

/// Returns what is being done in one word.
pub fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Writing => "writing",
        Phase::Verifying => "reading",
    }
}

fn line(progress: Progress, elapsed: Duration) -> String {
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let per_sec = u128::from(progress.done) * 1000 / elapsed.as_millis().max(1);
    let left = u128::from(progress.total.saturating_sub(progress.done)).checked_div(per_sec);
    let left = left.map_or(String::new(), |secs| format!(", {secs} s left"));
    format!(
        "{}: {} of {} MB, {} MB/s{left}",
        name(progress.phase),
        megabytes(progress.done),
        megabytes(progress.total),
        per_sec / 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rate_and_time_left() {
        let progress = |done| Progress { phase: Phase::Writing, done, total: 300_000_000 };
        let shown = line(progress(100_000_000), Duration::from_secs(10));
        assert_eq!(shown, "writing: 100 of 300 MB, 10 MB/s, 20 s left");
        assert_eq!(line(progress(0), Duration::ZERO), "writing: 0 of 300 MB, 0 MB/s");
    }

    #[test]
    fn no_line_is_due_at_once_and_one_is_later() {
        let progress = |phase| Progress { phase, done: 1, total: 2 };
        let mut lines = Lines::new(Phase::Writing);
        assert_eq!(lines.due(progress(Phase::Writing)), None);
        lines.next_line = lines.begin;
        assert!(lines.due(progress(Phase::Writing)).unwrap().starts_with("writing: "));
        lines.next_line = lines.begin;
        assert_eq!(lines.due(progress(Phase::Verifying)), None);
    }
}
