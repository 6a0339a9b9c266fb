//! `slipway-update refuse`: a version that failed on another machine is not tried on this one.

use agent_support::host::Host;
use agent_support::{boot, esp, tries};
use anyhow::Context;
use slots::{EntryName, Version};

use super::{Exit, print};
use crate::history::{self, What};
use crate::state::{self, Failure, GROUP_STAGE, State};
use crate::{lock, reboot};

/// Records that `version` failed elsewhere, and takes it back if it only waits for its first boot. Whoever says it
/// again changes nothing, except what an interrupted run left undone.
///
/// # Errors
/// When the version runs already: it is not taken back under a running machine.
pub fn refuse(host: &Host, version: &Version, reason: &str) -> anyhow::Result<Exit> {
    let running = boot::current(host)?.entry.version;
    anyhow::ensure!(
        running != *version,
        "version {version} runs: it cannot be refused; `slipway-update rollback` goes back to the other slot"
    );
    // Before anything else, and without the lock of whoever works: a download of the version ends refused.
    record(host, version, reason)?;
    if !waits(host, version)? {
        print::line(&format!("version {version} is refused: {}", reason.trim()))?;
        return Ok(Exit::Done);
    }
    let _lock = lock::work(host, lock::COMMAND_WAIT)?;
    take_back(host, version)?;
    print::line(&format!("version {version} is refused and taken back: {}", reason.trim()))?;
    Ok(Exit::Done)
}

/// A failure of this machine's own says more than another's and stays.
fn record(host: &Host, version: &Version, reason: &str) -> anyhow::Result<()> {
    if state::load(host)?.failure(version).is_some() {
        return Ok(());
    }
    let failure = Failure {
        stage: GROUP_STAGE.to_owned(),
        reason: tries::shorten(reason),
        time: boot::now(),
        is_forgiven: false,
    };
    let text = format!("stage {}: {}", failure.stage, failure.reason);
    state::edit(host, |state| {
        state.failed.insert(version.clone(), failure);
    })?;
    history::add(host, What::Refused, Some(version), &text)
}

/// Whether the version would run after a reboot, or a reboot into it is wanted.
fn waits(host: &Host, version: &Version) -> anyhow::Result<bool> {
    let State { waiting, .. } = state::load(host)?;
    Ok(reboot::waiting(host)?.as_ref() == Some(version)
        || waiting.as_ref() == Some(version)
        || counted(host, version)?.is_some())
}

/// The entry of the version, if it is on trial: it has tries left and is not blessed.
fn counted(host: &Host, version: &Version) -> anyhow::Result<Option<EntryName>> {
    let product = boot::current(host)?.entry.product;
    let entries = esp::read(host, |esp| esp::entries(esp, &product))?;
    Ok(entries
        .into_iter()
        .find(|entry| entry.version == *version && !entry.is_blessed() && !entry.is_exhausted()))
}

