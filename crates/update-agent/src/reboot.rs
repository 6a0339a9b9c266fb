//! The wish for a reboot: a file that others wait for. The agent itself never reboots.

use std::fs;

use agent_support::durable;
use agent_support::host::Host;
use anyhow::Context;
use slots::Version;

use crate::files;
use crate::settings::Strategy;
use crate::state::State;

/// Why no reboot is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWanted {
    /// Nothing waits.
    #[error("no version waits for a reboot")]
    Nothing,
    /// The settings leave it to somebody else.
    #[error("version {version} waits, and REBOOT_STRATEGY is off")]
    Off {
        /// The version.
        version: Version,
    },
    /// An operator does not want it.
    #[error("version {version} waits, and is held")]
    Held {
        /// The version.
        version: Version,
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

/// Decides whether the machine is to reboot now.
pub fn is_wanted(waiting: Option<Version>, strategy: Strategy, state: &State) -> Result<Version, NotWanted> {
    let version = waiting.ok_or(NotWanted::Nothing)?;
    if state.hold.covers(&version) {
        return Err(NotWanted::Held { version });
    }
    match strategy {
        Strategy::Reboot => Ok(version),
        Strategy::Off => Err(NotWanted::Off { version }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn strategy_and_hold_decide() {
        let version: Version = "2.0.0".parse().unwrap();
        let mut state = State::default();
        assert_eq!(is_wanted(None, Strategy::Reboot, &state), Err(NotWanted::Nothing));
        assert_eq!(is_wanted(Some(version.clone()), Strategy::Reboot, &state), Ok(version.clone()));
        let off = Err(NotWanted::Off { version: version.clone() });
        assert_eq!(is_wanted(Some(version.clone()), Strategy::Off, &state), off);
        state.hold.versions.insert(version.clone());
        let held = Err(NotWanted::Held { version: version.clone() });
        assert_eq!(is_wanted(Some(version), Strategy::Reboot, &state), held);
    }
}
