//! The update agent, by its command: what waits, what failed, and what it is told of versions.
//!
//! Its files are looked at often, it is asked only when they changed: asking reads the EFI system partition.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use agent_support::boot::COMPLETE_FILE;
use agent_support::host::Host;
use jiff::Timestamp;
use locksmith_core::versions::{Failure, Local};
use serde::Deserialize;
use slots::Version;

use crate::programs::{self, Error};

const AGENT: &str = "slipway-update";
const WITHIN: Duration = Duration::from_secs(60);
/// Files of the machine whose change may change what the agent says.
const FILES: [&str; 3] =
    ["/run/slipway/reboot-required", "/var/lib/slipway/update/state.json", COMPLETE_FILE];
/// How often it is asked all the same: the entries of the EFI system partition are changed by others too.
const ASK_EVERY: Duration = Duration::from_secs(600);

/// The document of `slipway-update status --json`; only what is used.
#[derive(Debug, Deserialize)]
struct Status {
    running_version: Option<String>,
    good_version: Option<String>,
    #[serde(default)]
    failed_versions: Vec<FailedVersion>,
}

#[derive(Debug, Deserialize)]
struct FailedVersion {
    version: String,
    stage: String,
    reason: String,
    time: i64,
    forgiven: bool,
}

/// What identifies the content of a file, without reading it.
type Stamp = Option<(u64, i64, i64)>;

/// What the agent said when it was last asked.
#[derive(Debug, Default)]
pub struct Agent {
    known: Option<(Vec<Stamp>, Instant, Local)>,
}

impl Agent {
    /// Returns what the agent says of this machine, on which the version `running` runs.
    ///
    /// # Errors
    /// When it does not answer as it should.
    pub async fn look(&mut self, host: &Host, running: Option<&Version>) -> Result<Local, Error> {
        if !host.path(COMPLETE_FILE).exists() {
            return starting(host, running).await;
        }
        // Before it is asked: what changes meanwhile is asked for again.
        let stamps = stamps(host);
        if let Some((known, asked, local)) = &self.known
            && *known == stamps
            && asked.elapsed() < ASK_EVERY
        {
            return Ok(local.clone());
        }
        let args = ["status", "--json"];
        let status = programs::run(AGENT, &args, WITHIN).await?;
        let status: Status = programs::json(&status, AGENT, &args)?;
        let local = local(status, wanted().await?, host.path(COMPLETE_FILE).exists());
        self.known = Some((stamps, Instant::now(), local.clone()));
        Ok(local)
    }

    /// Forgets what it said, because it was told something.
    pub fn forget(&mut self) {
        self.known = None;
    }
}

/// While the machine starts only what waits matters: nothing is blessed yet, and a start is not held up by a look at the
/// EFI system partition.
async fn starting(host: &Host, running: Option<&Version>) -> Result<Local, Error> {
    let [waits, ..] = FILES;
    let waiting = if host.path(waits).exists() { wanted().await? } else { None };
    Ok(Local { running: running.cloned(), waiting, ..Local::default() })
}

/// Has a version refused.
///
/// # Errors
/// When the agent does not do it.
pub async fn refuse(version: &Version, reason: &str) -> Result<(), Error> {
    programs::run(AGENT, &["refuse", &version.to_string(), "--reason", reason], WITHIN).await.map(drop)
}

/// Lets a version be taken again. An operator's hold stays.
///
/// # Errors
/// When the agent does not do it.
pub async fn allow(version: &Version) -> Result<(), Error> {
    programs::run(AGENT, &["unhold", &version.to_string(), "--failure"], WITHIN).await.map(drop)
}

/// Returns the version that waits for a reboot and that nothing speaks against, as it is at this moment.
///
/// # Errors
/// When the agent does not answer as it should.
pub async fn wanted() -> Result<Option<Version>, Error> {
    let args = ["reboot-wanted"];
    let said = programs::ask(AGENT, &args, WITHIN).await?;
    match said.code {
        Some(0) => said.stdout.trim().parse().map(Some).map_err(|_| Error::Unreadable {
            command: format!("{AGENT} reboot-wanted"),
            reason: format!("`{}` is no version", said.stdout.trim()),
        }),
        // A no is told on standard output, an error on the other.
        Some(1) if said.stderr.trim().is_empty() => Ok(None),
        _ => Err(said.into_failure(AGENT, &args)),
    }
}

/// Good is what passed its health checks in this boot: what was good in another says nothing of this one.
fn local(status: Status, waiting: Option<Version>, is_complete: bool) -> Local {
    let running = status.running_version.as_deref().and_then(|version| version.parse::<Version>().ok());
    let is_good = status.good_version.is_some() && status.good_version == status.running_version;
    let failures = status.failed_versions.into_iter().filter(|failed| !failed.forgiven);
    let failure = |failed: FailedVersion| {
        Some(Failure {
            version: failed.version.parse().ok()?,
            at: Timestamp::from_second(failed.time).ok()?,
            stage: failed.stage,
            reason: failed.reason,
        })
    };
    Local {
        running,
        blessed: is_complete && is_good,
        waiting,
        failures: failures.filter_map(failure).collect(),
    }
}

fn stamps(host: &Host) -> Vec<Stamp> {
    let stamp = |path: &&str| {
        // A file that cannot be looked at is like one that is not there: the agent says what is wrong with it.
        let meta = fs::metadata(host.path(path)).ok()?;
        Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
    };
    FILES.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Status {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_version_is_blessed_only_by_the_checks_of_this_boot() {
        let text = r#"{"format":1,"running_version":"2.0.0","good_version":"2.0.0"}"#;
        assert!(local(status(text), None, true).blessed);
        assert!(!local(status(text), None, false).blessed);
        let text = r#"{"running_version":"2.0.0","good_version":"1.0.0"}"#;
        assert!(!local(status(text), None, true).blessed);
        assert!(!local(status(r#"{"running_version":null,"good_version":null}"#), None, true).blessed);
    }

    #[tokio::test]
    async fn a_machine_that_starts_is_not_asked_and_not_blessed() {
        let (tree, running) = (agent_support::testing::Tree::new(), "2.0.0".parse().unwrap());
        // There is no program to ask in this test.
        let local = Agent::default().look(&tree.host, Some(&running)).await.unwrap();
        assert_eq!(local, Local { running: Some(running), ..Local::default() });
    }

    #[test]
    fn what_was_forgiven_here_is_no_failure() {
        let text = r#"{"running_version":"1.0.0","good_version":"1.0.0","failed_versions":[
            {"version":"2.0.0","stage":"group","reason":"r","time":1700000000,"forgiven":false},
            {"version":"3.0.0","stage":"initrd","reason":"r","time":1700000000,"forgiven":true}]}"#;
        let local = local(status(text), Some("4.0.0".parse().unwrap()), true);
        assert_eq!(local.failures.len(), 1);
        assert!(local.failures[0].is_of_group() && local.failures[0].at.as_second() == 1_700_000_000);
        assert_eq!(local.waiting.unwrap().to_string(), "4.0.0");
    }
}
