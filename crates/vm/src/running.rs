//! A running virtual machine: its process, control socket, console and SSH.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::accel::Accel;
use crate::console::{self, Console};
use crate::fw_cfg;
use crate::home::{self, Home, State};
use crate::machine::{DIR, Machine, NET_DIR, Serial, WRITES_LOG};
use crate::qmp::{self, Qmp};
use crate::ssh::{self, Ssh};
use crate::timer;

/// How long QEMU may take to open its control socket.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The credential that the image's tmpfiles turn into `core`'s authorized keys.
pub const KEY_CREDENTIAL: &str = "ssh.authorized_keys.core";
/// The guest's SSH port.
const SSH_PORT: u16 = 22;

/// Why a machine does not run, or does not do as told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or process of the host failed.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the host said.
        #[source]
        source: std::io::Error,
    },
    /// The folder failed.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// QEMU ended at once.
    #[error("QEMU ended with {status}: {stderr}")]
    Ended {
        /// Its status.
        status: ExitStatus,
        /// What it printed.
        stderr: String,
    },
    /// QEMU's control socket failed.
    #[error("controlling QEMU")]
    Qmp(#[from] qmp::Error),
    /// The guest printed something else.
    #[error(transparent)]
    Console(#[from] console::Missing),
    /// The guest could not be entered.
    #[error(transparent)]
    Ssh(#[from] ssh::Error),
    /// A command in the guest failed.
    #[error("`{line}` in the guest ended with {status}: {output}")]
    Command {
        /// The shell command line.
        line: String,
        /// Its status.
        status: ExitStatus,
        /// What it printed on both channels.
        output: String,
    },
    /// No port of the host leads to the guest's SSH.
    #[error("QEMU forwards no port to the guest's port {0}")]
    NoForward(u16),
    /// Something did not happen in time.
    #[error("{what} did not happen within {secs} s")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        secs: u64,
    },
}

/// A running machine. Dropped, it is killed, as if its power was cut.
#[derive(Debug)]
pub struct Vm {
    qemu: Qemu,
    qmp: Arc<Qmp>,
    console: Option<Arc<Console>>,
    _timer: Option<timer::Guard>,
    console_dir: PathBuf,
    ssh: Ssh,
    forwards: Vec<(u16, u16)>,
}

impl Vm {
    /// Starts `machine` on the disk of `home`. The machine dies with the thread that calls this.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start(home: &Home, machine: &Machine) -> Result<Self, Error> {
        Self::start_with(home, machine, Binds::default())
    }

    /// As [`Vm::start`], with folders of the host that the machine needs.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start_with(home: &Home, machine: &Machine, binds: Binds<'_>) -> Result<Self, Error> {
        let dir = home.dir();
        let mut machine = machine.clone();
        machine.disk_format = home.disk_format()?;
        let key = home.public_key().as_bytes().to_vec();
        machine.credentials.entry(KEY_CREDENTIAL.to_owned()).or_insert(key);
        for old in ["console.sock", "qmp.sock", "mux.sock"] {
            remove_if_there(&dir.join(old))?;
        }
        File::create(dir.join("console.log")).map_err(io("making the console log"))?;
        if machine.record_writes {
            File::create(dir.join(WRITES_LOG)).map_err(io("making the log of writes"))?;
        }
        fw_cfg::write(dir, &machine.fw_cfg).map_err(io("writing the firmware configuration"))?;
        let stderr = File::create(dir.join("qemu.log")).map_err(io("making QEMU's log"))?;

        let mut sandbox = home.sandbox().clone().bind_at(dir, DIR);
        if let Some(image) = binds.image {
            sandbox = sandbox.ro_bind(image);
        }
        if let Some(net) = binds.net {
            sandbox = sandbox.bind_at(net, NET_DIR);
        }
        let argv = machine.argv();
        let mut command = sandbox.command(&argv[0]);
        command.args(&argv[1..]).stderr(stderr);
        match machine.serial {
            Serial::Terminal => command.stdin(Stdio::inherit()).stdout(Stdio::inherit()),
            Serial::Log => command.stdin(Stdio::null()).stdout(Stdio::null()),
        };
        // From here on an error ends QEMU.
        let mut qemu = Qemu(command.spawn().map_err(io("starting QEMU"))?);
        let qmp = Arc::new(connect(home, &mut qemu.0)?);
        let console = match machine.serial {
            Serial::Terminal => None,
            Serial::Log => {
                let log = File::open(dir.join("console.log")).map_err(io("opening the console log"))?;
                Some(Arc::new(Console::new(log)))
            }
        };
        let _timer = match machine.accel {
            Accel::Kvm => None,
            Accel::Tcg => {
                console.as_ref().map(|console| timer::Guard::new(Arc::clone(console), Arc::clone(&qmp)))
            }
        };
        let forwards = forwards_in(&qmp.monitor("info usernet")?);
        let port = port_of(&forwards, SSH_PORT)?;
        home.write_state(&State::new(&machine.name, qemu.0.id(), port, dir, home.sandbox().tree()))?;
        let ssh = Ssh::new(home.sandbox(), dir, port);
        let vm = Self { qemu, qmp, console, _timer, console_dir: dir.to_owned(), ssh, forwards };
        vm.qmp.execute("cont", serde_json::json!({}))?;
        Ok(vm)
    }

    /// Returns QEMU's control socket.
    pub fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// Returns the way in.
    pub fn way_in(&self) -> &Ssh {
        &self.ssh
    }

    /// Returns the console; none when it is on the caller's terminal.
    pub fn console(&self) -> Option<&Console> {
        self.console.as_deref()
    }

    /// Types on the console.
    ///
    /// # Errors
    /// When QEMU does not take it.
    pub fn type_text(&self, text: &str) -> Result<(), Error> {
        let socket = home::connect_in(&self.console_dir, "console.sock");
        socket.and_then(|socket| console::type_text(socket, text)).map_err(io("typing on the console"))
    }

    /// Returns the port on 127.0.0.1 that leads to `guest_port`.
    ///
    /// # Errors
    /// When no port does.
    pub fn port(&self, guest_port: u16) -> Result<u16, Error> {
        port_of(&self.forwards, guest_port)
    }

    /// Returns how often the machine was reset since it was started, by itself or by its watchdog.
    pub fn resets(&self) -> usize {
        self.qmp.count("RESET")
    }

    /// Waits until the machine was reset `count` times since it was started.
    ///
    /// # Errors
    /// At the deadline.
    pub fn wait_resets(&self, count: usize, timeout: Duration) -> Result<(), Error> {
        if self.qmp.wait_for("RESET", count, timeout) {
            return Ok(());
        }
        let seen = self.resets();
        Err(Error::Late { what: format!("reset {count} (seen: {seen})"), secs: timeout.as_secs() })
    }

    /// Waits until `core` can log in.
    ///
    /// # Errors
    /// At the deadline.
    pub fn wait_ssh(&self, timeout: Duration) -> Result<(), Error> {
        self.ssh.wait(timeout)?;
        self.ssh.share(self.resets()).map_err(io("sharing an SSH connection"))
    }

    /// Runs a shell command line as `core` and returns what became of it.
    ///
    /// # Errors
    /// When ssh cannot be started; a failing command is no error.
    pub fn ssh(&self, line: &str, timeout: Duration) -> Result<Output, Error> {
        self.ssh.share(self.resets()).map_err(io("sharing an SSH connection"))?;
        self.ssh.run(line, timeout).map_err(io("running ssh"))
    }

    /// Runs a shell command line as `core` that has to succeed, and returns what it printed, trimmed.
    ///
    /// # Errors
    /// When it fails, with all that it printed.
    pub fn sh(&self, line: &str, timeout: Duration) -> Result<String, Error> {
        let out = self.ssh(line, timeout)?;
        let stdout = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        if !out.status.success() {
            let output = format!("{stdout}\n{}", String::from_utf8_lossy(&out.stderr).trim());
            return Err(Error::Command { line: line.to_owned(), status: out.status, output });
        }
        Ok(stdout)
    }

    /// Returns QEMU's status if it has ended, without waiting.
    ///
    /// # Errors
    /// When its status cannot be had.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.qemu.0.try_wait().map_err(io("waiting for QEMU"))
    }

    /// Waits at most `timeout` until QEMU ends by itself.
    ///
    /// # Errors
    /// At the deadline, or when its status cannot be had.
    pub fn wait_end(&mut self, timeout: Duration) -> Result<ExitStatus, Error> {
        let end = Instant::now() + timeout;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if end <= Instant::now() {
                return Err(Error::Late { what: "the end of QEMU".to_owned(), secs: timeout.as_secs() });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asks the guest to power off, as its power button would, and waits for its end.
    ///
    /// # Errors
    /// When it has not ended in time.
    pub fn power_off(mut self, timeout: Duration) -> Result<(), Error> {
        self.qmp.execute("system_powerdown", serde_json::json!({}))?;
        self.wait_end(timeout).map(drop)
    }

    /// Cuts the power.
    pub fn kill(self) {
        drop(self);
    }
}

/// The process. Dropped, it is killed.
#[derive(Debug)]
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Folders and files of the host that a machine needs beside its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Binds<'a> {
    /// The image behind an overlay.
    pub image: Option<&'a Path>,
    /// The folder with the private network's `switch.sock`.
    pub net: Option<&'a Path>,
}

