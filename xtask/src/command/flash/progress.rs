//! How far a device is: a bar with rate and time left on a terminal, a line every few seconds elsewhere.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ::flash::{Phase, Progress};
use indicatif::ProgressBar;

use crate::ctx::Ctx;
use crate::log::{Cancel, Log};

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What is shown.
pub struct Shown {
    log: Log,
    cancel: Cancel,
    current: Option<Current>,
}

/// The phase that runs.
struct Current {
    phase: Phase,
    bar: ProgressBar,
    begin: Instant,
    next_line: Instant,
}

impl Shown {
    /// Shows nothing yet.
    pub fn new(ctx: &Ctx) -> Self {
        Self { log: ctx.log.clone(), cancel: ctx.cancel.clone(), current: None }
    }

    /// Shows it, and says whether to go on.
    pub fn go_on(&mut self, progress: Progress) -> ControlFlow<()> {
        let Progress { phase, done, total } = progress;
        if self.current.as_ref().is_none_or(|current| current.phase != phase) {
            self.end();
            let now = Instant::now();
            let bar = self.log.bytes(name(phase), total);
            self.current = Some(Current { phase, bar, begin: now, next_line: now + LINE_EVERY });
        }
        if let Some(current) = &mut self.current {
            current.bar.set_length(total);
            current.bar.set_position(done);
            if current.bar.is_hidden() && current.next_line < Instant::now() {
                current.next_line += LINE_EVERY;
                self.log.line(&line(progress, current.begin.elapsed()));
            }
        }
        if self.cancel.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Shows nothing any more.
    pub fn end(&mut self) {
        if let Some(current) = self.current.take() {
            current.bar.finish_and_clear();
        }
    }
}

fn name(phase: Phase) -> &'static str {
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
}
