//! Waiting until nothing is starting any more, except what waits for the health checks themselves.
//!
//! No list of units is needed for that: a waiting job waits for a running one, so when the only running job is
//! ours, all others wait for us.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_support::host::Host;
use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};

use super::placed::Placed;
use crate::tools::{self, Job};

/// Our own unit.
const OUR_UNIT: &str = "slipway-health.service";
/// Units whose start waits for other machines, which says nothing of this one: a member of an etcd cluster has started
/// when a majority of it is there.
const WAITING_FOR_OTHERS: [&str; 1] = ["etcd.service"];
/// Seconds after the start of user space by which everything must have started: a little before the time that
/// boot-complete.target has (10 minutes), so that the failure has a text.
pub const DEADLINE_SECS: u64 = 570;
/// Credential that replaces [`DEADLINE_SECS`]; tests hand it in through SMBIOS.
const DEADLINE_CREDENTIAL: &str = "slipway.health-deadline";
/// Between two looks while something is starting: each look costs time that the start could use.
const BUSY_INTERVAL: Duration = Duration::from_secs(2);
/// Between two looks of which the first found nothing running. The system counts as settled when two in a row do.
const QUIET_INTERVAL: Duration = Duration::from_millis(500);

/// Waits, and returns the deadline; an error names what is still starting then.
pub fn wait(host: &Host) -> anyhow::Result<Instant> {
    let deadline_secs = deadline_secs(host)?;
    let started_secs = start_secs()?;
    let mut quiet = 0;
    while quiet < 2 {
        let running = unfinished_jobs(host)?;
        quiet = if running.is_empty() { quiet + 1 } else { 0 };
        let past_secs = monotonic_secs()?.saturating_sub(started_secs);
        anyhow::ensure!(
            quiet != 0 || past_secs < deadline_secs,
            "not finished after {past_secs} s: {}",
            running.join(", ")
        );
        sleep(if quiet == 0 { BUSY_INTERVAL } else { QUIET_INTERVAL });
    }
    let past_secs = monotonic_secs()?.saturating_sub(started_secs);
    Ok(Instant::now() + Duration::from_secs(deadline_secs.saturating_sub(past_secs)))
}

/// Returns the units that have jobs running now, for a message.
pub fn unfinished_jobs(host: &Host) -> anyhow::Result<Vec<String>> {
    // The units first: one that is placed between the two looks is seen as placed at the next.
    let placed = Placed::read(host)?;
    Ok(running(&tools::systemctl_jobs()?, &placed))
}

fn running(jobs: &[Job], placed: &Placed) -> Vec<String> {
    let counts = |job: &&Job| {
        let unit = job.unit.as_str();
        unit != OUR_UNIT && !WAITING_FOR_OTHERS.contains(&unit) && !placed.has(unit)
    };
    let others = jobs.iter().filter(|job| job.state == "running").filter(counts);
    others.map(|job| format!("{} ({})", job.unit, job.kind)).collect()
}

fn deadline_secs(host: &Host) -> anyhow::Result<u64> {
    let path = format!("/run/credentials/{OUR_UNIT}/{DEADLINE_CREDENTIAL}");
    match host.read(&path)? {
        None => Ok(DEADLINE_SECS),
        Some(text) => text.trim().parse().with_context(|| {
            format!("reading the credential {DEADLINE_CREDENTIAL}: `{}` is no number", text.trim())
        }),
    }
}

/// Returns from when the deadline counts, in seconds of the monotonic clock: about when the target's time began.
fn start_secs() -> anyhow::Result<u64> {
    start_of(&tools::systemctl_show("", &[USERSPACE_START, START_FINISH])?, monotonic_secs()?)
}

/// When the system's own PID 1 started.
const USERSPACE_START: &str = "UserspaceTimestampMonotonic";
/// When it had nothing more to start for the first time; zero before.
const START_FINISH: &str = "FinishTimestampMonotonic";

/// While the machine starts, that is the start of user space; later somebody asks again, and it is now.
fn start_of(properties: &BTreeMap<String, String>, now_secs: u64) -> anyhow::Result<u64> {
    let micros = |key: &str| {
        let value = properties.get(key).and_then(|value| value.parse::<u64>().ok());
        value.with_context(|| format!("reading {key} of the service manager"))
    };
    Ok(if micros(START_FINISH)? == 0 { micros(USERSPACE_START)? / 1_000_000 } else { now_secs })
}

fn monotonic_secs() -> anyhow::Result<u64> {
    u64::try_from(clock_gettime(ClockId::Monotonic).tv_sec).context("reading the monotonic clock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    fn job(unit: &str, state: &str) -> Job {
        Job { unit: unit.to_owned(), kind: "start".to_owned(), state: state.to_owned() }
    }

    #[test]
    fn jobs_that_wait_and_our_own_do_not_count() {
        let jobs = [
            job("slipway-health.service", "running"),
            job("boot-complete.target", "waiting"),
            job("multi-user.target", "waiting"),
        ];
        let none = Placed::default();
        assert_eq!(running(&jobs, &none), Vec::<String>::new());
        assert_eq!(running(&[job("hang.service", "running")], &none), ["hang.service (start)"]);
        assert_eq!(
            running(&[job("etcd.service", "running")], &none),
            Vec::<String>::new(),
            "it waits for other machines"
        );
    }

    #[test]
    fn what_the_cluster_placed_here_may_take_its_time() {
        // A unit that fetches its image first, as those of fleet do.
        let jobs = [job("web@1.service", "running"), job("hang.service", "running")];
        assert_eq!(running(&jobs, &Placed::of(["web@1.service"])), ["hang.service (start)"]);
    }

    #[test]
    fn a_later_run_has_its_own_time() {
        let properties = |finish: &str| {
            [(USERSPACE_START, "3500000"), (START_FINISH, finish)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into()
        };
        assert_eq!(start_of(&properties("0"), 9).unwrap(), 3);
        assert_eq!(start_of(&properties("20000000"), 4000).unwrap(), 4000);
        assert!(start_of(&properties("n/a"), 9).is_err());
    }

    #[test]
    fn a_credential_replaces_the_deadline() {
        let tree = Tree::new();
        assert_eq!(deadline_secs(&tree.host).unwrap(), DEADLINE_SECS);
        let path = "/run/credentials/slipway-health.service/slipway.health-deadline";
        tree.file(path, "40\n");
        assert_eq!(deadline_secs(&tree.host).unwrap(), 40);
        tree.file(path, "soon");
        assert!(deadline_secs(&tree.host).is_err());
    }
}
