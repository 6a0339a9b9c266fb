//! Learning the status; what cannot be learned becomes a warning.

use std::path::Path;

use agent_support::boot::{self, Boot};
use agent_support::failures::{self, Failures};
use agent_support::host::Host;
use agent_support::topology::{self, UsrSlot};
use agent_support::tries::{self, Try};
use agent_support::{esp, sealed};
use anyhow::Context;
use rustix::process::geteuid;
use slots::{EntryName, TryRecord};

use super::{BootComplete, BootStatus, EntryStatus, SlotStatus, Status, Unit, Verdict, Verity};
use crate::crash;
use crate::disk;
use crate::health::{self, UsrState};
use crate::tools;

const FORMAT: u32 = 1;

/// Learns everything.
pub fn collect(host: &Host) -> anyhow::Result<Status> {
    let mut warnings = known_warnings(host)?;
    let privileged = !host.is_live() || geteuid().is_root();
    if !privileged {
        warnings.push("run as root to see boot entries and the state of /usr".to_owned());
    }
    let boot = note(boot::current(host), &mut warnings);
    let entries = match &boot {
        Some(boot) if privileged => {
            note(read_entries(host, boot).context("reading boot entries"), &mut warnings)
        }
        Some(_) | None => None,
    };
    let current = entries.as_ref().and_then(|entries| entries.iter().find(|entry| entry.current));
    let blessed = current.map(|entry| entry.verdict == Verdict::Blessed);
    let counted = boot::was_counted(host)?;
    let health_failure = host.read(boot::HEALTH_FAILED_FILE)?;
    let boot_complete = match &health_failure {
        Some(_) => BootComplete::Failed,
        None if host.path(boot::COMPLETE_FILE).exists() => BootComplete::Passed,
        None => BootComplete::Waiting,
    };
    if boot_complete == BootComplete::Failed {
        warnings.push("degraded: a health check failed".to_owned());
    }
    if boot_complete == BootComplete::Passed && blessed == Some(false) {
        warnings.push("the health checks passed, but the boot entry is not blessed".to_owned());
    }
    let usr = if privileged { note(health::usr_state(), &mut warnings) } else { None };
    let verity = match usr {
        Some(UsrState::Verified) => Verity::Verified,
        Some(UsrState::Corrupted) => Verity::Corrupted,
        None => Verity::Unknown,
    };
    if verity == Verity::Corrupted {
        warnings.push("a block of /usr does not verify: the disk may be failing".to_owned());
    }
    let failed = note(tools::systemctl_failed(), &mut warnings);
    let unit = |unit: tools::FailedUnit| Unit { unit: unit.unit, description: unit.description };
    Ok(Status {
        format: FORMAT,
        version: sealed::version(host)?,
        root_hash: host.root_hash()?,
        slot: note(topology::usr_slot(host), &mut warnings).map(slot_status),
        boot: boot.map(|boot| boot_status(&boot, counted, blessed)),
        uptime_seconds: uptime_seconds(host)?,
        boot_complete,
        health_failure,
        verity,
        failed_units: failed.map(|units| units.into_iter().map(unit).collect()),
        entries,
        warnings,
    })
}

fn known_warnings(host: &Host) -> anyhow::Result<Vec<String>> {
    let mut warnings = Vec::new();
    let keys = sealed::insecure_keys(host)?;
    if !keys.is_empty() {
        warnings.push(format!("INSECURE development keys are trusted for updates: {}", keys.join(", ")));
    }
    if let Some(why) = host.read(disk::FACTORY_IDENTITY_FILE)? {
        warnings.push(format!("the disk still has the identity of every copy of the image: {why}"));
    }
    if !host.list(crash::DIR)?.is_empty() {
        warnings.push(format!("the kernel crashed before and left records in {}", crash::DIR));
    }
    Ok(warnings)
}

/// Turns what could not be learned into a warning.
fn note<T>(res: anyhow::Result<T>, warnings: &mut Vec<String>) -> Option<T> {
    res.map_err(|err| warnings.push(format!("not known: {err:#}"))).ok()
}

fn slot_status(slot: UsrSlot) -> SlotStatus {
    SlotStatus { name: slot.name.to_string(), device: slot.device, label: slot.label }
}

