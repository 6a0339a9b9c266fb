//! `slipway-update hold` and `unhold`: what an operator does not want, and what he wants again.

use agent_support::host::Host;
use slots::Version;

use super::{Exit, print};
use crate::history::{self, What};
use crate::state;

/// Takes no version any more, or not this one.
pub fn hold(host: &Host, version: Option<&Version>) -> anyhow::Result<Exit> {
    state::edit(host, |state| match version {
        Some(version) => {
            state.hold.versions.insert(version.clone());
        }
        None => state.hold.everything = true,
    })?;
    history::add(host, What::Held, version, if version.is_none() { "every version" } else { "" })?;
    let what = version.map_or_else(|| "every version".to_owned(), |version| format!("version {version}"));
    print::line(&format!("{what} is held; `slipway-update unhold` lifts that"))?;
    Ok(Exit::Done)
}

/// Lifts all holds, or that of this version; a version that failed may be taken again.
pub fn unhold(host: &Host, version: Option<&Version>) -> anyhow::Result<Exit> {
    state::edit(host, |state| match version {
        Some(version) => {
            state.hold.versions.remove(version);
            if let Some(failure) = state.failed.get_mut(version) {
                failure.is_forgiven = true;
            }
        }
        None => state.hold = state::Hold::default(),
    })?;
    history::add(host, What::Unheld, version, if version.is_none() { "every version" } else { "" })?;
    let state = state::load(host)?;
    if state.hold.everything {
        print::line("every version is still held; `slipway-update unhold` without a version lifts that")?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn holds_add_up_and_are_lifted_one_by_one_or_all_at_once() {
        let tree = Tree::new();
        let version: Version = "2.0.0".parse().unwrap();
        let other: Version = "3.0.0".parse().unwrap();
        hold(&tree.host, Some(&version)).unwrap();
        hold(&tree.host, Some(&other)).unwrap();
        unhold(&tree.host, Some(&version)).unwrap();
        let held = state::load(&tree.host).unwrap().hold;
        assert!(!held.covers(&version) && held.covers(&other));
        hold(&tree.host, None).unwrap();
        assert!(state::load(&tree.host).unwrap().hold.covers(&version));
        unhold(&tree.host, None).unwrap();
        assert_eq!(state::load(&tree.host).unwrap().hold, state::Hold::default());
        assert_eq!(history::load(&tree.host).unwrap().len(), 5);
    }
}
