//! A cluster behind a socket, a folder to work in, and `fleetctl` as a user runs it.

use std::fs;
use std::io::{Read, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fleet::http::listen::SocketFile;
use fleet::http::{Limits, Listener, Metrics, Server, TlsFiles};
use fleet::journal::Journal;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Runtime;

use super::cluster::Cluster;

/// A unit that runs.
pub const SLEEP: &str = "[Service]\nExecStart=/usr/bin/sleep 500\n";
/// Id of the machine that every cluster has.
pub const HERE: &str = "e1cd2bcd4b9c4ad4a0e5a4c46bdf8a3f";
/// No command of the tests takes longer, on a machine with other work.
const LIMIT: Duration = Duration::from_secs(60);

/// `ssh` that writes its arguments down and does here what it should do there: a command, or `-W`.
const SSH: &str = r#"echo "$*" >> "$LAB/ssh-calls"
while [ "$1" != -- ]; do
    [ "$1" = -W ] && address=$2
    shift
done
shift 2
if [ -n "$address" ]; then
    exec 3<> "/dev/tcp/${address%:*}/${address##*:}"
    cat <&3 2> /dev/null &
    cat >&3 2> /dev/null
    exit
fi
exec /bin/sh -c "$*"
"#;

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A cluster, its server, and a folder.
pub struct Lab {
    /// The cluster, which has one machine that is not this one.
    pub cluster: Cluster,
    dir: TempDir,
    server: Runtime,
}

impl Lab {
    /// Starts a server over a cluster of one machine.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["bin", "home"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let cluster = Cluster::default();
        cluster.machine(HERE, "172.17.8.101");
        let server =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let file = SocketFile { path: dir.path().join("fleet.sock"), mode: 0o600, group: None };
        let listener = server.block_on(Listener::unix(&file)).unwrap();
        let api = Arc::new(cluster.clone());
        server.spawn(async move {
            let server = Server::new(api, Metrics::new(), Journal::new(0), Limits::default());
            server.serve(&[listener], std::future::pending()).await;
        });
        let lab = Self { cluster, dir, server };
        lab.program("ssh", SSH);
        symlink(env!("CARGO_BIN_EXE_fleetctl"), lab.dir().join("bin/fleetctl")).unwrap();
        lab
    }

    /// The folder in which commands run.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir().join("fleet.sock")
    }

    /// The server's address as flags name it.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Writes a file into the folder.
    pub fn file(&self, path: &str, content: &str) {
        fs::write(self.dir().join(path), content).unwrap();
    }

    /// Puts a script where commands look for programs.
    pub fn program(&self, name: &str, script: &str) {
        let path = self.dir().join("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes this the machine with this id.
    pub fn here(&self, id: &str) {
        self.file("machine-id", &format!("{id}\n"));
    }

    /// Arguments of every `ssh` so far, one line each.
    pub fn ssh_calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.dir().join("ssh-calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// Carries connections of a TCP address to the server; returns the address.
    pub fn tcp(&self) -> String {
        let listener = self.server.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let socket = self.socket();
        self.server.spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
            }
        });
        address.to_string()
    }

    /// Serves the cluster over TLS as well; returns the address.
    pub fn tls(&self, files: &TlsFiles) -> String {
        let local = (Ipv4Addr::LOCALHOST, 0).into();
        let listener = self.server.block_on(Listener::tls(local, files)).unwrap();
        let address = listener.address().unwrap();
        let api = Arc::new(self.cluster.clone());
        self.server.spawn(async move {
            let server = Server::new(api, Metrics::new(), Journal::new(0), Limits::default());
            server.serve(&[listener], std::future::pending()).await;
        });
        address.to_string()
    }

    /// Runs `fleetctl` against the server.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Said {
        finish(self.spawn(args))
    }

    /// Runs `fleetctl --json` against the server, which must succeed, and returns its list.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let said = self.ctl(&[&["--json"], args].concat());
        assert_eq!(said.code, 0, "{}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// Runs `fleetctl` without saying where the server is.
    #[track_caller]
    pub fn bare(&self, args: &[&str]) -> Said {
        finish(self.command(args).spawn().unwrap())
    }

    /// Runs `fleetctl` with variables, without saying where the server is.
    #[track_caller]
    pub fn with(&self, variables: &[(&str, &str)], args: &[&str]) -> Said {
        finish(self.command(args).envs(variables.iter().copied()).spawn().unwrap())
    }

    /// Runs `fleetctl` against the server with a standard output that nobody reads.
    #[track_caller]
    pub fn closed(&self, args: &[&str]) -> Said {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(args);
        finish(command.env("FLEETCTL_ENDPOINT", self.endpoint()).stdout(writer).spawn().unwrap())
    }

    /// Runs `fleetctl` against the server with something on standard input; returns what it left unread.
    #[track_caller]
    pub fn fed(&self, args: &[&str], input: &str) -> (Said, String) {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(input.as_bytes()).unwrap();
        drop(writer);
        let mut command = self.command(args);
        command.env("FLEETCTL_ENDPOINT", self.endpoint()).stdin(reader.try_clone().unwrap());
        let said = finish(command.spawn().unwrap());
        let mut left = String::new();
        reader.read_to_string(&mut left).unwrap();
        (said, left)
    }

    /// Starts `fleetctl` against the server.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).env("FLEETCTL_ENDPOINT", self.endpoint()).spawn().unwrap()
    }

    /// Interrupts what was started, as Ctrl-C does.
    #[track_caller]
    pub fn interrupt(&self, child: Child) -> Said {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        finish(child)
    }

    fn command(&self, args: &[&str]) -> Command {
        let path = format!("{}:{}", self.dir().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetctl"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FLEETCTL_"))
        {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(self.dir())
            .env("PATH", path)
            .env("HOME", self.dir().join("home"))
            .env("LAB", self.dir())
            .env("SHELL", "/bin/sh")
            .env("FLEETCTL_MACHINE_ID_FILE", self.dir().join("machine-id"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Waits for the end of a program, which it must reach in time.
#[track_caller]
fn finish(mut child: Child) -> Said {
    // Read while it runs, so that it never waits for room in a pipe.
    let readers = [
        child.stdout.take().map(|pipe| thread::spawn(move || read(pipe))),
        child.stderr.take().map(|pipe| thread::spawn(move || read(pipe))),
    ];
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("fleetctl did not end within {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let [stdout, stderr] =
        readers.map(|reader| reader.map_or(String::new(), |reader| reader.join().unwrap()));
    let code = status.code().unwrap_or_else(|| panic!("ended by signal {:?}: {stderr}", status.signal()));
    Said { code, stdout, stderr }
}

fn read(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}
