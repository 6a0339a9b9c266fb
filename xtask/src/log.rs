//! What a person sees of a build: one line per step, bars on a terminal, errors with their remedy.

use std::io::{self, IsTerminal as _, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Progress for people: bars on a terminal, plain lines elsewhere.
#[derive(Debug, Clone)]
pub struct Log {
    bars: MultiProgress,
    terminal: bool,
    verbose: bool,
}

impl Log {
    /// Draws bars only where standard error is a terminal.
    pub fn new(verbose: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), terminal, verbose }
    }

    /// Whether the tools' own output is wanted.
    pub fn verbose(&self) -> bool {
        self.verbose
    }

    /// Prints one line above the bars.
    pub fn line(&self, text: &str) {
        if self.terminal {
            self.bars.suspend(|| eprintln!("{text}"));
        } else {
            eprintln!("{text}");
        }
    }

    /// Prints a warning that a person has to see.
    pub fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    /// A bar that counts bytes up to `total`; the caller ends it with `finish_and_clear`.
    pub fn bytes(&self, name: &str, total: u64) -> ProgressBar {
        let style = ProgressStyle::with_template(
            "{prefix:>8} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bars.add(ProgressBar::new(total)).with_style(style).with_prefix(name.to_owned())
    }

    /// A spinner for work of unknown length.
    pub fn spinner(&self, name: &str) -> ProgressBar {
        let style = ProgressStyle::with_template("{prefix:>8} {spinner} {elapsed} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = self.bars.add(ProgressBar::new_spinner()).with_style(style).with_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }
}

/// Prints an error as one line `error: a: b: c`; the remedy is the last part of the innermost text.
pub fn report(err: &anyhow::Error) {
    eprintln!("error: {err:#}");
}

/// Set by SIGINT or SIGTERM. A second signal ends the process at once.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Starts to listen.
    pub fn on_signals() -> std::io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// Whether the run is to end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails when the run is to end: called between steps and in long loops.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.is_set(), "interrupted; run the same command again to go on");
        Ok(())
    }

    /// Gives a reader or writer that fails from then on: for long copies.
    pub fn stream<T>(&self, inner: T) -> Stream<T> {
        Stream { cancel: self.clone(), inner }
    }
}

/// A reader or writer that an interruption ends.
#[derive(Debug)]
pub struct Stream<T> {
    cancel: Cancel,
    inner: T,
}

impl<T> Stream<T> {
    // Not of the kind `Interrupted`, at which readers and writers try again.
    fn check(&self) -> io::Result<()> {
        if self.cancel.is_set() { Err(io::Error::other("interrupted")) } else { Ok(()) }
    }
}

impl<T: Read> Read for Stream<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buf)
    }
}

impl<T: Write> Write for Stream<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