fn boot_status(boot: &Boot, counted: bool, blessed: Option<bool>) -> BootStatus {
    BootStatus {
        entry: boot.entry.to_string(),
        counted,
        number: boot.number(),
        tries_left: boot.entry.counter.map(|counter| counter.left),
        blessed,
    }
}

fn read_entries(host: &Host, boot: &Boot) -> anyhow::Result<Vec<EntryStatus>> {
    let copies = host.path(tries::TRIES_COPY_DIR);
    esp::read(host, |esp| {
        let entries = esp::entries(esp, &boot.entry.product)?;
        let current = boot::find_entry(&entries, boot).cloned();
        let is_current = |entry: &EntryName| current.as_ref() == Some(entry);
        entries.iter().map(|entry| entry_status(esp, &copies, is_current(entry), entry)).collect()
    })
}

fn entry_status(esp: &Path, copies: &Path, current: bool, entry: &EntryName) -> anyhow::Result<EntryStatus> {
    let version = entry.version.to_string();
    let mut tries = tries::load(&esp.join(tries::TRIES_DIR), &version)?;
    if tries.is_empty() && !entry.is_blessed() {
        tries = tries::load(copies, &version)?;
    }
    let failures = failures::load(&esp.join(failures::FAILURES_DIR), &version);
    Ok(EntryStatus {
        file: entry.to_string(),
        version,
        current,
        verdict: verdict(entry, &tries, &failures),
        tries_left: entry.counter.map(|counter| counter.left),
        tries_done: entry.counter.map(|_| entry.tries_done()),
        tries,
        failures,
    })
}

/// Judges an entry as the updater does. Failures in a row of a blessed entry count as its last try: they put it last.
fn verdict(entry: &EntryName, tries: &[Try], failures: &Failures) -> Verdict {
    let mut records: Vec<TryRecord> = tries.iter().map(Try::to_record).collect();
    if let Some(failure) = failures.reasons.last() {
        let failure = Some(failure.reason.clone());
        records.insert(0, TryRecord { number: entry.tries_done(), stage: slots::Stage::Initrd, failure });
    }
    match slots::verdict(entry, &records) {
        slots::Verdict::Good => Verdict::Blessed,
        slots::Verdict::OnTrial { .. } => Verdict::OnTrial,
        slots::Verdict::Withdrawn => Verdict::Withdrawn,
        slots::Verdict::Failed(_) => Verdict::Failed,
        slots::Verdict::CutOff { .. } => Verdict::CutOff,
    }
}

