//! How far a device is: a bar with rate and time left on a terminal, a line every few seconds elsewhere.

use std::ops::ControlFlow;

use ::flash::progress::{Lines, name};
use ::flash::{Phase, Progress};
use indicatif::ProgressBar;

use crate::ctx::Ctx;
use crate::log::{Cancel, Log};

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
    lines: Lines,
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
            let bar = self.log.bytes(name(phase), total);
            self.current = Some(Current { phase, bar, lines: Lines::new(phase) });
        }
        if let Some(current) = &mut self.current {
            current.bar.set_length(total);
            current.bar.set_position(done);
            if current.bar.is_hidden()
                && let Some(line) = current.lines.due(progress)
            {
                self.log.line(&line);
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
