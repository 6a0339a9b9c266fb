//! Commands inside the guest, over SSH as user `core` with a key made for this machine.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Sandbox;
use crate::machine::DIR;

/// The account that the key is handed to.
pub const USER: &str = "core";
/// Exit status of ssh itself, as opposed to that of the command.
pub const FAILED: i32 = 255;
/// Exit status when a command's time was up.
pub const TIME_IS_UP: i32 = 124;
/// How long a connection may take to be made. Key exchange under software emulation takes some seconds, while a machine
/// starts on a host with much else to do many.
const CONNECT_SECS: u32 = 60;
/// The same for one look whether the machine lets in; another look follows.
const LOOK_SECS: u32 = 20;

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ssh could not be started.
    #[error("running ssh")]
    Start(#[from] std::io::Error),
    /// The machine never answered.
    #[error("the machine did not let `{USER}` in within {secs} s: {last}")]
    Unreachable {
        /// How long we tried.
        secs: u64,
        /// What ssh printed last.
        last: String,
    },
}

/// A way into one machine.
#[derive(Debug)]
pub struct Ssh {
    sandbox: Sandbox,
    dir: PathBuf,
    port: u16,
    /// The shared connection, and the boot that it belongs to.
    master: Mutex<Option<(Child, usize)>>,
}

impl Ssh {
    /// Returns the way into the machine whose folder is `dir` and whose port 22 is `port` on 127.0.0.1.
    pub fn new(sandbox: &Sandbox, dir: impl Into<PathBuf>, port: u16) -> Self {
        let dir = dir.into();
        let sandbox = with_user(sandbox, &dir).bind_at(&dir, DIR);
        Self { sandbox, dir, port, master: Mutex::new(None) }
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns ssh with what it needs to get in; the caller appends a command or nothing for a shell.
    pub fn interactive(&self, tty: Tty) -> Command {
        let mut command = self.sandbox.command("ssh");
        command.args(self.options(CONNECT_SECS));
        if tty == Tty::Wanted {
            command.arg("-t");
        }
        command.arg(self.destination());
        command
    }

    /// Runs a shell command line, once. Status [`FAILED`] is ssh's own, [`TIME_IS_UP`] that `timeout` passed.
    ///
    /// # Errors
    /// When ssh cannot be started.
    pub fn run(&self, line: &str, timeout: Duration) -> std::io::Result<Output> {
        self.run_with_input(line, b"", timeout)
    }

    /// As [`Ssh::run`], with bytes for the command's standard input.
    ///
    /// # Errors
    /// When ssh cannot be started or does not take the input.
    pub fn run_with_input(&self, line: &str, input: &[u8], timeout: Duration) -> std::io::Result<Output> {
        self.run_connected(line, input, timeout, CONNECT_SECS)
    }

    fn run_connected(
        &self,
        line: &str,
        input: &[u8],
        timeout: Duration,
        connect_secs: u32,
    ) -> std::io::Result<Output> {
        let secs = timeout.as_secs().max(1).to_string();
        let mut command = self.sandbox.command("timeout");
        command.args(["--kill-after=5", &secs, "ssh"]);
        command.args(self.options(connect_secs));
        command.args(["-S", &format!("{DIR}/mux.sock"), "-o", "ControlMaster=no"]);
        command.arg(self.destination()).arg("--").arg(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if let Some(mut stdin) = stdin.take() {
                    // A command that ends without reading its input is right to.
                    drop(stdin.write_all(input));
                }
            });
            child.wait_with_output()
        })
    }

    /// Waits until `core` can log in.
    ///
    /// # Errors
    /// At the deadline, with ssh's last words.
    pub fn wait(&self, timeout: Duration) -> Result<(), Error> {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let look = left.min(Duration::from_secs(u64::from(LOOK_SECS) + 10));
            let out = self.run_connected("true", b"", look, LOOK_SECS)?;
            if out.status.success() {
                return Ok(());
            }
            if end <= Instant::now() {
                let last = String::from_utf8_lossy(&out.stderr).trim().to_owned();
                return Err(Error::Unreachable { secs: timeout.as_secs(), last });
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Keeps one connection open that the following commands share, so that each needs no handshake of its own.
    /// `boot` numbers the guest's boots: a connection of an earlier one is dropped.
    ///
    /// The connection ends with the thread that called this.
    ///
    /// # Errors
    /// When ssh cannot be started; a connection that fails is no error, commands then connect by themselves.
    pub fn share(&self, boot: usize) -> std::io::Result<()> {
        let mut master = self.master.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((child, of_boot)) = master.as_mut() {
            if *of_boot == boot && child.try_wait()?.is_none() {
                return Ok(());
            }
            end(child);
            *master = None;
        }
        let socket = self.dir.join("mux.sock");
        if socket.exists() {
            std::fs::remove_file(&socket)?;
        }
        let mut command = self.sandbox.command("ssh");
        command.args(self.options(CONNECT_SECS)).args(["-M", "-N", "-S", &format!("{DIR}/mux.sock")]);
        command.args(["-o", "ControlPersist=no"]).arg(self.destination());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let give_up = Instant::now() + Duration::from_secs(u64::from(CONNECT_SECS));
        while !socket.exists() && child.try_wait()?.is_none() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(50));
        }
        *master = Some((child, boot));
        Ok(())
    }

    fn destination(&self) -> String {
        format!("{USER}@127.0.0.1")
    }

    /// The host key is new with every first boot and the way leads over loopback: nothing to compare it with.
    fn options(&self, connect_secs: u32) -> Vec<String> {
        let mut options: Vec<String> = ["-F", "none", "-i", &format!("{DIR}/id")].map(str::to_owned).to_vec();
        options.extend(["-p".to_owned(), self.port.to_string()]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "ServerAliveInterval=10",
            "ServerAliveCountMax=6",
            &format!("ConnectTimeout={connect_secs}"),
        ] {
            options.extend(["-o".to_owned(), option.to_owned()]);
        }
        options
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let mut master = self.master.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((child, _)) = master.as_mut() {
            end(child);
        }
    }
}