fn connect(home: &Home, child: &mut Child) -> Result<Qmp, Error> {
    let end = Instant::now() + START_TIMEOUT;
    loop {
        if let Ok(stream) = home.connect("qmp.sock") {
            return Ok(Qmp::new(stream)?);
        }
        if let Some(status) = child.try_wait().map_err(io("waiting for QEMU"))? {
            let stderr =
                std::fs::read_to_string(home.dir().join("qemu.log")).map_err(io("reading QEMU's log"))?;
            return Err(Error::Ended { status, stderr: stderr.trim().to_owned() });
        }
        if end <= Instant::now() {
            return Err(Error::Late { what: "QEMU's control socket".into(), secs: START_TIMEOUT.as_secs() });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reads QEMU's table of connections: `TCP[HOST_FORWARD]  13  127.0.0.1 39941  10.0.2.15  22  0  0`.
fn forwards_in(table: &str) -> Vec<(u16, u16)> {
    let row = |line: &str| {
        let mut fields = line.trim().strip_prefix("TCP[HOST_FORWARD]")?.split_whitespace();
        // A row without two port numbers is no forward.
        let (_, _, host) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
        let (_, guest) = (fields.next()?, fields.next()?.parse().ok()?);
        Some((host, guest))
    };
    table.lines().filter_map(row).collect()
}

fn port_of(forwards: &[(u16, u16)], guest_port: u16) -> Result<u16, Error> {
    let found = forwards.iter().find(|(_, guest)| *guest == guest_port);
    found.map(|(host, _)| *host).ok_or(Error::NoForward(guest_port))
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io(&format!("removing `{}`", path.display()))(error))
        }
        _ => Ok(()),
    }
}

fn io(doing: &str) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let doing = doing.to_owned();
    |source| Error::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_ports_are_read_from_qemus_table() {
        let table = "Hub -1 (user):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  TCP[HOST_FORWARD]  13       127.0.0.1 39941       10.0.2.15    22     0     0\r\n  TCP[ESTABLISHED]   15       127.0.0.1 39941       10.0.2.15    22     0     0\r\n  TCP[HOST_FORWARD]  14       127.0.0.1  8080       10.0.2.15    80     0     0\r\n";
        assert_eq!(forwards_in(table), [(39941, 22), (8080, 80)]);
    }
}
