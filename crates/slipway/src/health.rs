//! `slipway health`: waits until the system has started, then runs the checks of the table.
//!
//! A check is one file below `health/` and one line in [`CHECKS`].
//! Some judge by what the last good boot had; what all of them see on a good boot is the record for the next.

mod budget;
mod docker;
mod last_good;
mod placed;
mod programs;
mod route;
mod settled;
mod sshd;
mod units;
mod units_wanted;
mod update_server;
mod verity;

use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_support::boot::{self, BootKind};
use agent_support::durable;
use agent_support::host::Host;
use agent_support::tries::Stage;
use budget::Budget;
use last_good::LastGood;
pub use settled::unfinished_jobs;
pub use verity::{UsrState, usr_state};

use crate::fallback::{self, Decision, Event, Situation};
use crate::stage;

/// A health check: `Ok` if well or not applicable on this machine, else what is wrong.
pub struct Check {
    /// Name shown before the failure's text.
    pub name: &'static str,
    /// The check itself; looks once and does not wait. Notes what it sees, also when that is ill.
    pub run: fn(&Look<'_>, &mut LastGood) -> anyhow::Result<()>,
    /// How long a failing check is repeated, if the budget lets it: for services that say they are ready a little
    /// too early, and for networks.
    pub patience: Duration,
}

/// What a check is given for one look.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The machine.
    pub host: &'a Host,
    /// What it had when it was good the last time.
    pub last_good: &'a LastGood,
    /// The time there is.
    pub budget: Budget,
}

/// All checks, in the order in which they run.
pub const CHECKS: [Check; 7] = [
    Check { name: "units", run: units::check, patience: Duration::ZERO },
    Check { name: "verity", run: verity::check, patience: Duration::ZERO },
    Check { name: "docker", run: docker::check, patience: Duration::from_secs(20) },
    Check { name: "sshd", run: sshd::check, patience: Duration::from_secs(10) },
    // A lease may take a while.
    Check { name: "route", run: route::check, patience: Duration::from_secs(60) },
    Check { name: "update-server", run: update_server::check, patience: Duration::from_secs(60) },
    Check { name: "programs", run: programs::check, patience: Duration::ZERO },
];

/// Runs the checks; with `boot`, waits for the start to finish first and records the outcome.
pub fn run(host: &Host, boot: bool) -> anyhow::Result<()> {
    let last_good = last_good::load(host);
    let mut seen = LastGood::default();
    if !boot {
        let look = Look { host, last_good: &last_good, budget: Budget::unlimited() };
        let failed = failed_checks(&look, &CHECKS, &mut seen);
        anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
        println!("all {} health checks passed", CHECKS.len());
        return Ok(());
    }
    let failed = match settled::wait(host) {
        Ok(deadline) => {
            let look = Look { host, last_good: &last_good, budget: Budget::until(deadline) };
            failed_checks(&look, &CHECKS, &mut seen)
        }
        Err(err) => vec![format!("start: {err:#}")],
    };
    if failed.is_empty() {
        passed(host, &seen)
    } else {
        if let Err(err) = record_degraded(host, last_good) {
            eprintln!("warning: recording which units have failed: {err:#}");
        }
        failed_boot(host, &failed.join("; "))
    }
}

/// Completes the record of a boot that was found good: a lease may have come after it was, a unit may have failed.
pub fn look_again(host: &Host) -> anyhow::Result<()> {
    let is_good = host.path(boot::COMPLETE_FILE).exists() && !host.path(boot::HEALTH_FAILED_FILE).exists();
    anyhow::ensure!(is_good, "this boot was not found good: see `slipway status`");
    // What is in the way of the server is for the update agent to say.
    let (update_server, _) = update_server::observe(host, update_server::TIMEOUT);
    let now = LastGood {
        default_routes: route::default_routes(host)?,
        update_server,
        failed_units: units::failed(host)?,
        degraded_units: Vec::new(),
    };
    last_good::store(host, &last_good::completed(last_good::load(host), now))
}

fn failed_checks(look: &Look<'_>, checks: &[Check], seen: &mut LastGood) -> Vec<String> {
    let mut failed = Vec::new();
    for check in checks {
        if let Err(err) = run_check(look, check, seen) {
            failed.push(one_line(&format!("{}: {err:#}", check.name)));
        }
    }
    failed
}

fn run_check(look: &Look<'_>, check: &Check, seen: &mut LastGood) -> anyhow::Result<()> {
    let start = Instant::now();
    let patience = look.budget.patience(check.patience);
    loop {
        let res = (check.run)(look, seen);
        if res.is_ok() || patience <= start.elapsed() {
            return res;
        }
        sleep(Duration::from_secs(1));
    }
}

