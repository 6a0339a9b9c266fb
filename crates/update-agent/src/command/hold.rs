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
            allow(state, version);
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

/// Lets a version that failed or was refused be taken again, and leaves holds as they are.
pub fn forgive(host: &Host, version: &Version) -> anyhow::Result<Exit> {
    let before = state::load(host)?;
    let state = state::edit(host, |state| allow(state, version))?;
    if state == before {
        print::line(&format!("version {version} did not fail: there is nothing to allow"))?;
        return Ok(Exit::Done);
    }
    history::add(host, What::Unheld, Some(version), "its failure")?;
    if state.hold.covers(version) {
        print::line(&format!(
            "version {version} may be taken again as far as its failure goes, but is held: `slipway-update unhold` lifts that"
        ))?;
    }
    Ok(Exit::Done)
}

/// Its own failure is kept as forgiven, for people. That of another machine is not this one's to keep.
fn allow(state: &mut state::State, version: &Version) {
    match state.failed.get_mut(version) {
        Some(failure) if failure.stage == state::GROUP_STAGE => {
            state.failed.remove(version);
        }
        Some(failure) => failure.is_forgiven = true,
        None => {}
    }
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

    #[test]
    fn an_allowed_failure_leaves_an_operators_hold_alone() {
        let tree = Tree::new();
        let [own, others]: [Version; 2] = ["2.0.0", "3.0.0"].map(|text| text.parse().unwrap());
        hold(&tree.host, Some(&own)).unwrap();
        state::edit(&tree.host, |state| {
            let failure = |stage: &str| state::Failure { stage: stage.to_owned(), ..Default::default() };
            state.failed.insert(own.clone(), failure("userspace"));
            state.failed.insert(others.clone(), failure(state::GROUP_STAGE));
        })
        .unwrap();
        for _ in 0..2 {
            forgive(&tree.host, &own).unwrap();
            forgive(&tree.host, &others).unwrap();
        }
        let state = state::load(&tree.host).unwrap();
        assert!(state.hold.covers(&own) && state.failure(&own).is_none());
        assert!(state.failed[&own].is_forgiven && !state.failed.contains_key(&others));
        // Said once each, however often it was asked for.
        assert_eq!(history::load(&tree.host).unwrap().len(), 3);
    }
}
