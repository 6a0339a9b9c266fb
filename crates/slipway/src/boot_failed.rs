//! `slipway boot-failed`: boot-complete.target was not reached. A counted boot falls back, a blessed one stays up.

use agent_support::host::Host;
use agent_support::tries::Stage;
use agent_support::{boot, durable};
use anyhow::Context;

use crate::emergency;
use crate::fallback::{Decision, Event};
use crate::health::{self, UsrState};
use crate::issue;
use crate::tools;

/// Shown at login while the machine is degraded (pam_motd(8)).
const MOTD_FILE: &str = "/run/motd.d/10-slipway";

/// Records why, then reboots or stays.
pub fn run(host: &Host) -> anyhow::Result<()> {
    let reason = reason(host);
    let event = event();
    let decided = boot::current(host)
        .and_then(|boot| emergency::handle(host, &boot, event, Stage::HealthFailed, &reason));
    let decision = match decided {
        Ok(decision) => decision,
        Err(err) => {
            eprintln!("error: {err:#}");
            // What cannot be recorded must not change whether a person is needed.
            if boot::was_counted(host)? && !host.path(boot::COMPLETE_FILE).exists() {
                Decision::RecordAndReboot
            } else {
                Decision::StayDegraded
            }
        }
    };
    match decision {
        Decision::RecordAndReboot | Decision::CountAndReboot { .. } | Decision::PutLastAndReboot { .. } => {
            eprintln!("slipway: this try failed: {reason}; rebooting");
            tools::systemctl_reboot()
        }
        Decision::CountAndStay { .. }
        | Decision::PutLastAndStay { .. }
        | Decision::StayDegraded
        | Decision::CountAndPrompt { .. }
        | Decision::Prompt
        | Decision::RecordComplete
        | Decision::ClearFailures => stay(host, &reason),
    }
}

fn event() -> Event {
    match health::usr_state() {
        Ok(UsrState::Corrupted) => Event::UsrCorrupted,
        Ok(UsrState::Verified) => Event::HealthFailed,
        Err(err) => {
            eprintln!("warning: {err:#}");
            Event::HealthFailed
        }
    }
}

/// Returns what the failed check said, or what boot-complete.target still waits for.
fn reason(host: &Host) -> String {
    match host.read(boot::HEALTH_FAILED_FILE) {
        Ok(Some(text)) => text,
        Ok(None) => match health::unfinished_jobs(host) {
            Ok(jobs) if jobs.is_empty() => failed_units(),
            Ok(jobs) => format!("not finished in time: {}", jobs.join(", ")),
            Err(err) => format!("{err:#}"),
        },
        Err(err) => format!("{err:#}"),
    }
}

fn failed_units() -> String {
    match tools::systemctl_failed() {
        Ok(units) if units.is_empty() => "boot-complete.target was not reached".to_owned(),
        Ok(units) => {
            format!("failed: {}", units.iter().map(|u| u.unit.as_str()).collect::<Vec<_>>().join(", "))
        }
        Err(err) => format!("{err:#}"),
    }
}

/// Says at every place where a person looks that the machine is degraded.
fn stay(host: &Host, reason: &str) -> anyhow::Result<()> {
    eprintln!("slipway: degraded: {reason}; the machine stays up");
    durable::write(&host.path(boot::HEALTH_FAILED_FILE), reason.as_bytes())?;
    let motd = format!("\nThis machine is DEGRADED: {reason}\nSee `sudo slipway status`.\n\n");
    durable::write(&host.path(MOTD_FILE), motd.as_bytes()).context("writing the message of the day")?;
    issue::run(host)
}

/// Takes the message back, when the checks pass later in the same boot.
pub fn clear_message(host: &Host) -> anyhow::Result<()> {
    durable::remove(&host.path(MOTD_FILE)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn the_failed_check_is_the_reason() {
        let tree = Tree::new();
        tree.file(boot::HEALTH_FAILED_FILE, "docker: no answer");
        assert_eq!(reason(&tree.host), "docker: no answer");
    }

    #[test]
    fn a_degraded_machine_says_so_at_login() {
        let tree = Tree::new();
        tree.file("/usr/lib/os-release", "IMAGE_VERSION=1.0.0\n");
        stay(&tree.host, "sshd: nothing listens on port 22").unwrap();
        let motd = tree.host.read(MOTD_FILE).unwrap().unwrap();
        assert!(motd.contains("DEGRADED: sshd: nothing listens on port 22"), "{motd}");
        let banner = tree.host.read(issue::ISSUE_FILE).unwrap().unwrap();
        assert!(banner.contains("DEGRADED"), "{banner}");
        clear_message(&tree.host).unwrap();
        assert_eq!(tree.host.read(MOTD_FILE).unwrap(), None);
    }
}
