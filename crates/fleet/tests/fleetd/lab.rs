//! A folder, a service manager that listens, and `fleetd` in between.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Nothing takes longer, on a machine with other work.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Where it all is.
pub struct Lab {
    /// Where it looks for the system's bus.
    pub bus: String,
    dir: TempDir,
    manager: UnixDatagram,
}

/// A `fleetd` that runs; it is killed if it still does at the end.
pub struct Fleetd {
    child: Child,
}

/// An answer of the API.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// An address at which nobody listens: the port was free a moment ago.
pub fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

impl Lab {
    /// One with these settings beside those of the place.
    pub fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(LOOK)).unwrap();
        // This machine's service manager is no business of a test.
        let bus = "unix:path=/nonexistent/bus".to_owned();
        let lab = Self { bus, dir, manager };
        lab.set(settings);
        lab
    }

    /// Writes the settings.
    pub fn set(&self, settings: &str) {
        let (socket, units) = (self.path("fleet.sock"), self.path("units"));
        let place = format!("api_socket={}\nunits_directory={}\n", socket.display(), units.display());
        fs::write(self.path("fleet.conf"), format!("{place}{settings}")).unwrap();
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetd"));
        command
            .arg("--config")
            .arg(self.path("fleet.conf"))
            .env_clear()
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env("RUNTIME_DIRECTORY", self.dir.path())
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus)
            .stdin(Stdio::null());
        command
    }

    /// Runs a subcommand to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&self) -> Fleetd {
        self.start_with(&[])
    }

    /// The same with more variables in its environment.
    pub fn start_with(&self, variables: &[(&str, &str)]) -> Fleetd {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command();
        command.envs(variables.iter().copied()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let fleetd = Fleetd { child };
        self.told("READY=1");
        fleetd
    }

    /// Waits until the service manager was told something that contains `text`.
    pub fn told(&self, text: &str) {
        let mut bytes = [0; 4096];
        until(&format!("{text} is told"), || {
            let len = self.manager.recv(&mut bytes).unwrap_or(0);
            String::from_utf8_lossy(&bytes[..len]).contains(text).then_some(())
        });
    }

    /// Waits until it has printed a line with `text`, to its end; returns the line.
    pub fn printed(&self, text: &str) -> String {
        until(&format!("{text} is printed"), || {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            log.split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'))
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Asks the API.
    pub fn ask(&self, verb: &str, path: &str, body: &str) -> Answer {
        let mut stream = UnixStream::connect(self.path("fleet.sock")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let len = body.len();
        write!(
            stream,
            "{verb} {path} HTTP/1.1\r\nHost: fleet\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {len}\r\n\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        Answer { status, body: body.to_owned() }
    }

    /// Asks until the answer has a status.
    pub fn ask_until(&self, path: &str, status: u16) -> Answer {
        until(&format!("{path} answers {status}"), || {
            Some(self.ask("GET", path, "")).filter(|answer| answer.status == status)
        })
    }
}

impl Fleetd {
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Tells it to end; returns its exit code.
    pub fn end(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let ended = until("it ends", || self.child.try_wait().unwrap());
        ended.code()
    }
}

impl Drop for Fleetd {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something to see.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::sleep(LOOK);
    }
}
