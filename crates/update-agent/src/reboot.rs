//! The wish for a reboot: a file that locksmithd looks at. The agent itself never reboots.

use std::fs;

use agent_support::durable;
use agent_support::host::Host;
use anyhow::Context;
use slots::Version;

use crate::files;
use crate::state::State;

/// Why no reboot is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWanted {
    /// Nothing waits.
    #[error("no version waits for a reboot")]
    Nothing,
    /// An operator does not want it.
    #[error("version {version} waits, and is held")]
    Held {
        /// The version.
        version: Version,
    },
    /// It failed here or elsewhere, and nobody allowed it again.
    #[error("version {version} waits, and failed at stage {stage}")]
    Failed {
        /// The version.
        version: Version,
        /// The farthest stage of its last try; `group` if another machine tried it.
        stage: String,
    },
}

/// Returns the version that waits for a reboot.
pub fn waiting(host: &Host) -> anyhow::Result<Option<Version>> {
    let Some(text) = host.read(files::REBOOT_FILE)? else { return Ok(None) };
    text.trim().parse().map(Some).with_context(|| format!("reading {}", files::REBOOT_FILE))
}

/// Says that a reboot is wanted; saying it again wakes whoever waits for the file.
pub fn want(host: &Host, version: &Version) -> anyhow::Result<()> {
    durable::write(&host.path(files::REBOOT_FILE), format!("{version}\n").as_bytes())
}

/// Says that none is wanted. Returns whether one was.
pub fn forget(host: &Host) -> anyhow::Result<bool> {
    let path = host.path(files::REBOOT_FILE);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err).with_context(|| format!("removing {}", path.display())),
    }
}

/// Decides whether a version waits for a reboot that nothing speaks against. When and whether it comes is locksmith's
/// to say, by the strategy.
pub fn is_wanted(waiting: Option<Version>, state: &State) -> Result<Version, NotWanted> {
    let version = waiting.ok_or(NotWanted::Nothing)?;
    if state.hold.covers(&version) {
        return Err(NotWanted::Held { version });
    }
    match state.failure(&version) {
        Some(failure) => Err(NotWanted::Failed { stage: failure.stage.clone(), version }),
        None => Ok(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Failure;
    use agent_support::testing::Tree;

    #[test]
    fn the_file_holds_the_version() {
        let tree = Tree::new();
        assert_eq!(waiting(&tree.host).unwrap(), None);
        let version: Version = "2.0.0".parse().unwrap();
        want(&tree.host, &version).unwrap();
        assert_eq!(tree.host.read(files::REBOOT_FILE).unwrap().as_deref(), Some("2.0.0\n"));
        assert_eq!(waiting(&tree.host).unwrap(), Some(version));
        assert!(forget(&tree.host).unwrap());
        assert!(!forget(&tree.host).unwrap());
        tree.file(files::REBOOT_FILE, "x\n");
        assert!(waiting(&tree.host).is_err());
    }

    #[test]
    fn what_is_held_or_failed_is_not_wanted_until_that_is_lifted() {
        let version: Version = "2.0.0".parse().unwrap();
        let mut state = State::default();
        assert_eq!(is_wanted(None, &state), Err(NotWanted::Nothing));
        assert_eq!(is_wanted(Some(version.clone()), &state), Ok(version.clone()));
        let failure = Failure { stage: "group".to_owned(), ..Failure::default() };
        state.failed.insert(version.clone(), failure);
        let failed = NotWanted::Failed { version: version.clone(), stage: "group".to_owned() };
        assert_eq!(is_wanted(Some(version.clone()), &state), Err(failed));
        state.failed.get_mut(&version).unwrap().is_forgiven = true;
        assert_eq!(is_wanted(Some(version.clone()), &state), Ok(version.clone()));
        state.hold.versions.insert(version.clone());
        let held = Err(NotWanted::Held { version: version.clone() });
        assert_eq!(is_wanted(Some(version), &state), held);
    }
}