/// The other order than when it was written: first nobody reboots for it, then the loader leaves it alone. A blessed
/// entry stays, it is what the machine falls back to.
fn take_back(host: &Host, version: &Version) -> anyhow::Result<()> {
    if reboot::waiting(host)?.as_ref() == Some(version) {
        reboot::forget(host)?;
    }
    if let Some(entry) = counted(host, version)? {
        let last = entry.without_tries();
        esp::rename_entry(host, &entry.to_string(), &last.to_string())
            .context("putting the refused entry last")?;
    }
    state::edit(host, |state| {
        if state.waiting.as_ref() == Some(version) {
            state.waiting = None;
        }
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    fn tree(entries: &[&str]) -> Tree {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi");
        for entry in entries {
            tree.file(&format!("/efi/EFI/Linux/{entry}"), "x");
        }
        tree
    }

    fn two() -> Version {
        "2.0.0".parse().unwrap()
    }

    #[test]
    fn a_version_that_was_not_taken_yet_is_refused_and_nothing_else_changes() {
        let tree = tree(&["slipway_1.0.0.efi"]);
        for _ in 0..2 {
            refuse(&tree.host, &two(), " docker: no answer, on m1 ").unwrap();
        }
        let state = state::load(&tree.host).unwrap();
        let failure = state.failure(&two()).unwrap();
        assert_eq!((failure.stage.as_str(), failure.reason.as_str()), ("group", "docker: no answer, on m1"));
        let events = history::load(&tree.host).unwrap();
        assert_eq!(events.iter().map(|event| event.what.as_str()).collect::<Vec<_>>(), ["refused"]);
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), ["slipway_1.0.0.efi"]);
    }

    #[test]
    fn a_version_that_waits_is_taken_back() {
        let tree = tree(&["slipway_1.0.0.efi", "slipway_2.0.0+3.efi"]);
        reboot::want(&tree.host, &two()).unwrap();
        state::edit(&tree.host, |state| state.waiting = Some(two())).unwrap();
        refuse(&tree.host, &two(), "x").unwrap();
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), ["slipway_1.0.0.efi", "slipway_2.0.0+0-0.efi"]);
        assert_eq!(reboot::waiting(&tree.host).unwrap(), None);
        assert_eq!(state::load(&tree.host).unwrap().waiting, None);
    }

    #[test]
    fn what_an_interrupted_refusal_left_is_finished_by_the_next() {
        let tree = tree(&["slipway_1.0.0.efi", "slipway_2.0.0+2-1.efi"]);
        record(&tree.host, &two(), "x").unwrap();
        refuse(&tree.host, &two(), "y").unwrap();
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), ["slipway_1.0.0.efi", "slipway_2.0.0+0-1.efi"]);
        assert_eq!(state::load(&tree.host).unwrap().failure(&two()).unwrap().reason, "x");
    }

    #[test]
    fn a_blessed_entry_stays_what_the_machine_can_fall_back_to() {
        let tree = tree(&["slipway_1.0.0.efi", "slipway_2.0.0.efi"]);
        reboot::want(&tree.host, &two()).unwrap();
        refuse(&tree.host, &two(), "x").unwrap();
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), ["slipway_1.0.0.efi", "slipway_2.0.0.efi"]);
        assert_eq!(reboot::waiting(&tree.host).unwrap(), None);
    }

    #[test]
    fn a_reboot_into_another_version_stays_wanted() {
        let tree = tree(&["slipway_1.0.0.efi", "slipway_3.0.0+3.efi"]);
        let three: Version = "3.0.0".parse().unwrap();
        reboot::want(&tree.host, &three).unwrap();
        refuse(&tree.host, &two(), "x").unwrap();
        assert_eq!(reboot::waiting(&tree.host).unwrap(), Some(three));
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), ["slipway_1.0.0.efi", "slipway_3.0.0+3.efi"]);
    }

    #[test]
    fn the_version_that_runs_cannot_be_refused() {
        let tree = tree(&["slipway_1.0.0.efi"]);
        let err = refuse(&tree.host, &"1.0.0".parse().unwrap(), "x").unwrap_err().to_string();
        assert!(err.starts_with("version 1.0.0 runs: ") && err.contains("rollback"), "{err}");
        assert_eq!(state::load(&tree.host).unwrap(), State::default());
    }

    #[test]
    fn a_failure_of_its_own_stays_and_a_forgiven_one_counts_again() {
        let tree = tree(&["slipway_1.0.0.efi"]);
        let own = Failure { stage: "userspace".to_owned(), reason: "own".to_owned(), ..Failure::default() };
        state::edit(&tree.host, |state| {
            state.failed.insert(two(), own);
        })
        .unwrap();
        refuse(&tree.host, &two(), "another's").unwrap();
        assert_eq!(state::load(&tree.host).unwrap().failure(&two()).unwrap().reason, "own");
        super::super::hold::forgive(&tree.host, &two()).unwrap();
        refuse(&tree.host, &two(), "another's").unwrap();
        assert_eq!(state::load(&tree.host).unwrap().failure(&two()).unwrap().reason, "another's");
    }
}
