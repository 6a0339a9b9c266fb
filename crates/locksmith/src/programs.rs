//! Other programs, each with a deadline: what they print, and why they failed.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// A program that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be started.
    #[error("starting {program}: {reason}")]
    Missing {
        /// Its name.
        program: String,
        /// Why.
        reason: String,
    },
    /// It took too long and was ended.
    #[error("{command} did not end within {} s", .within.as_secs())]
    Late {
        /// What was run.
        command: String,
        /// The time that it had.
        within: Duration,
    },
    /// It failed.
    #[error("{command}: {status}: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// What it said, in one line.
        said: String,
    },
    /// It printed something else than it should.
    #[error("reading what {command} printed: {reason}")]
    Unreadable {
        /// What was run.
        command: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a program that ended said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

/// Runs a program without input, and ends it when its time is over.
///
/// # Errors
/// When it cannot be started, or takes too long. That it fails is not an error here.
pub async fn ask(program: &str, args: &[&str], within: Duration) -> Result<Said, Error> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let out = timeout(within, command.output()).await;
    let out = out.map_err(|_| Error::Late { command: shown(program, args), within })?;
    let out = out.map_err(|err| Error::Missing { program: program.to_owned(), reason: err.to_string() })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: out.status.code(), stdout: text(&out.stdout), stderr: text(&out.stderr) })
}

/// Runs a program that must succeed; gives what it printed.
///
/// # Errors
/// As [`ask`], and when it fails.
pub async fn run(program: &str, args: &[&str], within: Duration) -> Result<String, Error> {
    let said = ask(program, args, within).await?;
    if said.code == Some(0) { Ok(said.stdout) } else { Err(said.into_failure(program, args)) }
}

impl Said {
    /// Makes an error of it, with what the program complained of, or else printed.
    pub fn into_failure(self, program: &str, args: &[&str]) -> Error {
        let said = [self.stderr.trim(), self.stdout.trim()].into_iter().find(|text| !text.is_empty());
        Error::Failed {
            command: shown(program, args),
            status: self
                .code
                .map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit code {code}")),
            said: said.unwrap_or("it says nothing").replace('\n', "; "),
        }
    }
}

/// Reads the JSON that a program printed.
///
/// # Errors
/// When it is none, or another.
pub fn json<T: serde::de::DeserializeOwned>(text: &str, program: &str, args: &[&str]) -> Result<T, Error> {
    serde_json::from_str(text)
        .map_err(|err| Error::Unreadable { command: shown(program, args), reason: err.to_string() })
}

fn shown(program: &str, args: &[&str]) -> String {
    std::iter::once(&program).chain(args).copied().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_program_that_fails_says_why_in_one_line() {
        let err =
            run("/bin/sh", &["-c", "echo out; echo one >&2; echo two >&2; exit 3"], SOON).await.unwrap_err();
        let text = err.to_string();
        assert!(text.starts_with("/bin/sh -c ") && text.ends_with(": exit code 3: one; two"), "{text}");
        let err = run("/bin/sh", &["-c", "echo out; exit 1"], SOON).await.unwrap_err().to_string();
        assert!(err.ends_with(": out"), "{err}");
        assert_eq!(run("/bin/sh", &["-c", "echo out"], SOON).await.unwrap(), "out\n");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_and_one_that_is_missing_is_named() {
        let begin = std::time::Instant::now();
        let err = run("/bin/sleep", &["60"], Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(err, Error::Late { .. }), "{err}");
        assert!(begin.elapsed() < SOON);
        let err = run("/no/such/program", &[], SOON).await.unwrap_err().to_string();
        assert!(err.starts_with("starting /no/such/program: "), "{err}");
    }

    #[test]
    fn what_is_no_json_is_named_with_the_command() {
        let err =
            json::<Vec<u32>>("[1, x]", "fleetctl", &["list-machines", "--json"]).unwrap_err().to_string();
        assert!(err.starts_with("reading what fleetctl list-machines --json printed: "), "{err}");
        assert_eq!(json::<Vec<u32>>("[1]", "x", &[]).unwrap(), [1]);
    }
}