fn uptime_seconds(host: &Host) -> anyhow::Result<u64> {
    let text = host.read("/proc/uptime")?.context("reading /proc/uptime: no such file")?;
    let seconds = text.split(['.', ' ']).next().unwrap_or_default();
    seconds.parse().with_context(|| format!("parsing /proc/uptime `{}`", text.trim()))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use agent_support::failures::Failure;
    use agent_support::testing::{Tree, two_disks};
    use agent_support::tries::Stage;

    /// A machine that fell back from 2.0.0 to 1.0.0.
    pub fn fallen_back() -> Tree {
        let tree = two_disks();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi")
            .file("/usr/lib/os-release", "IMAGE_ID=slipway\nIMAGE_VERSION=1.0.0\n")
            .file("/usr/lib/slipway/keys/dev.pub", "# INSECURE\n")
            .file("/proc/cmdline", "rw usrhash=abcd panic=10\n")
            .file("/proc/uptime", "93.27 160.11\n")
            .file("/efi/EFI/Linux/slipway_1.0.0.efi", "x")
            .file("/efi/EFI/Linux/slipway_2.0.0+0-2.efi", "x")
            .file("/efi/EFI/Linux/other.efi", "x")
            .file(boot::COMPLETE_FILE, "");
        let base = tree.host.path("/efi/slipway/tries");
        let record =
            |number, stage, reason: &str| Try { number, stage, reason: reason.to_owned(), time: 1000 };
        tries::store(&base, "2.0.0", record(1, Stage::Root, "")).unwrap();
        tries::store(&base, "2.0.0", record(2, Stage::HealthFailed, "docker: no answer")).unwrap();
        tree
    }

    #[test]
    fn shows_why_a_version_failed() {
        let status = collect(&fallen_back().host).unwrap();
        assert_eq!((status.version.as_str(), status.root_hash.as_deref()), ("1.0.0", Some("abcd")));
        assert_eq!(status.uptime_seconds, 93);
        assert_eq!(status.boot_complete, BootComplete::Passed);
        assert_eq!(status.slot.unwrap().device, "/dev/vdb4");
        assert_eq!(status.boot.unwrap().blessed, Some(true));
        let entries = status.entries.unwrap();
        assert_eq!(
            entries.iter().map(|e| (e.version.as_str(), e.current, e.verdict)).collect::<Vec<_>>(),
            [("1.0.0", true, Verdict::Blessed), ("2.0.0", false, Verdict::Failed)]
        );
        assert_eq!(entries[1].tries[1].reason, "docker: no answer");
        assert!(status.warnings[0].contains("INSECURE"), "{:?}", status.warnings);
    }

    #[test]
    fn a_failed_check_is_a_warning() {
        let tree = fallen_back();
        tree.file(boot::HEALTH_FAILED_FILE, "sshd: off");
        let status = collect(&tree.host).unwrap();
        assert_eq!(status.boot_complete, BootComplete::Failed);
        assert_eq!(status.health_failure.as_deref(), Some("sshd: off"));
        assert!(status.warnings.contains(&"degraded: a health check failed".to_owned()));
    }

    #[test]
    fn only_a_last_try_cut_off_in_user_space_leaves_a_version_untainted() {
        let check = |file: &str, stage, reason: &str, expected| {
            let tries = [Try { number: 2, stage, reason: reason.to_owned(), time: 0 }];
            let entry = EntryName::parse("slipway", file).unwrap();
            assert_eq!(verdict(&entry, &tries, &Failures::default()), expected, "{file} {stage:?} {reason}");
        };
        check("slipway_2.0.0+0-2.efi", Stage::Userspace, "", Verdict::CutOff);
        check("slipway_2.0.0+0-3.efi", Stage::Userspace, "", Verdict::Failed);
        check("slipway_2.0.0+0-2.efi", Stage::Root, "", Verdict::Failed);
        check("slipway_2.0.0+0-2.efi", Stage::Userspace, "emergency", Verdict::Failed);
        check("slipway_2.0.0+0-2.efi", Stage::HealthFailed, "docker", Verdict::Failed);
        check("slipway_2.0.0+0.efi", Stage::Userspace, "", Verdict::Withdrawn);
        check("slipway_2.0.0+1-2.efi", Stage::Userspace, "", Verdict::OnTrial);
        check("slipway_2.0.0.efi", Stage::Userspace, "", Verdict::Blessed);
    }

    #[test]
    fn records_lost_from_the_esp_are_shown_from_their_copy() {
        let tree = fallen_back();
        let tries = tree.host.path("/efi/slipway/tries");
        let before = tries::load(&tries, "2.0.0").unwrap();
        for record in before.clone() {
            tries::store(&tree.host.path(tries::TRIES_COPY_DIR), "2.0.0", record).unwrap();
        }
        tries::clear(&tries, "2.0.0").unwrap();
        assert_eq!(collect(&tree.host).unwrap().entries.unwrap()[1].tries, before);
    }

    #[test]
    fn a_crash_of_the_kernel_is_a_warning() {
        let tree = fallen_back();
        tree.file(&format!("{}/1/dmesg.txt", crash::DIR), "Kernel panic");
        let warnings = collect(&tree.host).unwrap().warnings;
        assert!(warnings.iter().any(|warning| warning.contains(crash::DIR)), "{warnings:?}");
    }

    #[test]
    fn an_entry_put_last_keeps_the_reasons_of_its_failures() {
        let tree = fallen_back();
        let failures =
            Failures { count: 2, reasons: vec![Failure { reason: "no disk".to_owned(), time: 1 }] };
        failures::store(&tree.host, "2.0.0", &failures).unwrap();
        let entries = collect(&tree.host).unwrap().entries.unwrap();
        assert_eq!((&entries[1].failures, entries[1].verdict), (&failures, Verdict::Failed));
    }
}
