//! `slipway health`: waits until the system has started, then runs the checks of the table.
//!
//! A check is one file below `health/` and one line in [`CHECKS`].

mod docker;
mod programs;
mod settled;
mod sshd;
mod units;
mod units_wanted;
mod verity;

use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_support::host::Host;
use agent_support::tries::Stage;
use agent_support::{boot, durable};
pub use settled::unfinished_jobs;
pub use verity::{UsrState, usr_state};

use crate::fallback::{self, Decision, Event, Situation};
use crate::stage;

/// A health check: `Ok` if well or not applicable on this machine, else what is wrong.
pub struct Check {
    /// Name shown before the failure's text.
    pub name: &'static str,
    /// The check itself; looks once and does not wait.
    pub run: fn(&Host) -> anyhow::Result<()>,
    /// How long a failing check is repeated: for services that say they are ready a little too early.
    pub patience: Duration,
}

/// All checks, in the order in which they run.
pub const CHECKS: [Check; 5] = [
    Check { name: "units", run: units::check, patience: Duration::ZERO },
    Check { name: "verity", run: verity::check, patience: Duration::ZERO },
    Check { name: "docker", run: docker::check, patience: Duration::from_secs(20) },
    Check { name: "sshd", run: sshd::check, patience: Duration::from_secs(10) },
    Check { name: "programs", run: programs::check, patience: Duration::ZERO },
];

/// Runs the checks; with `boot`, waits for the start to finish first and records the outcome.
pub fn run(host: &Host, boot: bool) -> anyhow::Result<()> {
    if !boot {
        let failed = failed_checks(host, &CHECKS);
        anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
        println!("all {} health checks passed", CHECKS.len());
        return Ok(());
    }
    let failed = match settled::wait(host) {
        Ok(()) => failed_checks(host, &CHECKS),
        Err(err) => vec![format!("start: {err:#}")],
    };
    if failed.is_empty() { passed(host) } else { failed_boot(host, &failed.join("; ")) }
}

fn failed_checks(host: &Host, checks: &[Check]) -> Vec<String> {
    checks
        .iter()
        .filter_map(|check| run_check(host, check).err().map(|err| format!("{}: {err:#}", check.name)))
        .collect()
}

fn run_check(host: &Host, check: &Check) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let res = (check.run)(host);
        if res.is_ok() || check.patience <= start.elapsed() {
            return res;
        }
        sleep(Duration::from_secs(1));
    }
}

fn failed_boot(host: &Host, reason: &str) -> anyhow::Result<()> {
    durable::write(&host.path(boot::HEALTH_FAILED_FILE), reason.as_bytes())?;
    anyhow::bail!("{reason}")
}

/// Records that this boot is well; a boot that cannot record it is well all the same.
fn passed(host: &Host) -> anyhow::Result<()> {
    if let Err(err) = record_passed(host) {
        eprintln!("warning: recording that this boot is well: {err:#}");
    }
    durable::remove(&host.path(boot::HEALTH_FAILED_FILE))?;
    durable::write(&host.path(boot::COMPLETE_FILE), b"")?;
    println!("slipway: boot complete: all health checks passed");
    Ok(())
}

fn record_passed(host: &Host) -> anyhow::Result<()> {
    let boot = boot::current(host)?;
    // Passing does not depend on counts or other entries.
    let situation = Situation { kind: boot.kind, failures: 0, other_blessed: false };
    match fallback::decide(situation, Event::HealthPassed) {
        Decision::RecordComplete => stage::record(host, &boot, Stage::Complete, ""),
        // `slipway blessed` does that, together with what else is to be cleared.
        Decision::ClearFailures
        | Decision::RecordAndReboot
        | Decision::CountAndReboot { .. }
        | Decision::PutLastAndReboot { .. }
        | Decision::CountAndPrompt { .. }
        | Decision::CountAndStay { .. }
        | Decision::PutLastAndStay { .. }
        | Decision::StayDegraded
        | Decision::Prompt => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;
    use agent_support::tries;

    fn well(_: &Host) -> anyhow::Result<()> {
        Ok(())
    }

    fn ill(_: &Host) -> anyhow::Result<()> {
        Err(anyhow::anyhow!("no answer").context("asking"))
    }

    #[test]
    fn failures_carry_the_name_of_their_check() {
        let check = |run| Check { name: "docker", run, patience: Duration::ZERO };
        let failed = failed_checks(&Tree::new().host, &[check(well), check(ill)]);
        assert_eq!(failed, ["docker: asking: no answer"]);
    }

    #[test]
    fn the_reason_is_left_for_the_failure_handler() {
        let tree = Tree::new();
        assert_eq!(failed_boot(&tree.host, "sshd: off").unwrap_err().to_string(), "sshd: off");
        assert_eq!(tree.host.read(boot::HEALTH_FAILED_FILE).unwrap().as_deref(), Some("sshd: off"));
    }

    #[test]
    fn a_blessed_boot_that_is_well_writes_nothing_to_the_esp() {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi");
        passed(&tree.host).unwrap();
        assert!(tree.host.path(boot::COMPLETE_FILE).exists());
        assert!(!tree.host.path("/efi").exists());
    }

    #[test]
    fn a_counted_boot_that_is_well_records_it_and_counts_as_blessed_from_then_on() {
        let tree = Tree::new();
        tree.loader_variable("LoaderBootCountPath", "\\EFI\\Linux\\slipway_1.0.0+2-1.efi");
        passed(&tree.host).unwrap();
        let tries = tries::load(&tree.host.path("/efi/slipway/tries"), "1.0.0").unwrap();
        assert_eq!(tries[0].stage, Stage::Complete);
        assert_eq!(boot::current(&tree.host).unwrap().kind, boot::BootKind::Blessed);
    }
}
