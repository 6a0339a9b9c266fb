//! A program of this machine, run with a deadline and a limit of what it may print.

use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a program may take, also on an emulated machine that shares its cores.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// Most bytes that a program may print: units of the largest cluster, many times over.
pub const OUTPUT_MAX: usize = 8 << 20;
/// Most bytes that are kept of what it complains of.
const COMPLAINT_MAX: usize = 64 << 10;

/// What a program that ended said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of, at most the first 64 KiB.
    pub stderr: String,
}

/// Why a program said nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of this name.
    #[error("this machine has no such program")]
    Missing,
    /// It cannot be started, or not be listened to.
    #[error("it cannot be run: {0}")]
    Run(#[source] io::Error),
    /// It took too long and was killed.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// It printed too much and was killed.
    #[error("it printed more than {} MiB", OUTPUT_MAX >> 20)]
    TooMuch,
}

/// Runs a program without input to its end, with variables on top of ours. One that takes too long or prints too much is
/// killed, with all that it started.
///
/// # Errors
/// When it gave no whole answer. That it failed is not an error here.
pub async fn run(
    program: &str,
    args: &[String],
    variables: &BTreeMap<&str, Option<String>>,
    within: Duration,
) -> Result<Said, Error> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // A group of its own, which is ended as one.
    command.process_group(0).kill_on_drop(true);
    let child = command.spawn().map_err(|err| match err.kind() {
        io::ErrorKind::NotFound => Error::Missing,
        _ => Error::Run(err),
    })?;
    let mut group =
        Group { leader: child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) };
    let said = timeout(within, listen(child)).await.unwrap_or(Err(Error::Late(within)));
    if said.is_ok() {
        // It has ended and its number may be another's.
        group.leader = None;
    }
    said
}

/// Processes that are killed with this, also where the task that waits for them is dropped.
struct Group {
    leader: Option<Pid>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // It may have ended at this moment; then there is nothing to kill.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

async fn listen(mut child: Child) -> Result<Said, Error> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let out = async {
        let mut bytes = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(limit(OUTPUT_MAX)).read_to_end(&mut bytes).await.map_err(Error::Run)?;
        }
        if OUTPUT_MAX < bytes.len() { Err(Error::TooMuch) } else { Ok(bytes) }
    };
    let err = async {
        match stderr {
            Some(stderr) => complaint(stderr).await.map_err(Error::Run),
            None => Ok(String::new()),
        }
    };
    let (stdout, stderr) = tokio::try_join!(out, err)?;
    let status = child.wait().await.map_err(Error::Run)?;
    Ok(Said { code: status.code(), stdout, stderr })
}

/// One byte more than may be, by which too much is told.
fn limit(max: usize) -> u64 {
    u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1)
}

/// Reads all, so that the program does not wait, and keeps the beginning.
async fn complaint(mut from: impl AsyncRead + Unpin) -> io::Result<String> {
    let (mut kept, mut buf) = (Vec::new(), vec![0; 4096]);
    loop {
        match from.read(&mut buf).await? {
            0 => return Ok(String::from_utf8_lossy(&kept).into_owned()),
            n => kept.extend(buf.iter().take(n.min(COMPLAINT_MAX.saturating_sub(kept.len())))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    async fn sh(script: &str, within: Duration) -> Result<Said, Error> {
        run("/bin/sh", &["-c".to_owned(), script.to_owned()], &BTreeMap::new(), within).await
    }

    #[tokio::test]
    async fn both_outputs_and_the_code_are_heard() {
        let said = sh("echo out; echo err >&2; exit 3", SOON).await.unwrap();
        assert_eq!(said, Said { code: Some(3), stdout: b"out\n".to_vec(), stderr: "err\n".to_owned() });
        assert_eq!(sh("kill -9 $$", SOON).await.unwrap().code, None);
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let begin = Instant::now();
        let err = sh(&script, Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(err.to_string(), "no answer within 2 s");
        assert!(begin.elapsed() < SOON);
        let child = std::fs::read_to_string(&file).unwrap();
        let status = format!("/proc/{}/stat", child.trim());
        let is_gone = || std::fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z "));
        while !is_gone() {
            assert!(begin.elapsed() < SOON, "its child lives");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn one_that_prints_without_an_end_is_killed() {
        assert_eq!(sh("exec yes", SOON).await.unwrap_err().to_string(), "it printed more than 8 MiB");
    }

    #[tokio::test]
    async fn complaints_without_an_end_do_not_stop_it() {
        let said = sh("yes | head -c 1000000 >&2; echo out", SOON).await.unwrap();
        assert_eq!((said.stdout.as_slice(), said.stderr.len()), (&b"out\n"[..], COMPLAINT_MAX));
    }

    #[tokio::test]
    async fn one_that_is_missing_is_said_to_be() {
        let err = run("/no/such/program", &[], &BTreeMap::new(), SOON).await.unwrap_err();
        assert_eq!(err.to_string(), "this machine has no such program");
    }

    #[tokio::test]
    async fn variables_are_set_and_taken_away() {
        let variables = BTreeMap::from([("GIVEN", Some("x".to_owned())), ("PATH", None)]);
        let args = ["-c".to_owned(), "echo $GIVEN".to_owned()];
        let said = run("/bin/sh", &args, &variables, SOON).await.unwrap();
        assert_eq!(said.stdout, b"x\n");
    }
}
