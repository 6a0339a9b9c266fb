//! What is outside of the files: programs, and keys that are elsewhere.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{self, Stdio};

use anyhow::Context;

use crate::import::Importer;
use crate::plan::{Command, Import};

use super::tree::Mood;

/// Bytes that an error shows of what a program said.
const SAID_MAX: usize = 1024;

/// What became of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// It ran and succeeded.
    Done,
    /// It is to run on the machine that the files are for, which is not this one.
    Listed,
}

/// A machine, or what stands for one.
pub trait Machine {
    /// Runs a program and waits for it; an error is what it said.
    fn run(&mut self, command: &Command) -> anyhow::Result<Ran>;

    /// Tells whether a service manager runs here that knows which units it has read.
    fn has_units(&self) -> bool;

    /// Returns the names of the units that the service manager has read.
    fn units(&mut self) -> anyhow::Result<BTreeSet<String>>;

    /// Fetches a set of keys; `None` if that is not for now.
    fn import(&mut self, import: &Import, mood: Mood) -> anyhow::Result<Option<Vec<String>>>;
}

/// The machine that this runs on.
#[derive(Debug)]
pub struct System {
    /// Fetches keys.
    pub keys: Importer,
}

impl Machine for System {
    fn run(&mut self, command: &Command) -> anyhow::Result<Ran> {
        run(command)?;
        Ok(Ran::Done)
    }

    fn has_units(&self) -> bool {
        true
    }

    fn units(&mut self) -> anyhow::Result<BTreeSet<String>> {
        let said =
            run(&Command::new(["systemctl", "list-units", "--all", "--full", "--plain", "--no-legend"]))?;
        let names = said.lines().filter_map(|line| line.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }

    fn import(&mut self, import: &Import, mood: Mood) -> anyhow::Result<Option<Vec<String>>> {
        fetch(&mut self.keys, import, mood)
    }
}

/// Runs a program and returns what it printed.
fn run(command: &Command) -> anyhow::Result<String> {
    let (name, arguments) = command.argv.split_first().context("a command without a program")?;
    let running = || format!("running {name}");
    let stdin = if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = process::Command::new(name)
        .args(arguments)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(running)?;
    if let (Some(secret), Some(mut stdin)) = (&command.stdin, child.stdin.take()) {
        // Short enough for the pipe: this cannot wait for a program that waits for us.
        stdin.write_all(secret.0.as_bytes()).with_context(running)?;
    }
    let out = child.wait_with_output().with_context(running)?;
    let said = if out.stderr.is_empty() { &out.stdout } else { &out.stderr };
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(SAID_MAX)..]);
    anyhow::ensure!(
        out.status.success(),
        "running {name}: {}: {}",
        out.status,
        said.trim().replace('\n', "; ")
    );
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Fetches nothing to only look.
fn fetch(keys: &mut Importer, import: &Import, mood: Mood) -> anyhow::Result<Option<Vec<String>>> {
    match mood {
        Mood::Look => Ok(None),
        Mood::Do => keys.fetch(&import.url).map(Some),
    }
}

/// A machine that is a folder of files: programs are listed for later.
#[derive(Debug)]
pub struct Listed {
    /// Fetches keys, if they are wanted there.
    pub keys: Option<Importer>,
}

impl Machine for Listed {
    fn run(&mut self, _: &Command) -> anyhow::Result<Ran> {
        Ok(Ran::Listed)
    }

    fn has_units(&self) -> bool {
        false
    }

    fn units(&mut self) -> anyhow::Result<BTreeSet<String>> {
        Ok(BTreeSet::new())
    }

    fn import(&mut self, import: &Import, mood: Mood) -> anyhow::Result<Option<Vec<String>>> {
        self.keys.as_mut().map_or(Ok(None), |keys| fetch(keys, import, mood))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn system() -> System {
        System { keys: Importer::new("/".as_ref(), std::time::Duration::ZERO) }
    }

    fn shell(script: &str, stdin: Option<&str>) -> anyhow::Result<Ran> {
        let mut command = Command::new(["/bin/sh", "-c", script]);
        command.stdin = stdin.map(|text| Secret(text.to_owned()));
        system().run(&command)
    }

    #[test]
    fn a_program_gets_its_input_and_its_failure_is_what_it_said() {
        assert_eq!(shell("read a && test \"$a\" = secret", Some("secret\n")).unwrap(), Ran::Done);
        let err = shell("echo one; echo two >&2; exit 3", None).unwrap_err();
        assert_eq!(err.to_string(), "running /bin/sh: exit status: 3: two");
        let err = system().run(&Command::new(["/no/such/program"])).unwrap_err();
        assert!(format!("{err:#}").starts_with("running /no/such/program: "));
    }
}
