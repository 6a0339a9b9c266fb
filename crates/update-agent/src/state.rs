//! What the agent knows and keeps across reboots; `wire` is its form on disk.
//!
//! All of it can be lost with the root file system: then the build time of `/usr` and the entries on the ESP
//! still refuse what is old and what failed.

mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;

use agent_support::durable;
use agent_support::host::Host;
use anyhow::Context;
use payload::{Digest, KeyId};
use slots::Version;

use crate::{files, lock};

/// Largest state file that is read.
const FILE_MAX: u64 = 1 << 20;

/// The stage of a version that is refused because it failed on another machine.
pub const GROUP_STAGE: &str = "group";

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// This machine's own random number, which decides its place in a rollout; 0 until it is made.
    pub seed: u64,
    /// What was seen of each channel.
    pub channels: BTreeMap<String, Seen>,
    /// Versions that are not taken again by themselves.
    pub failed: BTreeMap<Version, Failure>,
    /// What an operator does not want.
    pub hold: Hold,
    /// Keys that a blessed version listed as retired.
    pub retired: BTreeSet<KeyId>,
    /// When a channel file was last believed, seconds since 1970; 0 for never.
    pub last_check: u64,
    /// Why the last check or update did not succeed; empty if it did.
    pub last_error: String,
    /// The payload that is being fetched or written.
    pub fetching: Option<Fetching>,
    /// The version that was written and waits for its first boot.
    pub waiting: Option<Version>,
    /// The newest version that was found good.
    pub good: Option<Version>,
    /// The version that the kept boot loader came with.
    pub loader: Option<Version>,
    /// What the last update took.
    pub figures: Option<Figures>,
}

/// What was seen of a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Highest sequence.
    pub sequence: u64,
    /// Newest time of issue, seconds since 1970.
    pub issued: u64,
}

/// Why a version failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// The farthest stage that its last try reached; [`GROUP_STAGE`] if it was never tried here.
    pub stage: String,
    /// What it said.
    pub reason: String,
    /// When it was noticed, seconds since 1970.
    pub time: u64,
    /// Whether an operator allowed the version again.
    pub is_forgiven: bool,
}

/// What an operator does not want.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hold {
    /// No version at all.
    pub everything: bool,
    /// These versions.
    pub versions: BTreeSet<Version>,
}

/// A payload that is being fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetching {
    /// Its version.
    pub version: Version,
    /// Digest of its manifest.
    pub digest: Digest,
}

/// What an update took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// The version.
    pub version: Version,
    /// Length of its payload in bytes.
    pub payload: u64,
    /// Bytes of `/usr` and UKI that the machine had.
    pub reused: u64,
    /// Bytes fetched, everything counted.
    pub fetched: u64,
    /// Requests sent.
    pub requests: u64,
}

impl Hold {
    /// Returns whether `version` is not wanted.
    pub fn covers(&self, version: &Version) -> bool {
        self.everything || self.versions.contains(version)
    }
}

impl State {
    /// Returns the newest time of issue seen of `channel`; 0 for none.
    pub fn seen(&self, channel: &str) -> Seen {
        self.channels.get(channel).copied().unwrap_or_default()
    }

    /// Returns the failure of `version`, unless it was forgiven.
    pub fn failure(&self, version: &Version) -> Option<&Failure> {
        self.failed.get(version).filter(|failure| !failure.is_forgiven)
    }
}

/// Reads the state; a fresh one if there is none. One that cannot be read is set aside and said so.
pub fn load(host: &Host) -> anyhow::Result<State> {
    let path = host.path(files::STATE_FILE);
    match fs::metadata(&path) {
        Ok(meta) if FILE_MAX < meta.len() => return set_aside(host, "it is larger than any state"),
        Ok(_) => {}
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(State::default()),
        Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
    }
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    wire::parse(&bytes).or_else(|err| set_aside(host, &format!("{err:#}")))
}

/// Changes the state durably: reads it anew, lets `change` change it, and writes it.
pub fn edit(host: &Host, change: impl FnOnce(&mut State)) -> anyhow::Result<State> {
    let _lock = lock::state(host)?;
    let before = load(host)?;
    let mut state = before.clone();
    if state.seed == 0 {
        state.seed = random()?;
    }
    change(&mut state);
    if state != before {
        durable::write(&host.path(files::STATE_FILE), &wire::to_bytes(&state)?)?;
    }
    Ok(state)
}

/// Returns a random number that is not zero.
pub fn random() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("reading /dev/urandom")?;
    Ok(u64::from_le_bytes(bytes).max(1))
}

/// A state that nobody can read must not keep the machine from updates for ever.
fn set_aside(host: &Host, why: &str) -> anyhow::Result<State> {
    let path = host.path(files::STATE_FILE);
    let mut aside = path.clone();
    aside.set_extension("json.unreadable");
    eprintln!("warning: {}: {why}; starting anew, the old file is {}", path.display(), aside.display());
    // Whoever may not write the folder only looks.
    match fs::rename(&path, &aside) {
        Err(err) if err.kind() != std::io::ErrorKind::PermissionDenied => {
            Err(err).with_context(|| format!("setting {} aside", path.display()))
        }
        Ok(()) | Err(_) => Ok(State::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn changes_are_kept_and_the_seed_is_made_once() {
        let tree = Tree::new();
        assert_eq!(load(&tree.host).unwrap(), State::default());
        let first = edit(&tree.host, |state| state.last_check = 7).unwrap();
        assert_ne!(first.seed, 0);
        let second = edit(&tree.host, |state| state.hold.everything = true).unwrap();
        assert_eq!((second.seed, second.last_check), (first.seed, 7));
        assert_eq!(load(&tree.host).unwrap(), second);
    }

    #[test]
    fn an_unreadable_state_is_set_aside() {
        let tree = Tree::new();
        tree.file(files::STATE_FILE, "{\"format\":1,");
        assert_eq!(load(&tree.host).unwrap(), State::default());
        assert!(tree.host.path("/var/lib/slipway/update/state.json.unreadable").exists());
        tree.file(files::STATE_FILE, vec![b' '; 2 << 20]);
        assert_eq!(load(&tree.host).unwrap(), State::default());
    }

    #[test]
    fn a_forgiven_failure_is_none_and_a_hold_covers_what_it_names() {
        let version: Version = "2.0.0".parse().unwrap();
        let failure = |is_forgiven| Failure {
            stage: "initrd".to_owned(),
            reason: "panic".to_owned(),
            time: 1,
            is_forgiven,
        };
        let mut state = State::default();
        state.failed.insert(version.clone(), failure(false));
        assert!(state.failure(&version).is_some());
        state.failed.insert(version.clone(), failure(true));
        assert!(state.failure(&version).is_none());
        assert!(!state.hold.covers(&version));
        state.hold.versions.insert(version.clone());
        assert!(state.hold.covers(&version) && !state.hold.covers(&"3.0.0".parse().unwrap()));
        state.hold.everything = true;
        assert!(state.hold.covers(&"3.0.0".parse().unwrap()));
    }
}
