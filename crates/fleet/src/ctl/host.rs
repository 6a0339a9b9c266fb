//! Runs programs on the machines of the cluster: on this one directly, on others through SSH.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::Context;
use super::endpoint::SshHost;
use super::failure::Failure;
use super::out::Out;
use super::ssh::{Agent, Settings, SshError, shell_word, shown};
use super::target::TargetError;
use crate::api::{Api, Machine};

/// Exit code of a program that a signal has ended is this and the signal's number, as shells have it.
const BY_SIGNAL: i32 = 128;
/// Lines of its log that are shown of a unit that does not run.
const LAST_LINES: &str = "10";

/// How machines are reached from here.
#[derive(Debug, Clone)]
pub struct Reach {
    /// This machine's id, if it has one.
    pub here: Option<String>,
    /// How others are reached.
    pub ssh: Settings,
}

/// What is run.
#[derive(Debug, Clone, Copy)]
pub enum Task<'a> {
    /// A program with its arguments.
    Program(&'a [&'a str]),
    /// A command for a shell.
    Shell(&'a str),
    /// A shell for a person.
    Login,
}

/// A machine and how to get there.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// Machine.
    pub machine: &'a Machine,
    /// Port of SSH there.
    pub port: u16,
    /// Whether the SSH agent is lent.
    pub agent: Agent,
}

/// Where the output of a program goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// To standard output.
    Result,
    /// To standard error, because it is a remark of ours.
    Remark,
}

/// Returns this machine's id as its file has it; `None` on a machine that has none, which is in no cluster.
pub fn machine_id(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

impl Reach {
    /// Returns the program and arguments that do a task on a machine.
    fn line(&self, way: Way<'_>, task: Task<'_>, shell: &str) -> Result<Vec<String>, TargetError> {
        if self.here.as_deref() == Some(&way.machine.id) {
            return Ok(match task {
                Task::Program(words) => words.iter().map(|word| (*word).to_owned()).collect(),
                Task::Shell(command) => [shell, "-c", command].map(str::to_owned).to_vec(),
                Task::Login => vec![shell.to_owned()],
            });
        }
        if way.machine.primary_ip.is_empty() {
            return Err(TargetError::NoAddress(way.machine.id.clone()));
        }
        let host = SshHost { host: way.machine.primary_ip.clone(), port: way.port };
        let command = match task {
            Task::Program(words) => {
                Some(words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" "))
            }
            Task::Shell(command) => Some(command.to_owned()),
            Task::Login => None,
        };
        let mut line: Vec<String> = vec!["ssh".to_owned()];
        line.extend(self.ssh.to_machine(&host, way.agent, command.as_deref()));
        Ok(line)
    }

    /// Does a task on a machine and returns the exit code: that of the program there, or 255 where SSH fails.
    ///
    /// # Errors
    /// When there is no way there, or the program cannot be run.
    pub async fn run(&self, out: Out, way: Way<'_>, task: Task<'_>, output: Output) -> Result<u8, Failure> {
        let shell = std::env::var("SHELL").ok().filter(|shell| !shell.is_empty());
        let line = self.line(way, task, shell.as_deref().unwrap_or("/bin/sh"))?;
        let (program, args) = line.split_first().ok_or(TargetError::NotGiven)?;
        if program == "ssh" {
            self.ssh.prepare()?;
        }
        out.debug(|| format!("running {}", shown(&line)));
        let failed = |source| SshError::Run { program: program.clone(), source };
        let mut command = Command::new(program);
        command.args(args);
        if matches!(task, Task::Program(_)) {
            // `ssh` would read on behalf of programs that do not, and take away what a script reads in a loop.
            command.stdin(Stdio::null());
        }
        if output == Output::Remark {
            command.stdout(std::io::stderr());
        }
        // The program gets an interrupt of the terminal too, and ends as it sees fit. Ending before it would leave it
        // behind, and lose its exit code.
        let _interrupts = signal(SignalKind::interrupt()).map_err(failed)?;
        let status = command.status().await.map_err(failed)?;
        Ok(code(status))
    }
}

/// Shows the end of a unit's log on standard error, as `journal` would print it.
pub async fn log_to_stderr<A: Api>(cx: &Context<A>, machines: &[Machine], machine: &str, unit: &str) {
    let Some(machine) = machines.iter().find(|known| known.id == machine) else { return };
    let way = Way { machine, port: 22, agent: Agent::Kept };
    let task = Task::Program(&["journalctl", "--unit", unit, "--no-pager", "-n", LAST_LINES]);
    match cx.reach.run(cx.out, way, task, Output::Remark).await {
        Ok(0) => {}
        Ok(_) => cx.out.remark(&format!("its log could not be read; try \"fleetctl journal {unit}\"")),
        // What the command is about has been said; this is about the log only.
        Err(failure) => cx.out.remark(&failure.to_string()),
    }
}

/// Returns a program's exit code as shells have it.
fn code(status: ExitStatus) -> u8 {
    let number = status.code().or_else(|| status.signal().map(|signal| BY_SIGNAL + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::ctl::ssh::HostKeys;

    fn machine(id: &str, ip: &str) -> Machine {
        Machine { id: id.to_owned(), primary_ip: ip.to_owned(), metadata: BTreeMap::new(), hold: None }
    }

    fn line(machine: &Machine, task: Task<'_>) -> Result<Vec<String>, TargetError> {
        let ssh = Settings {
            user: "core".to_owned(),
            timeout: Duration::from_secs(10),
            known_hosts: None,
            check: HostKeys::Strict,
            tunnel: None,
        };
        let reach = Reach { here: Some("here".to_owned()), ssh };
        let way = Way { machine, port: 22, agent: Agent::Kept };
        reach.line(way, task, "/bin/sh")
    }

    #[test]
    fn this_machine_is_reached_without_ssh() {
        let here = machine("here", "10.0.0.1");
        assert_eq!(line(&here, Task::Program(&["systemctl", "status"])).unwrap(), ["systemctl", "status"]);
        assert_eq!(line(&here, Task::Shell("ls | wc")).unwrap(), ["/bin/sh", "-c", "ls | wc"]);
        assert_eq!(line(&here, Task::Login).unwrap(), ["/bin/sh"]);
    }

    #[test]
    fn programs_are_quoted_for_the_shell_of_another_machine() {
        let there = machine("there", "10.0.0.2");
        let line = line(&there, Task::Program(&["systemctl", "status", "-l", r"a\x2db.service"])).unwrap();
        assert_eq!(line[0], "ssh");
        assert_eq!(line[line.len() - 2..], ["10.0.0.2", r"systemctl status -l 'a\x2db.service'"]);
    }

    #[test]
    fn a_command_of_the_user_is_left_as_it_is() {
        let there = machine("there", "10.0.0.2");
        assert_eq!(line(&there, Task::Shell("ls | wc")).unwrap().last().unwrap(), "ls | wc");
        assert_eq!(line(&there, Task::Login).unwrap().last().unwrap(), "10.0.0.2");
    }

    #[test]
    fn a_machine_without_an_address_is_out_of_reach() {
        let err = line(&machine("there", ""), Task::Login).unwrap_err();
        assert_eq!(err, TargetError::NoAddress("there".to_owned()));
    }

    #[test]
    fn exit_codes_are_those_of_shells() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
    }

    #[test]
    fn an_empty_id_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("machine-id");
        assert_eq!(machine_id(&path), None);
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(machine_id(&path), None);
        std::fs::write(&path, "e1cd\n").unwrap();
        assert_eq!(machine_id(&path).as_deref(), Some("e1cd"));
    }
}
