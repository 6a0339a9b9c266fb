//! The last hundred things that happened, for people.

use std::fs;

use agent_support::host::Host;
use agent_support::{boot, durable};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use slots::Version;

use crate::{files, lock};

/// Events kept.
pub const EVENTS_MAX: usize = 100;
/// Longest text of an event in bytes.
const TEXT_MAX: usize = 1000;
const FORMAT: u32 = 1;
const FILE_MAX: u64 = 1 << 20;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A check or an update did not succeed.
    Error,
    /// A version began to be fetched.
    Started,
    /// A version was written and waits for a reboot.
    Written,
    /// A version was found good.
    Blessed,
    /// A version failed.
    Failed,
    /// A version was refused, because it failed on another machine.
    Refused,
    /// An operator went back.
    RolledBack,
    /// An operator put a version or all of them on hold.
    Held,
    /// An operator lifted a hold.
    Unheld,
    /// An operator took back that a version waits.
    Reset,
    /// The boot loader was replaced.
    Loader,
    /// Keys were retired for good.
    KeysRetired,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, seconds since 1970 by the machine's clock.
    pub time: u64,
    /// What: a name of [`What`].
    pub what: String,
    /// The version that it is about, empty for none.
    #[serde(default)]
    pub version: String,
    /// More, for people.
    #[serde(default)]
    pub text: String,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    format: u32,
    events: Vec<Event>,
}

impl What {
    /// Returns the name in files and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Started => "started",
            Self::Written => "written",
            Self::Blessed => "blessed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Held => "held",
            Self::Unheld => "unheld",
            Self::Reset => "reset",
            Self::Loader => "loader",
            Self::KeysRetired => "keys-retired",
        }
    }
}

/// Returns the events, oldest first; none if there is no history that can be read.
pub fn load(host: &Host) -> anyhow::Result<Vec<Event>> {
    let path = host.path(files::HISTORY_FILE);
    match fs::metadata(&path) {
        Ok(meta) if meta.len() <= FILE_MAX => {}
        Ok(_) => return Ok(Vec::new()),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
    }
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    // What is torn or of a later format is told to nobody, and nothing depends on it.
    let wire: Option<Wire> = serde_json::from_slice(&bytes).ok();
    Ok(wire.filter(|wire| wire.format == FORMAT).map_or_else(Vec::new, |wire| wire.events))
}

/// Adds an event. The same error again only moves to now.
pub fn add(host: &Host, what: What, version: Option<&Version>, text: &str) -> anyhow::Result<()> {
    let _lock = lock::state(host)?;
    let mut events = load(host)?;
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let event = Event {
        time: boot::now(),
        what: what.name().to_owned(),
        version: version.map(ToString::to_string).unwrap_or_default(),
        text: text[..end].to_owned(),
    };
    let repeats = |last: &&Event| {
        what == What::Error
            && (&last.what, &last.version, &last.text) == (&event.what, &event.version, &event.text)
    };
    if events.last().as_ref().is_some_and(repeats) {
        events.pop();
    }
    events.push(event);
    let n_old = events.len().saturating_sub(EVENTS_MAX);
    events.drain(..n_old);
    let bytes = serde_json::to_vec(&Wire { format: FORMAT, events }).context("writing the history")?;
    durable::write(&host.path(files::HISTORY_FILE), &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn keeps_the_last_hundred() {
        let tree = Tree::new();
        let version: Version = "2.0.0".parse().unwrap();
        for n in 0..=EVENTS_MAX {
            add(&tree.host, What::Held, Some(&version), &n.to_string()).unwrap();
        }
        let events = load(&tree.host).unwrap();
        assert_eq!((events.len(), events[0].text.as_str()), (EVENTS_MAX, "1"));
        assert_eq!((events[99].what.as_str(), events[99].version.as_str()), ("held", "2.0.0"));
    }

    #[test]
    fn the_same_error_again_takes_no_place() {
        let tree = Tree::new();
        for text in ["a", "a", "b", "b", "a"] {
            add(&tree.host, What::Error, None, text).unwrap();
        }
        let texts: Vec<_> = load(&tree.host).unwrap().into_iter().map(|event| event.text).collect();
        assert_eq!(texts, ["a", "b", "a"]);
    }

    #[test]
    fn a_torn_history_is_an_empty_one() {
        let tree = Tree::new();
        tree.file(files::HISTORY_FILE, "{\"format\":1,\"ev");
        assert_eq!(load(&tree.host).unwrap(), []);
        add(&tree.host, What::Reset, None, "").unwrap();
        assert_eq!(load(&tree.host).unwrap().len(), 1);
    }
}
