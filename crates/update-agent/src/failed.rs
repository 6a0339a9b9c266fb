//! Versions that failed: read off the ESP, and kept in the state before their entries go.

use std::collections::BTreeMap;

use agent_support::host::Host;
use agent_support::{boot, esp, tries};
use anyhow::Context;
use slots::{EntryName, FailReason, Verdict, Version, verdict};

use crate::history::{self, What};
use crate::state::{self, Failure, State};

/// Returns the versions that failed according to the ESP.
pub fn on_esp(host: &Host) -> anyhow::Result<BTreeMap<Version, Failure>> {
    let boot = boot::current(host)?;
    esp::read(host, |mounted| {
        let mut failed = BTreeMap::new();
        for entry in esp::entries(mounted, &boot.entry.product)? {
            let records = tries::load(&mounted.join(tries::TRIES_DIR), &entry.version.to_string())?;
            if entry.version != boot.entry.version
                && let Some(failure) = judge(&entry, &records)
            {
                failed.insert(entry.version, failure);
            }
        }
        Ok(failed)
    })
    .context("looking for failed versions")
}

/// Keeps the versions that failed in the state. Returns the state.
pub fn record(host: &Host) -> anyhow::Result<State> {
    let found = on_esp(host)?;
    let known = state::load(host)?;
    let news: Vec<_> = found.into_iter().filter(|(version, _)| !known.failed.contains_key(version)).collect();
    if news.is_empty() {
        return Ok(known);
    }
    let state = state::edit(host, |state| state.failed.extend(news.iter().cloned()))?;
    for (version, failure) in &news {
        let text = format!("stage {}: {}", failure.stage, failure.reason);
        history::add(host, What::Failed, Some(version), &text)?;
    }
    Ok(state)
}

fn judge(entry: &EntryName, records: &[tries::Try]) -> Option<Failure> {
    let judged: Vec<_> = records.iter().map(tries::Try::to_record).collect();
    let last = records.iter().find(|record| record.number == entry.tries_done());
    let farthest = last.map(|record| record.stage.name());
    let (stage, reason) = match verdict(entry, &judged) {
        Verdict::Failed(FailReason::NoRecord) => ("loader", "it left no record of its last try".to_owned()),
        Verdict::Failed(FailReason::DiedAt(_)) => (farthest?, "it died without a word".to_owned()),
        Verdict::Failed(FailReason::Said { text, .. }) => (farthest?, text),
        Verdict::Good | Verdict::OnTrial { .. } | Verdict::Withdrawn | Verdict::CutOff { .. } => return None,
    };
    let time = last.map_or_else(boot::now, |record| record.time);
    Some(Failure { stage: stage.to_owned(), reason, time, is_forgiven: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;
    use agent_support::tries::{Stage, Try};

    fn tree() -> Tree {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi")
            .file("/efi/EFI/Linux/slipway_1.0.0.efi", "x")
            .file("/efi/EFI/Linux/slipway_2.0.0+0-3.efi", "x")
            .file("/efi/EFI/Linux/slipway_3.0.0+0-1.efi", "x")
            .file("/efi/EFI/Linux/slipway_4.0.0+0-0.efi", "x");
        let record = |number, stage, reason: &str| Try { number, stage, reason: reason.to_owned(), time: 5 };
        let base = tree.host.path("/efi/slipway/tries");
        tries::store(&base, "2.0.0", record(3, Stage::HealthFailed, "docker: no answer")).unwrap();
        tries::store(&base, "3.0.0", record(1, Stage::Complete, "")).unwrap();
        tree
    }

    #[test]
    fn used_up_tries_are_failures_and_cuts_are_none() {
        let tree = tree();
        let state = record(&tree.host).unwrap();
        let failed: Vec<_> = state.failed.iter().collect();
        let expected = Failure {
            stage: "health-failed".to_owned(),
            reason: "docker: no answer".to_owned(),
            time: 5,
            is_forgiven: false,
        };
        assert_eq!(failed, [(&"2.0.0".parse().unwrap(), &expected)]);
        assert_eq!(history::load(&tree.host).unwrap().len(), 1);
        record(&tree.host).unwrap();
        assert_eq!(history::load(&tree.host).unwrap().len(), 1);
    }

    #[test]
    fn what_was_forgiven_stays_forgiven() {
        let tree = tree();
        record(&tree.host).unwrap();
        let version: Version = "2.0.0".parse().unwrap();
        state::edit(&tree.host, |state| {
            state.failed.get_mut(&version).unwrap().is_forgiven = true;
        })
        .unwrap();
        assert!(record(&tree.host).unwrap().failure(&version).is_none());
    }

    #[test]
    fn without_records_it_failed_in_the_loader() {
        let tree = tree();
        tries::clear(&tree.host.path("/efi/slipway/tries"), "2.0.0").unwrap();
        let state = record(&tree.host).unwrap();
        assert_eq!(state.failed.values().next().unwrap().stage, "loader");
    }
}
