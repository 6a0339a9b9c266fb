//! `slipway emergency`: what happens in place of the emergency shell, in the initrd and in the system.

mod reason;

use agent_support::boot::{self, Boot, BootKind};
use agent_support::esp;
use agent_support::failures::{self, Failure};
use agent_support::host::Host;
use agent_support::tries::Stage;
use anyhow::Context;
use slots::EntryName;

use crate::fallback::{self, Decision, Event, Situation};
use crate::stage;
use crate::tools;

/// Decides and acts; returns only when a reboot was asked for.
pub fn run(host: &Host) -> anyhow::Result<()> {
    let (event, stage) = if host.in_initrd() {
        (Event::InitrdFailed, Stage::Initrd)
    } else {
        (Event::EmergencyMode, Stage::Userspace)
    };
    let reason = reason::collect(host);
    eprintln!("slipway: this boot failed: {reason}");
    let decision = match boot::current(host).and_then(|boot| handle(host, &boot, event, stage, &reason)) {
        Ok(decision) => decision,
        Err(err) => {
            eprintln!("error: {err:#}");
            without_records(host, event)
        }
    };
    finish(decision)
}

/// Makes the decision durable: records on the ESP first, then what they lead to.
pub fn handle(
    host: &Host,
    boot: &Boot,
    event: Event,
    stage: Stage,
    reason: &str,
) -> anyhow::Result<Decision> {
    if boot.kind == BootKind::Counted {
        // Nothing on the ESP changes this decision, and a record that cannot be written must not either.
        let nothing = Situation { kind: boot.kind, failures: 0, other_blessed: false };
        if let Err(err) = stage::record(host, boot, stage, reason) {
            eprintln!("warning: recording why this try failed: {err:#}");
        }
        return Ok(fallback::decide(nothing, event));
    }
    let (entries, before) = esp::visit(host, |esp| {
        let before = failures::load(&esp.join(failures::FAILURES_DIR), &boot.version());
        Ok((esp::entries(esp, &boot.entry.product)?, before))
    })?;
    let other_blessed = boot::other_blessed(&entries, boot);
    let situation = Situation { kind: boot.kind, failures: before.count, other_blessed };
    let decision = fallback::decide(situation, event);
    if let Some(count) = decision.failures() {
        let mut now = before;
        now.add(count, Failure { reason: reason.to_owned(), time: boot::now() });
        failures::store(host, &boot.version(), &now).context("counting this failure")?;
    }
    let entry = boot::find_entry(&entries, boot).cloned();
    if let Decision::PutLastAndReboot { failures } | Decision::PutLastAndStay { failures } = decision {
        let entry = entry.context("putting this boot's entry last: it is not on the ESP")?;
        put_last(host, &entry, failures)?;
    }
    Ok(decision)
}

fn put_last(host: &Host, entry: &EntryName, failures: u32) -> anyhow::Result<()> {
    if !entry.is_blessed() {
        return Ok(());
    }
    let last = esp::put_last(host, entry, failures)?;
    eprintln!("slipway: after {failures} failures in a row this entry is put last: {last}");
    Ok(())
}

/// Decides when what this boot is or the ESP cannot be read: the disk may be back after a reboot, and a counted
/// boot must never wait for a person.
fn without_records(host: &Host, event: Event) -> Decision {
    // Unreadable firmware variables count as counted: rebooting is the answer that needs nobody.
    let counted = boot::was_counted(host).unwrap_or(true);
    match event {
        Event::EmergencyMode if !counted => Decision::Prompt,
        Event::InitrdFailed
        | Event::EmergencyMode
        | Event::HealthFailed
        | Event::UsrCorrupted
        | Event::HealthPassed => Decision::RecordAndReboot,
    }
}

