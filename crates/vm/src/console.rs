//! The guest's serial console: what it printed, waiting for a text, and typing.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the log file is looked at; QEMU appends to it.
const POLL: Duration = Duration::from_millis(50);

/// The console of one running machine. A thread collects the output until this is dropped.
#[derive(Debug)]
pub struct Console {
    shared: Arc<(Mutex<Vec<u8>>, Condvar)>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The text did not come.
#[derive(Debug, thiserror::Error)]
#[error("the console did not show `{text}` within {secs} s; its last lines:\n{tail}")]
pub struct Missing {
    /// What was waited for.
    pub text: String,
    /// How long.
    pub secs: u64,
    /// The last lines instead.
    pub tail: String,
}

impl Console {
    /// Collects what is appended to `log`, from its start.
    pub fn new(mut log: File) -> Self {
        let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (to, stopped) = (Arc::clone(&shared), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 0x10000];
            loop {
                // Read once more after the stop, so that the last words are not lost.
                let last = stopped.load(Ordering::Acquire);
                // The log is an ordinary file: an error would repeat for ever, so it ends the collection.
                while let Ok(count @ 1..) = log.read(&mut buffer) {
                    to.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
                    to.1.notify_all();
                }
                if last {
                    return;
                }
                std::thread::sleep(POLL);
            }
        });
        Self { shared, stop, thread: Some(thread) }
    }

    /// Returns the place up to which the console was read; later output lies behind it.
    pub fn mark(&self) -> usize {
        self.lock().len()
    }

    /// Returns the output behind `mark`, without the colors and cursor movements.
    pub fn text_since(&self, mark: usize) -> String {
        plain(self.lock().get(mark..).unwrap_or_default())
    }

    /// Returns the last `count` lines.
    pub fn tail(&self, count: usize) -> String {
        let text = self.text_since(0);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Returns the place of `text`, if it was shown behind `mark`.
    pub fn find(&self, text: &str, mark: usize) -> Option<usize> {
        Some(mark + find(self.lock().get(mark..)?, text.as_bytes())?)
    }

    /// Waits until `text` appears behind `mark`, and returns the place behind it.
    ///
    /// # Errors
    /// At the deadline, with the last lines of the console.
    pub fn wait_for(&self, text: &str, mark: usize, timeout: Duration) -> Result<usize, Missing> {
        let end = Instant::now() + timeout;
        let mut output = self.lock();
        loop {
            if let Some(at) = find(output.get(mark..).unwrap_or_default(), text.as_bytes()) {
                return Ok(mark + at + text.len());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(output);
                return Err(Missing { text: text.to_owned(), secs: timeout.as_secs(), tail: self.tail(25) });
            }
            output = self.shared.1.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the reader was printed already; there is nothing to add here.
            drop(thread.join());
        }
    }
}

/// Types `text` on a console's socket.
///
/// # Errors
/// When QEMU does not take it.
pub fn type_text(mut socket: UnixStream, text: &str) -> std::io::Result<()> {
    socket.write_all(text.as_bytes())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

/// Drops escape sequences (ECMA-48 CSI and OSC) and carriage returns.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                chars.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\u{1b}' if chars.next_if_eq(&']').is_some() => {
                chars.by_ref().find(|c| *c == '\u{7}' || *c == '\\');
            }
            '\u{1b}' => {
                chars.next();
            }
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_appended_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut writer = File::create(&path).unwrap();
        writer.write_all(b"one login: ").unwrap();
        let console = Console::new(File::open(&path).unwrap());
        let mark = console.wait_for("login:", 0, Duration::from_secs(5)).unwrap();
        assert_eq!(mark, 10);
        let late = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            writer.write_all(b"\r\ntwo login: ").unwrap();
        });
        console.wait_for("login:", mark, Duration::from_secs(5)).unwrap();
        late.join().unwrap();
    }

    #[test]
    fn a_missing_text_is_reported_with_the_tail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "a\nb\n").unwrap();
        let console = Console::new(File::open(&path).unwrap());
        console.wait_for("b", 0, Duration::from_secs(5)).unwrap();
        let missing = console.wait_for("c", 0, Duration::ZERO).unwrap_err();
        assert_eq!(missing.tail, "a\nb");
    }

    #[test]
    fn escape_sequences_are_dropped() {
        assert_eq!(plain(b"\x1b[0;32m  OK  \x1b[0m\r\n\x1b]0;title\x07x\x1b(By"), "  OK  \nxBy");
    }
}
