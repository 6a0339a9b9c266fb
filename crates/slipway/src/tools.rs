//! Other programs: one function each, typed arguments in, parsed output back.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Context;
use serde::Deserialize;

/// A job of the service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Unit that it is for.
    pub unit: String,
    /// `start`, `stop`, …
    pub kind: String,
    /// `running`, or `waiting` for another job.
    pub state: String,
}

/// A unit in failed state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FailedUnit {
    /// Its name.
    pub unit: String,
    /// Its description.
    pub description: String,
}

/// Returns the queued jobs.
pub fn systemctl_jobs() -> anyhow::Result<Vec<Job>> {
    let out =
        run(Command::new("systemctl").args(["list-jobs", "--no-legend", "--plain", "--full", "--no-pager"]))?;
    parse_jobs(&out)
}

/// Returns the units in failed state.
pub fn systemctl_failed() -> anyhow::Result<Vec<FailedUnit>> {
    let out = run(Command::new("systemctl").args(["list-units", "--failed", "--no-pager", "--output=json"]))?;
    serde_json::from_str(&out).context("parsing the output of systemctl list-units")
}

/// Returns properties of a unit, or of the manager when `unit` is empty; one that does not exist is missing.
pub fn systemctl_show(unit: &str, properties: &[&str]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut command = Command::new("systemctl");
    command.arg("show").arg(format!("--property={}", properties.join(",")));
    if !unit.is_empty() {
        command.arg("--").arg(unit);
    }
    Ok(parse_properties(&run(&mut command)?))
}

/// Returns the last line that a unit logged in this boot; empty if it said nothing.
pub fn journal_last_line(unit: &str) -> anyhow::Result<String> {
    let mut command = Command::new("journalctl");
    // Lines of the service manager about the unit (`Failed with result …`) say less than the unit itself.
    command.args(["--boot", "--quiet", "--no-pager", "--output=cat", "--lines=1"]);
    Ok(run(command.arg(format!("_SYSTEMD_UNIT={unit}")))?.trim().to_owned())
}

/// Asks for an orderly reboot and returns at once.
pub fn systemctl_reboot() -> anyhow::Result<()> {
    run(Command::new("systemctl").args(["--no-block", "reboot"])).map(drop)
}

/// Reboots without stopping units first: file systems are still unmounted. For the initrd.
pub fn systemctl_reboot_force() -> anyhow::Result<()> {
    run(Command::new("systemctl").args(["--force", "reboot"])).map(drop)
}

/// Returns the status line of a device-mapper device.
pub fn dmsetup_status(name: &str) -> anyhow::Result<String> {
    run(Command::new("dmsetup").args(["status", "--noflush", "--", name]))
}

/// Returns size, fingerprint and type of a public key, as `ssh-keygen -l` prints them.
pub fn ssh_fingerprint(public_key: &Path) -> anyhow::Result<String> {
    Ok(run(Command::new("ssh-keygen").arg("-l").arg("-f").arg(public_key))?.trim().to_owned())
}

/// Returns the effective configuration of the SSH server.
pub fn sshd_config() -> anyhow::Result<String> {
    run(Command::new("sshd").arg("-T"))
}

/// Makes the login prompts show the banner anew.
pub fn agetty_reload() -> anyhow::Result<()> {
    run(Command::new("agetty").arg("--reload")).map(drop)
}

/// Sets the hashed password of `user`; the hash goes through a pipe, not the process list.
pub fn set_password_hash(user: &str, hash: &str) -> anyhow::Result<()> {
    let mut command = Command::new("chpasswd");
    command.arg("--encrypted").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("running chpasswd")?;
    let mut stdin = child.stdin.take().context("running chpasswd: it has no standard input")?;
    writeln!(stdin, "{user}:{hash}").context("writing to chpasswd")?;
    drop(stdin);
    check(child.wait_with_output().context("running chpasswd")?, "chpasswd").map(drop)
}

/// Runs one of the administrator's health checks; the error is what it printed.
pub fn health_program(path: &Path, timeout_secs: u64) -> anyhow::Result<()> {
    run(Command::new("timeout").arg(timeout_secs.to_string()).arg(path)).map(drop)
}

/// Replaces this process by the stock emergency shell; returns only the error.
pub fn exec_emergency_shell() -> anyhow::Error {
    let program = "/usr/lib/systemd/systemd-sulogin-shell";
    // Root has no password in the image: without this, sulogin refuses.
    let err = Command::new(program).arg("emergency").env("SYSTEMD_SULOGIN_FORCE", "1").exec();
    anyhow::Error::new(err).context(format!("running {program}"))
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("running {name}"))?;
    check(out, &name)
}

fn check(out: Output, name: &str) -> anyhow::Result<String> {
    if !out.status.success() {
        let (stderr, stdout) = (String::from_utf8_lossy(&out.stderr), String::from_utf8_lossy(&out.stdout));
        let said = if stderr.trim().is_empty() { stdout.trim() } else { stderr.trim() };
        anyhow::bail!("running {name}: {}: {}", out.status, said.replace('\n', "; "));
    }
    String::from_utf8(out.stdout).with_context(|| format!("reading the output of {name}"))
}

fn parse_jobs(text: &str) -> anyhow::Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_id, unit, kind, state] = fields[..] else {
            anyhow::bail!("parsing the output of systemctl list-jobs: unexpected line `{line}`");
        };
        jobs.push(Job { unit: unit.to_owned(), kind: kind.to_owned(), state: state.to_owned() });
    }
    Ok(jobs)
}

fn parse_properties(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_job_list_of_systemctl() {
        let text = "103 slipway-health.service start running\n  1 multi-user.target      start waiting\n";
        let jobs = parse_jobs(text).unwrap();
        assert_eq!(jobs.len(), 2);
        assert_eq!(jobs[0].unit, "slipway-health.service");
        assert_eq!(jobs[1].state, "waiting");
        assert_eq!(parse_jobs("").unwrap(), []);
        assert!(parse_jobs("No jobs running.\n").is_err());
    }

    #[test]
    fn properties_keep_equal_signs_in_values() {
        let properties = parse_properties("LoadState=loaded\nWantedBy=\nEnvironment=A=b\n");
        assert_eq!(properties["Environment"], "A=b");
        assert_eq!(properties["WantedBy"], "");
    }

    #[test]
    fn a_failing_program_is_reported_with_what_it_said() {
        let err = run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"])).unwrap_err();
        assert_eq!(err.to_string(), "running sh: exit status: 3: two");
        let err = run(&mut Command::new("/no/such/program")).unwrap_err();
        assert!(format!("{err:#}").starts_with("running /no/such/program: "));
    }
}
