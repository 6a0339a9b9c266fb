//! `slipway blessed`: after a boot that was found well, keeps what tells about failed versions and clears the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use agent_support::boot::{self, Boot};
use agent_support::host::Host;
use agent_support::tries::{self, Try};
use agent_support::{esp, failures};
use anyhow::Context;
use slots::EntryName;

use crate::boot_failed;
use crate::crash::{self, Crash};
use crate::issue;

/// Completes records by crashes of the kernel; clears those of versions that are blessed or gone; copies those of failed versions to the root file system.
pub fn run(host: &Host) -> anyhow::Result<()> {
    let boot = boot::current(host)?;
    let copies = host.path(tries::TRIES_COPY_DIR);
    let crashes = crash::load(host)?;
    // Nothing to clear is the common case: then the ESP is only read.
    let plan = esp::read(host, |esp| plan(esp, &copies, &boot, &crashes))?;
    if plan.is_stale() {
        clear(host, &copies, &plan).context("clearing records of tries")?;
    }
    boot_failed::clear_message(host)?;
    issue::run(host)
}

/// What to do with the records of each version.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    clear_tries: BTreeSet<String>,
    clear_failures: BTreeSet<String>,
    explained: BTreeMap<String, Vec<Try>>,
    copy: BTreeSet<String>,
}

impl Plan {
    fn is_stale(&self) -> bool {
        *self != Self::default()
    }
}

fn plan(esp: &Path, copies: &Path, boot: &Boot, crashes: &[Crash]) -> anyhow::Result<Plan> {
    let entries = esp::entries(esp, &boot.entry.product)?;
    let tries_base = esp.join(tries::TRIES_DIR);
    let mut plan = Plan::default();
    for version in tries::versions(&tries_base)? {
        if keeps_tries(&entries, boot, &version) {
            let recorded = tries::load(&tries_base, &version)?;
            let explained = crash::explain(&recorded, crashes);
            if !explained.is_empty() {
                plan.explained.insert(version.clone(), explained);
                plan.copy.insert(version);
            } else if recorded != tries::load(copies, &version)? {
                plan.copy.insert(version);
            }
        } else {
            plan.clear_tries.insert(version);
        }
    }
    for version in failures::versions(&esp.join(failures::FAILURES_DIR))? {
        let entry = entries.iter().find(|entry| entry.version.to_string() == version);
        if entry.is_none() || version == boot.version() {
            plan.clear_failures.insert(version);
        }
    }
    Ok(plan)
}

/// Records are kept while their version is on the ESP and not blessed; those of this boot are never of use again.
fn keeps_tries(entries: &[EntryName], boot: &Boot, version: &str) -> bool {
    let entry = entries.iter().find(|entry| entry.version.to_string() == version);
    version != boot.version() && entry.is_some_and(|entry| !entry.is_blessed())
}

fn clear(host: &Host, copies: &Path, plan: &Plan) -> anyhow::Result<()> {
    for (version, records) in &plan.explained {
        for record in records {
            tries::store_on_esp(host, version, record.clone())?;
        }
    }
    for version in &plan.copy {
        for record in esp::read(host, |esp| tries::load(&esp.join(tries::TRIES_DIR), version))? {
            tries::store(copies, version, record)?;
        }
    }
    for version in &plan.clear_tries {
        tries::clear_on_esp(host, version)?;
        tries::clear(copies, version)?;
    }
    for version in &plan.clear_failures {
        failures::clear(host, version)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::failures::Failures;
    use agent_support::testing::Tree;
    use agent_support::tries::Stage;

    #[test]
    fn keeps_and_copies_failed_versions_and_clears_blessed_and_vanished_ones() {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi")
            .file("/usr/lib/os-release", "IMAGE_VERSION=1.0.0\n")
            .file("/efi/EFI/Linux/slipway_1.0.0.efi", "x")
            .file("/efi/EFI/Linux/slipway_2.0.0+0-1.efi", "x");
        let base = tree.host.path("/efi/slipway/tries");
        let record = Try { number: 1, stage: Stage::HealthFailed, reason: "docker".to_owned(), time: 5 };
        for version in ["0.9.0", "1.0.0", "2.0.0"] {
            tries::store(&base, version, record.clone()).unwrap();
        }
        let counts = tree.host.path("/efi/slipway/failures");
        for version in ["0.9.0", "1.0.0", "2.0.0"] {
            failures::store(&tree.host, version, &Failures { count: 1, reasons: Vec::new() }).unwrap();
        }
        run(&tree.host).unwrap();
        assert_eq!(tries::versions(&base).unwrap(), ["2.0.0"]);
        assert_eq!(failures::versions(&counts).unwrap(), ["2.0.0"]);
        let copies = tree.host.path(tries::TRIES_COPY_DIR);
        assert_eq!(tries::load(&copies, "2.0.0").unwrap(), [record]);
        let boot = boot::current(&tree.host).unwrap();
        assert!(!plan(&tree.host.path("/efi"), &copies, &boot, &[]).unwrap().is_stale());
    }

    #[test]
    fn a_panic_in_user_space_becomes_the_reason_of_its_try() {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi")
            .file("/usr/lib/os-release", "IMAGE_VERSION=1.0.0\n")
            .file("/efi/EFI/Linux/slipway_1.0.0.efi", "x")
            .file("/efi/EFI/Linux/slipway_2.0.0+0-1.efi", "x")
            .file(&format!("{}/9/dmesg.txt", crash::DIR), "[ 1.0] Kernel panic - not syncing: test\n");
        let base = tree.host.path("/efi/slipway/tries");
        let record = Try { number: 1, stage: Stage::Userspace, reason: String::new(), time: 5 };
        tries::store(&base, "2.0.0", record).unwrap();
        run(&tree.host).unwrap();
        assert_eq!(tries::load(&base, "2.0.0").unwrap()[0].reason, "Kernel panic - not syncing: test");
        let copies = tree.host.path(tries::TRIES_COPY_DIR);
        assert_eq!(tries::load(&copies, "2.0.0").unwrap(), tries::load(&base, "2.0.0").unwrap());
    }
}