/// Whether the command gets a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tty {
    /// A shell for a person.
    Wanted,
    /// Bytes in, bytes out.
    Unwanted,
}

/// Says whether ssh itself failed, not the command.
pub fn failed_to_connect(out: &Output) -> bool {
    out.status.code() == Some(FAILED)
}

/// Makes a key pair `id`, `id.pub` in `dir` and returns the public half's line.
///
/// # Errors
/// When ssh-keygen cannot be started or refuses.
pub fn make_key(sandbox: &Sandbox, dir: &std::path::Path) -> std::io::Result<String> {
    write_user(dir)?;
    let sandbox = with_user(sandbox, dir).without_network().bind_at(dir, DIR);
    let mut command = sandbox.command("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "slipway-vm", "-f", &format!("{DIR}/id")]);
    let out = command.stdin(Stdio::null()).output()?;
    if !out.status.success() {
        let message = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        return Err(std::io::Error::other(format!("ssh-keygen failed: {message}")));
    }
    std::fs::read_to_string(dir.join("id.pub"))
}

/// OpenSSH's programs refuse to run for a user number without a name.
fn write_user(dir: &std::path::Path) -> std::io::Result<()> {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    std::fs::write(dir.join("passwd"), format!("user:x:{uid}:{gid}::/root:/bin/sh\n"))
}

fn with_user(sandbox: &Sandbox, dir: &std::path::Path) -> Sandbox {
    sandbox.clone().ro_bind_at(dir.join("passwd"), "/etc/passwd")
}

fn end(child: &mut Child) {
    // It may have ended by itself; either way it is gone afterwards.
    drop(child.kill());
    drop(child.wait());
}
