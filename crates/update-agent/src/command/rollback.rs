//! `slipway-update rollback`: back to the other version, and not forward again by itself.

use agent_support::host::Host;
use agent_support::{boot, esp};
use anyhow::Context;
use slots::EntryName;

use super::{Exit, print};
use crate::history::{self, What};
use crate::{lock, reboot, state};

/// What a rollback does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    /// The entry that loses its tries.
    leave: EntryName,
    /// The entry that is started from then on.
    back_to: EntryName,
}

/// Puts the entry that would be started next last, and holds its version.
pub fn rollback(host: &Host) -> anyhow::Result<Exit> {
    let _lock = lock::work(host, lock::COMMAND_WAIT)?;
    let boot = boot::current(host)?;
    let entries = esp::read(host, |esp| esp::entries(esp, &boot.entry.product))?;
    let plan = plan(&entries)?;
    // Durable before the effect: a hold without a rollback does less harm than the other way round.
    state::edit(host, |state| {
        state.hold.versions.insert(plan.leave.version.clone());
        state.waiting = None;
    })?;
    let last = plan.leave.without_tries();
    esp::rename_entry(host, &plan.leave.to_string(), &last.to_string())
        .context("putting the newer entry last")?;
    let (left, back) = (&plan.leave.version, &plan.back_to.version);
    history::add(host, What::RolledBack, Some(left), &format!("to {back}"))?;
    print::line(&format!("version {left} is put last and held until a newer one appears"))?;
    if *back == boot.entry.version {
        reboot::forget(host)?;
        print::line(&format!("version {back} runs and stays"))?;
    } else {
        reboot::want(host, back)?;
        print::line(&format!("version {back} runs after a reboot"))?;
    }
    Ok(Exit::Done)
}

/// The entries are in the order in which the loader prefers them.
fn plan(entries: &[EntryName]) -> anyhow::Result<Plan> {
    let mut good = entries.iter().filter(|entry| !entry.is_exhausted());
    let leave = good.next().context("the EFI system partition has no entry that could be left")?;
    let back_to = good.find(|entry| entry.version != leave.version).with_context(|| {
        format!("there is no other version to go back to: beside {leave} no entry has tries left")
    })?;
    Ok(Plan { leave: leave.clone(), back_to: back_to.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    fn tree(running: &str, files: &[&str]) -> Tree {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", running);
        for file in files {
            tree.file(&format!("/efi/EFI/Linux/{file}"), "x");
        }
        tree
    }

    #[track_caller]
    fn check(running: &str, files: &[&str], after: &[&str], wants: Option<&str>) {
        let tree = tree(running, files);
        rollback(&tree.host).unwrap();
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), after);
        let waiting = reboot::waiting(&tree.host).unwrap().map(|version| version.to_string());
        assert_eq!(waiting.as_deref(), wants);
        let held = state::load(&tree.host).unwrap().hold;
        assert!(held.covers(&"2.0.0".parse().unwrap()) && !held.covers(&"3.0.0".parse().unwrap()));
    }

    #[test]
    fn the_version_that_runs_is_left_for_the_older_one() {
        let (one, two) = ("slipway_1.0.0.efi", "slipway_2.0.0.efi");
        check(two, &[one, two], &[one, "slipway_2.0.0+0-0.efi"], Some("1.0.0"));
    }

    #[test]
    fn a_version_that_waits_is_taken_back() {
        let one = "slipway_1.0.0.efi";
        check(one, &[one, "slipway_2.0.0+3.efi"], &[one, "slipway_2.0.0+0-0.efi"], None);
    }

    #[test]
    fn without_another_version_nothing_changes() {
        for files in [&["slipway_2.0.0.efi"][..], &["slipway_2.0.0.efi", "slipway_1.0.0+0-3.efi"]] {
            let tree = tree("slipway_2.0.0.efi", files);
            let err = rollback(&tree.host).unwrap_err().to_string();
            assert!(err.starts_with("there is no other version to go back to"), "{err}");
            assert!(tree.host.path("/efi/EFI/Linux/slipway_2.0.0.efi").exists());
            assert_eq!(state::load(&tree.host).unwrap().hold, state::Hold::default());
        }
    }
}