fn finish(decision: Decision) -> anyhow::Result<()> {
    match decision {
        Decision::CountAndPrompt { failures } => {
            eprintln!("slipway: {failures} failures in a row and no other entry to start: opening a prompt");
            Err(tools::exec_emergency_shell())
        }
        Decision::Prompt => Err(tools::exec_emergency_shell()),
        Decision::RecordAndReboot
        | Decision::CountAndReboot { .. }
        | Decision::PutLastAndReboot { .. }
        | Decision::RecordComplete
        | Decision::CountAndStay { .. }
        | Decision::PutLastAndStay { .. }
        | Decision::StayDegraded
        | Decision::ClearFailures => {
            eprintln!("slipway: rebooting");
            tools::systemctl_reboot_force()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;
    use agent_support::tries;

    fn blessed(files: &[&str]) -> Tree {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_2.0.0.efi");
        for file in files {
            tree.file(&format!("/efi/EFI/Linux/{file}"), "x");
        }
        tree
    }

    fn fail(tree: &Tree, event: Event) -> Decision {
        let boot = boot::current(&tree.host).unwrap();
        handle(&tree.host, &boot, event, Stage::Initrd, "no disk").unwrap()
    }

    #[test]
    fn two_initrd_failures_put_a_blessed_entry_last() {
        let tree = blessed(&["slipway_1.0.0.efi", "slipway_2.0.0.efi"]);
        assert_eq!(fail(&tree, Event::InitrdFailed), Decision::CountAndReboot { failures: 1 });
        assert_eq!(fail(&tree, Event::InitrdFailed), Decision::PutLastAndReboot { failures: 2 });
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), ["slipway_1.0.0.efi", "slipway_2.0.0+0-2.efi"]);
        assert_eq!(failures::load(&tree.host.path("/efi/slipway/failures"), "2.0.0").count, 2);
    }

    #[test]
    fn an_entry_without_tries_or_being_tried_is_no_other_to_start() {
        let tree = blessed(&["slipway_1.0.0+0-3.efi", "slipway_1.5.0+2-1.efi", "slipway_2.0.0.efi"]);
        fail(&tree, Event::InitrdFailed);
        assert_eq!(fail(&tree, Event::InitrdFailed), Decision::CountAndReboot { failures: 2 });
        assert_eq!(fail(&tree, Event::InitrdFailed), Decision::CountAndPrompt { failures: 3 });
    }

    #[test]
    fn a_corrupted_usr_on_a_blessed_boot_counts_with_the_initrd_failures() {
        let tree = blessed(&["slipway_1.0.0.efi", "slipway_2.0.0.efi"]);
        assert_eq!(fail(&tree, Event::UsrCorrupted), Decision::CountAndStay { failures: 1 });
        assert_eq!(fail(&tree, Event::InitrdFailed), Decision::PutLastAndReboot { failures: 2 });
    }

    #[test]
    fn a_failed_check_on_a_blessed_boot_writes_nothing() {
        let tree = blessed(&["slipway_2.0.0.efi"]);
        assert_eq!(fail(&tree, Event::HealthFailed), Decision::StayDegraded);
        assert!(!tree.host.path("/efi/slipway").exists());
    }

    #[test]
    fn a_counted_boot_records_the_reason_and_reboots() {
        let tree = blessed(&["slipway_1.0.0.efi", "slipway_2.0.0+1-2.efi"]);
        tree.loader_variable("LoaderBootCountPath", "\\EFI\\Linux\\slipway_2.0.0+1-2.efi");
        assert_eq!(fail(&tree, Event::InitrdFailed), Decision::RecordAndReboot);
        let tries = tries::load(&tree.host.path("/efi/slipway/tries"), "2.0.0").unwrap();
        assert_eq!((tries[0].number, tries[0].reason.as_str()), (2, "no disk"));
    }

    #[test]
    fn without_firmware_variables_the_initrd_reboots() {
        let tree = Tree::new();
        assert!(boot::current(&tree.host).is_err());
        assert_eq!(without_records(&tree.host, Event::InitrdFailed), Decision::RecordAndReboot);
        assert_eq!(without_records(&tree.host, Event::EmergencyMode), Decision::Prompt);
    }
}
