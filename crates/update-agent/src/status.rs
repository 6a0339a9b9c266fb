//! What is going on: a file in `/run` that whoever holds the lock replaces, and lines on standard output.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use agent_support::host::Host;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use slots::Version;

use crate::files;

const FORMAT: u32 = 1;
/// The file is replaced at most this often while bytes are counted.
const PERIOD: Duration = Duration::from_secs(1);

/// The operations, with the names that the original had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Nothing.
    Idle,
    /// Asking the server.
    Checking,
    /// A version is on offer and not taken yet.
    Available,
    /// Fetching and writing.
    Downloading,
    /// Reading back.
    Verifying,
    /// Making the slot findable.
    Finalizing,
    /// Written.
    NeedReboot,
    /// Recording an error.
    ReportingError,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Format number.
    pub format: u32,
    /// A name of [`Op`].
    pub current_op: String,
    /// The version that it is about; empty for none.
    pub new_version: String,
    /// Length of its payload in bytes; 0 for unknown.
    pub new_size: u64,
    /// Share that is done, 0 to 1.
    pub progress: f64,
    /// Bytes that the machine had.
    pub reused: u64,
    /// Bytes fetched.
    pub fetched: u64,
    /// Requests sent.
    pub requests: u64,
}

impl Op {
    /// Returns the name in files and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "UPDATE_STATUS_IDLE",
            Self::Checking => "UPDATE_STATUS_CHECKING_FOR_UPDATE",
            Self::Available => "UPDATE_STATUS_UPDATE_AVAILABLE",
            Self::Downloading => "UPDATE_STATUS_DOWNLOADING",
            Self::Verifying => "UPDATE_STATUS_VERIFYING",
            Self::Finalizing => "UPDATE_STATUS_FINALIZING",
            Self::NeedReboot => "UPDATE_STATUS_UPDATED_NEED_REBOOT",
            Self::ReportingError => "UPDATE_STATUS_REPORTING_ERROR_EVENT",
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self {
            format: FORMAT,
            current_op: Op::Idle.name().to_owned(),
            new_version: String::new(),
            new_size: 0,
            progress: 0.0,
            reused: 0,
            fetched: 0,
            requests: 0,
        }
    }
}

/// Reads the file; idle if there is none that can be read.
pub fn load(host: &Host) -> anyhow::Result<Status> {
    let text = host.read(files::STATUS_FILE)?.unwrap_or_default();
    // It is replaced by renaming, so one that does not parse is another version's.
    let status: Option<Status> = serde_json::from_str(&text).ok();
    Ok(status.filter(|status| status.format == FORMAT).unwrap_or_default())
}

/// Where the words for people go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// To standard output: a terminal, or the journal.
    Stdout,
    /// To standard error: standard output is for one document.
    Stderr,
}

/// Keeps the file up to date while something is being done.
#[derive(Debug)]
pub struct Reporter<'a> {
    host: &'a Host,
    words: Words,
    status: Status,
    done: u64,
    written: Option<Instant>,
    told_percent: u64,
}

/// How far something was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    reused: u64,
    done: u64,
}

impl<'a> Reporter<'a> {
    /// Starts with an idle status; writes nothing yet.
    pub fn new(host: &'a Host, words: Words) -> Self {
        Self { host, words, status: Status::default(), done: 0, written: None, told_percent: 0 }
    }

    /// Says a line.
    pub fn say(&self, line: &str) {
        let res = match self.words {
            Words::Stdout => writeln!(std::io::stdout(), "{line}"),
            Words::Stderr => writeln!(std::io::stderr(), "{line}"),
        };
        // That nobody listens any more is no reason to stop an update.
        res.ok();
    }

    /// Says what is being done from now on.
    pub fn op(&mut self, op: Op, version: Option<&Version>) -> anyhow::Result<()> {
        op.name().clone_into(&mut self.status.current_op);
        self.status.new_version = version.map(ToString::to_string).unwrap_or_default();
        self.write()
    }

