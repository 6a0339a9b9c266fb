//! Other programs: one function each, typed arguments in, parsed output back.
//!
//! Those that other agents use too are in `agent_support::tools`; this file is where ours find them all.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub use agent_support::tools::{FailedUnit, systemctl_failed, systemctl_reboot, systemctl_show};
use agent_support::tools::{check, run};
use anyhow::Context;

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

/// What the check of a cloud-config found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Whether a machine would take it.
    pub is_right: bool,
    /// What is to be said, a line each; the file is `-`.
    pub lines: Vec<String>,
}

/// Has a cloud-config checked by the program that applies it.
pub fn cloudinit_validate(program: &Path, config: &[u8]) -> anyhow::Result<Checked> {
    let name = program.display();
    let mut command = Command::new(program);
    command.args(["validate", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("running {name}"))?;
    let mut stdin =
        child.stdin.take().with_context(|| format!("running {name}: it has no standard input"))?;
    // It reads all of it before it says anything.
    stdin.write_all(config).with_context(|| format!("writing to {name}"))?;
    drop(stdin);
    let out = child.wait_with_output().with_context(|| format!("running {name}"))?;
    let lines: Vec<_> = String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect();
    // 1 is an error in the file, and said so; 3 are warnings alone.
    let is_right = match out.status.code() {
        Some(0 | 3) => true,
        Some(1) if !lines.is_empty() => false,
        _ => return check(out, &name.to_string()).map(|_| Checked { is_right: true, lines }),
    };
    Ok(Checked { is_right, lines })
}

/// Returns the queued jobs.
pub fn systemctl_jobs() -> anyhow::Result<Vec<Job>> {
    let out =
        run(Command::new("systemctl").args(["list-jobs", "--no-legend", "--plain", "--full", "--no-pager"]))?;
    parse_jobs(&out)
}

/// Returns the last line that a unit logged in this boot; empty if it said nothing.
pub fn journal_last_line(unit: &str) -> anyhow::Result<String> {
    let mut command = Command::new("journalctl");
    // Lines of the service manager about the unit (`Failed with result …`) say less than the unit itself.
    command.args(["--boot", "--quiet", "--no-pager", "--output=cat", "--lines=1"]);
    Ok(run(command.arg(format!("_SYSTEMD_UNIT={unit}")))?.trim().to_owned())
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
pub fn health_program(path: &Path, timeout: Duration) -> anyhow::Result<()> {
    // Less than a second would be zero, which is no limit.
    let secs = timeout.as_secs().max(1).to_string();
    // One that does not want to end is killed.
    run(Command::new("timeout").args(["--kill-after=1", &secs]).arg(path)).map(drop)
}

/// Replaces this process by the stock emergency shell; returns only the error.
pub fn exec_emergency_shell() -> anyhow::Error {
    let program = "/usr/lib/systemd/systemd-sulogin-shell";
    // Root has no password in the image: without this, sulogin refuses.
    let err = Command::new(program).arg("emergency").env("SYSTEMD_SULOGIN_FORCE", "1").exec();
    anyhow::Error::new(err).context(format!("running {program}"))
}

/// Replaces this process by the program of `slipway cluster`; returns only the error.
pub fn exec_cluster(program: &Path, args: &[OsString]) -> io::Error {
    Command::new(program).args(args).exec()
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
}
