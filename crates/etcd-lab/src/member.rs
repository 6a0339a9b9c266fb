//! One etcd process: its address, its folder, and what a test does to it.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::http::Client;
use crate::wait::until;

/// etcd's programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The server.
    pub etcd: PathBuf,
    /// Its tool.
    pub etcdctl: PathBuf,
}

/// A member: on the ports 2379 and 2380 of a loopback address that is its alone, so that it can start there again.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    programs: Programs,
    address: Ipv4Addr,
    dir: TempDir,
    child: Option<Child>,
}

impl Programs {
    /// Those of the image, which `cargo xtask test judge` puts into the folder `SLIPWAY_JUDGES`; `None` without it,
    /// because another etcd than the image's says nothing.
    pub fn shipped() -> Option<Self> {
        let Some(dir) = env::var_os("SLIPWAY_JUDGES").map(PathBuf::from) else {
            println!("skipped: `cargo xtask test judge` runs this with the image's etcd");
            return None;
        };
        Some(Self::of(&dir).unwrap_or_else(|err| panic!("SLIPWAY_JUDGES is set, but {err}")))
    }

    /// Those in a folder.
    ///
    /// # Errors
    /// When one of them is missing.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let [etcd, etcdctl] = ["etcd", "etcdctl"].map(|name| dir.join(name));
        for program in [&etcd, &etcdctl] {
            if !program.is_file() {
                let message = format!("{} is missing", program.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, message));
            }
        }
        Ok(Self { etcd, etcdctl })
    }

    /// Runs `etcdctl` against `member` and returns what it prints; it must succeed.
    #[track_caller]
    pub fn ctl(&self, member: &Member, args: &[&str]) -> String {
        let endpoint = format!("--endpoints={}", member.client_url());
        let out = Command::new(&self.etcdctl).arg(endpoint).args(args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "etcdctl {args:?}: {}: {said}", out.status);
        String::from_utf8(out.stdout).unwrap()
    }
}

impl Member {
    /// Makes a member that does not run yet.
    pub fn new(programs: &Programs, name: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("etcd-").tempdir().unwrap();
        Self { name: name.to_owned(), programs: programs.clone(), address: free_address(), dir, child: None }
    }

    /// Where clients ask.
    pub fn client_url(&self) -> String {
        format!("http://{}:2379", self.address)
    }

    /// Where clients ask over TLS, after [`Member::start_secured`].
    pub fn secure_url(&self) -> String {
        format!("https://{}:2379", self.address)
    }

    /// Where members ask.
    pub fn peer_url(&self) -> String {
        format!("http://{}:2380", self.address)
    }

    /// `name=url`, as in the list of a cluster.
    pub fn row(&self) -> String {
        format!("{}={}", self.name, self.peer_url())
    }

    /// Its data folder; there is none before the first start.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A folder beside the data, for files of the test.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// A client of this member.
    pub fn client(&self) -> Client {
        Client::new(&self.client_url())
    }

    /// Starts the process and returns at once; `args` say how it finds the others.
    pub fn start<S: AsRef<OsStr>>(&mut self, args: &[S]) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let (client, peer) = (self.client_url(), self.peer_url());
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let child = Command::new(&self.programs.etcd)
            .args(["--enable-v2=true", "--name", &self.name, "--data-dir"])
            .arg(self.data_dir())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            // Tests kill processes, not the machine: what was written is there, and the disk is left alone.
            .arg("--unsafe-no-fsync")
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child =
            Some(child.unwrap_or_else(|err| panic!("starting {}: {err}", self.programs.etcd.display())));
    }

    /// Starts it as the only member of its cluster, which serves clients over TLS alone and asks them for certificates
    /// of the same authority. Its own is for `host`; without one it is for its address, as clients want it.
    pub fn start_secured(&mut self, authority: &Authority, host: Option<&str>) {
        let address = self.address.to_string();
        let signed = authority.sign(host.unwrap_or(&address));
        let file = |name: &str, bytes: &[u8]| {
            let path = self.dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        let files = [file("crt", &signed.certificate), file("key", &signed.key), file("ca", &authority.pem)];
        let [certificate, key, ca] = files.each_ref().map(String::as_str);
        let (row, url) = (self.row(), self.secure_url());
        let args = [
            ["--initial-cluster", &row],
            ["--listen-client-urls", &url],
            ["--advertise-client-urls", &url],
            ["--cert-file", certificate],
            ["--key-file", key],
            ["--trusted-ca-file", ca],
        ];
        let mut args = args.concat();
        args.push("--client-cert-auth");
        self.start(&args);
    }

    /// Waits until the member says that it is healthy: it knows a leader and can write.
    #[track_caller]
    pub fn wait_healthy(&mut self) {
        let client = self.client();
        until(&format!("{} becomes healthy", self.name), || {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("{} ended ({status}):\n{}", self.name, self.last_words());
            }
            // Nobody listens at first.
            client.get("/health").ok().filter(|answer| answer.json()["health"] == "true")
        });
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends the process as `systemctl stop` does.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end()
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub fn wait_end(&mut self) -> ExitStatus {
        let name = self.name.clone();
        let child = self.child.as_mut().unwrap();
        let status = until(&format!("{name} ends"), || child.try_wait().unwrap());
        self.child = None;
        status
    }

    /// Stops the process without ending it.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Fills its disk, as far as the process can tell: from now on no write reaches behind a file's first byte, those of
    /// its log among them. A process that is started later has room again.
    pub fn fill_disk(&self) {
        let limit = Rlimit { current: Some(1), maximum: None };
        prlimit(Some(Pid::from_child(self.child.as_ref().unwrap())), Resource::Fsize, limit).unwrap();
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }

    /// Forgets what it logged.
    pub fn clear_log(&self) {
        File::create(self.log_path()).unwrap();
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already; then there is nothing to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A loopback address that nobody uses: of this process by its number, of one member by its turn. Unlike a free port
/// it is not given to anybody else while the member is down.
fn free_address() -> Ipv4Addr {
    static TURN: AtomicU32 = AtomicU32::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    loop {
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let [.., last] = (turn % 250 + 1).to_be_bytes();
        let address = Ipv4Addr::new(127, high | 1, low, last);
        let free = [2379, 2380].iter().all(|port| TcpListener::bind((address, *port)).is_ok());
        if free {
            return address;
        }
    }
}