/// What a program or a foreign error says may have several lines; the reason of a try has one.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn failed_boot(host: &Host, reason: &str) -> anyhow::Result<()> {
    durable::write(&host.path(boot::HEALTH_FAILED_FILE), reason.as_bytes())?;
    anyhow::bail!("{reason}")
}

/// Records which units failed on a degraded boot: a version that comes later is not blamed for them.
///
/// A version on trial leaves no such record, or its next try would not see what failed in this one.
fn record_degraded(host: &Host, mut last_good: LastGood) -> anyhow::Result<()> {
    match boot::current(host)?.kind {
        BootKind::Counted => Ok(()),
        BootKind::Blessed => {
            last_good.degraded_units = units::failed(host)?;
            last_good::store(host, &last_good)
        }
    }
}

/// Records that this boot is well; a boot that cannot record it is well all the same.
fn passed(host: &Host, seen: &LastGood) -> anyhow::Result<()> {
    if let Err(err) = record_passed(host) {
        eprintln!("warning: recording that this boot is well: {err:#}");
    }
    if let Err(err) = last_good::store(host, seen) {
        eprintln!("warning: recording what this boot has: {err:#}");
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

    impl<'a> Look<'a> {
        /// Makes a look at a machine of which nothing is known.
        pub fn at(host: &'a Host) -> Self {
            const NOTHING: &LastGood = &LastGood {
                default_routes: Vec::new(),
                update_server: last_good::UpdateServer::Unknown,
                failed_units: Vec::new(),
                degraded_units: Vec::new(),
            };
            Self { host, last_good: NOTHING, budget: Budget::unlimited() }
        }
    }

    fn well(_: &Look<'_>, seen: &mut LastGood) -> anyhow::Result<()> {
        seen.failed_units.push("a.service".to_owned());
        Ok(())
    }

    fn ill(_: &Look<'_>, _: &mut LastGood) -> anyhow::Result<()> {
        Err(anyhow::anyhow!("no answer\n  at all\n").context("asking"))
    }

    #[test]
    fn failures_are_one_line_with_the_name_of_their_check() {
        let check = |run| Check { name: "docker", run, patience: Duration::ZERO };
        let mut seen = LastGood::default();
        let failed = failed_checks(&Look::at(&Tree::new().host), &[check(well), check(ill)], &mut seen);
        assert_eq!(failed, ["docker: asking: no answer; at all"]);
        assert_eq!(seen.failed_units, ["a.service"]);
    }

    #[test]
    fn a_check_without_time_looks_once() {
        let tree = Tree::new();
        let look = Look { budget: Budget::until(Instant::now()), ..Look::at(&tree.host) };
        let check = Check { name: "docker", run: ill, patience: Duration::from_secs(3600) };
        let failed = failed_checks(&look, &[check], &mut LastGood::default());
        assert_eq!(failed.len(), 1);
    }

    #[test]
    fn a_good_boot_is_what_the_next_is_judged_by() {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi");
        let seen = LastGood { failed_units: vec!["a.service".to_owned()], ..LastGood::default() };
        passed(&tree.host, &seen).unwrap();
        assert_eq!(last_good::load(&tree.host), seen);
    }

    #[test]
    fn only_a_good_boot_is_looked_at_again() {
        let tree = Tree::new();
        assert!(look_again(&tree.host).is_err());
        tree.file(boot::COMPLETE_FILE, "").file(boot::HEALTH_FAILED_FILE, "sshd: off");
        assert!(look_again(&tree.host).is_err());
        assert!(!tree.host.path("/var/lib/slipway").exists());
    }

    #[test]
    fn a_version_on_trial_does_not_excuse_its_next_try() {
        let tree = Tree::new();
        tree.loader_variable("LoaderBootCountPath", "\\EFI\\Linux\\slipway_1.0.0+2-1.efi");
        record_degraded(&tree.host, LastGood::default()).unwrap();
        assert!(!tree.host.path("/var/lib/slipway").exists());
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
        passed(&tree.host, &LastGood::default()).unwrap();
        assert!(tree.host.path(boot::COMPLETE_FILE).exists());
        assert!(!tree.host.path("/efi").exists());
    }

    #[test]
    fn a_counted_boot_that_is_well_records_it_and_counts_as_blessed_from_then_on() {
        let tree = Tree::new();
        tree.loader_variable("LoaderBootCountPath", "\\EFI\\Linux\\slipway_1.0.0+2-1.efi");
        passed(&tree.host, &LastGood::default()).unwrap();
        let tries = tries::load(&tree.host.path("/efi/slipway/tries"), "1.0.0").unwrap();
        assert_eq!(tries[0].stage, Stage::Complete);
        assert_eq!(boot::current(&tree.host).unwrap().kind, BootKind::Blessed);
    }
}
