//! Other programs that every agent may ask: a runner, and the service manager.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};

use anyhow::Context;
use serde::Deserialize;

/// A unit in failed state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FailedUnit {
    /// Its name.
    pub unit: String,
    /// Its description.
    pub description: String,
}

/// Runs a program without input and returns what it printed; the error of one that fails is what it said.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("running {name}"))?;
    check(out, &name)
}

/// Returns what a program that ended printed, if it succeeded; `name` is for the error.
pub fn check(out: Output, name: &str) -> anyhow::Result<String> {
    if !out.status.success() {
        let (stderr, stdout) = (String::from_utf8_lossy(&out.stderr), String::from_utf8_lossy(&out.stdout));
        let said = if stderr.trim().is_empty() { stdout.trim() } else { stderr.trim() };
        anyhow::bail!("running {name}: {}: {}", out.status, said.replace('\n', "; "));
    }
    String::from_utf8(out.stdout).with_context(|| format!("reading the output of {name}"))
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

/// Asks for an orderly reboot and returns at once.
pub fn systemctl_reboot() -> anyhow::Result<()> {
    run(Command::new("systemctl").args(["--no-block", "reboot"])).map(drop)
}

/// Has a unit stopped. Does not wait: the jobs of a start that hangs do not end.
pub fn systemctl_begin_stop(unit: &str) -> anyhow::Result<()> {
    run(Command::new("systemctl").args(["stop", "--no-block", "--", unit])).map(drop)
}

fn parse_properties(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_keep_equal_signs_in_values() {
        let properties = parse_properties("LoadState=loaded\nWantedBy=\nEnvironment=A=b\n");
        assert_eq!(properties["Environment"], "A=b");
        assert_eq!(properties["WantedBy"], "");
    }

    #[test]
    fn a_failing_program_is_reported_with_what_it_said() {
        let err = run(Command::new("/bin/sh").args(["-c", "echo one; echo two >&2; exit 3"])).unwrap_err();
        assert_eq!(err.to_string(), "running /bin/sh: exit status: 3: two");
        let err = run(&mut Command::new("/no/such/program")).unwrap_err();
        assert!(format!("{err:#}").starts_with("running /no/such/program: "));
    }
}