    /// Says how long the payload is; progress counts from here.
    pub fn size(&mut self, bytes: u64) {
        self.status.new_size = bytes;
        (self.done, self.told_percent) = (0, 0);
    }

    /// Counts bytes that the machine had.
    pub fn reused(&mut self, bytes: u64) -> anyhow::Result<()> {
        self.status.reused += bytes;
        self.advance(bytes)
    }

    /// Counts bytes of the payload that were fetched and checked.
    pub fn checked(&mut self, bytes: u64) -> anyhow::Result<()> {
        self.advance(bytes)
    }

    /// Sets what the network took.
    pub fn traffic(&mut self, fetched: u64, requests: u64) {
        (self.status.fetched, self.status.requests) = (fetched, requests);
    }

    /// Returns how far it is, for going back there.
    pub fn mark(&self) -> Mark {
        Mark { reused: self.status.reused, done: self.done }
    }

    /// Goes back to where it was.
    pub fn rewind(&mut self, mark: &Mark) {
        (self.status.reused, self.done) = (mark.reused, mark.done);
    }

    /// Returns the status as it is now.
    pub fn status(&self) -> &Status {
        &self.status
    }

    fn advance(&mut self, bytes: u64) -> anyhow::Result<()> {
        self.done += bytes;
        let size = self.status.new_size.max(1);
        let percent = (self.done.saturating_mul(100) / size).min(100);
        // Exact for every length of a payload.
        self.status.progress = (percent_of(self.done.min(size), size) * 10_000.0).round() / 10_000.0;
        if self.told_percent + 10 <= percent {
            self.told_percent = percent - percent % 10;
            self.say(&format!(
                "{percent} % ({} MiB had, {} MiB fetched)",
                self.status.reused >> 20,
                self.status.fetched >> 20
            ));
        }
        if self.written.is_none_or(|at| PERIOD <= at.elapsed()) { self.write() } else { Ok(()) }
    }

    /// Replaces the file. Not durable: it is about this boot only.
    fn write(&mut self) -> anyhow::Result<()> {
        self.written = Some(Instant::now());
        let path = self.host.path(files::STATUS_FILE);
        let partial = path.with_extension("json.partial");
        let bytes = serde_json::to_vec(&self.status).context("writing the status")?;
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        }
        fs::write(&partial, bytes).with_context(|| format!("writing {}", partial.display()))?;
        fs::rename(&partial, &path).with_context(|| format!("renaming {}", partial.display()))
    }
}

/// Returns `part` as a share of `whole`.
#[expect(clippy::as_conversions, reason = "payloads have less than 2^53 bytes, which f64 holds exactly")]
pub fn percent_of(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn the_file_has_the_documented_shape() {
        let tree = Tree::new();
        let mut reporter = Reporter::new(&tree.host, Words::Stdout);
        reporter.size(4000);
        reporter.reused(1000).unwrap();
        reporter.traffic(3000, 2);
        reporter.checked(2000).unwrap();
        reporter.op(Op::Downloading, Some(&"2.0.0".parse().unwrap())).unwrap();
        expect_test::expect![[r#"{"format":1,"current_op":"UPDATE_STATUS_DOWNLOADING","new_version":"2.0.0","new_size":4000,"progress":0.75,"reused":1000,"fetched":3000,"requests":2}"#]]
            .assert_eq(&tree.host.read(files::STATUS_FILE).unwrap().unwrap());
        assert_eq!(load(&tree.host).unwrap(), reporter.status);
    }

    #[test]
    fn without_a_file_nothing_is_going_on() {
        let tree = Tree::new();
        assert_eq!(load(&tree.host).unwrap().current_op, "UPDATE_STATUS_IDLE");
        tree.file(files::STATUS_FILE, r#"{"format":2}"#);
        assert_eq!(load(&tree.host).unwrap(), Status::default());
    }
}
