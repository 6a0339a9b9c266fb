//! A machine with stand-ins for the programs that are asked, and the program that asks them.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// When a test gives up. Nothing is this slow unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What each stand-in does: it writes down how it was called, and runs what the test put there for these arguments.
const STAND_IN: &str = r#"#!/bin/sh
name=${0##*/}
echo "$name $*" >> "$LAB/calls"
[ -n "$ETCDCTL_ENDPOINTS" ] && [ "$1" = endpoint ] && echo "$ETCDCTL_ENDPOINTS" > "$LAB/endpoints"
. "$LAB/$name $*"
"#;

/// A machine of files.
pub struct Machine {
    dir: tempfile::TempDir,
}

/// `serve` that runs; killed when dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    pub address: SocketAddr,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Machine {
    /// A machine of a cluster of two that is well.
    pub fn new() -> Self {
        let machine = Self::empty();
        for name in ["locksmithctl", "fleetctl", "etcdctl"] {
            let path = machine.path("bin").join(name);
            fs::write(&path, STAND_IN).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let report =
            |id: &str| format!(r#"{{"id": "{id}", "version": "0.1.1", "slot": "A", "phase": "idle"}}"#);
        let member =
            |n: u8| format!(r#"{{"ID": 10{n}, "name": "m{n}", "clientURLs": ["http://10.7.0.{n}:2379"]}}"#);
        let endpoint = |n: u8| {
            format!(
                r#"{{"Endpoint": "http://10.7.0.{n}:2379", "Status": {{"header": {{"member_id": 10{n}}}, "leader": 101}}}}"#
            )
        };
        let rows = [
            ("locksmithctl", "machines --json", format!("[{}, {}]", report("m1"), report("m2"))),
            ("locksmithctl", "status --json", r#"{"max": 1, "available": 1, "holders": []}"#.to_owned()),
            (
                "locksmithctl",
                "versions --json",
                r#"[{"version": "0.1.1", "state": "good", "by": "m1", "at": "2026-11-29T01:30:00Z"}]"#
                    .to_owned(),
            ),
            (
                "fleetctl",
                "list-machines --json",
                r#"[{"id": "m1", "primaryIP": "10.7.0.1"}, {"id": "m2", "primaryIP": "10.7.0.2"}]"#
                    .to_owned(),
            ),
            (
                "fleetctl",
                "list-units --json",
                r#"[{"name": "web.service", "machineID": "m1", "systemdActiveState": "active"}]"#.to_owned(),
            ),
            (
                "fleetctl",
                "list-unit-files --json",
                r#"[{"name": "web.service", "machineID": "m1", "desiredState": "launched"}]"#.to_owned(),
            ),
            (
                "etcdctl",
                "member list --write-out=json",
                format!(r#"{{"members": [{}, {}]}}"#, member(1), member(2)),
            ),
            ("etcdctl", "endpoint status --write-out=json", format!("[{}, {}]", endpoint(1), endpoint(2))),
        ];
        for (name, args, text) in rows {
            machine.says(name, args, &text);
        }
        machine
    }

    /// A machine without any of the programs.
    pub fn empty() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(machine.path("bin")).unwrap();
        machine
    }

    /// Has a program print a text.
    pub fn says(&self, program: &str, args: &str, text: &str) {
        let file = self.path(&format!("{program} {args}.text"));
        fs::write(&file, text).unwrap();
        self.runs(program, args, &format!("cat '{}'", file.display()));
    }

    /// Has a program fail with a complaint.
    pub fn fails(&self, program: &str, args: &str, complaint: &str) {
        self.runs(program, args, &format!("echo '{complaint}' >&2; exit 1"));
    }

    /// Has a program run a script.
    pub fn runs(&self, program: &str, args: &str, script: &str) {
        // Under its name at once, because it may be run at this moment.
        let path = self.path(&format!("{program} {args}"));
        let new = self.path(&format!("{program} {args}.new"));
        fs::write(&new, format!("{script}\n")).unwrap();
        fs::rename(&new, &path).unwrap();
    }

    /// How programs were called.
    pub fn calls(&self) -> String {
        self.read("calls")
    }

    /// Reads a file that may not be there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The program on this machine. It starts no others than those in its folder, but stand-ins have those of the host.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-cluster"));
        command.env_clear().env("LAB", self.dir.path()).stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        // As an operator may have it, which etcdctl refuses beside flags.
        command.env("ETCDCTL_WRITE_OUT", "table");
        command
    }

    /// Starts `serve` at a port that is free.
    pub fn serve(&self, args: &[&str]) -> Server {
        self.serve_at("127.0.0.1:0", args)
    }

    /// Starts `serve` at an address.
    pub fn serve_at(&self, address: &str, args: &[&str]) -> Server {
        let log = self.path("log");
        let mut command = self.command();
        command.args(["serve", "--listen", address]).args(args);
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        let mut server =
            Server { child: command.spawn().unwrap(), log, address: "127.0.0.1:0".parse().unwrap() };
        let begin = Instant::now();
        let address = loop {
            let said = server.log();
            let line = said.lines().find_map(|line| line.strip_prefix("serving http://")?.strip_suffix('/'));
            if let Some(address) = line {
                break address.parse::<SocketAddr>().unwrap();
            }
            assert!(begin.elapsed() < PATIENCE, "it does not serve: {said}");
            sleep(Duration::from_millis(20));
        };
        server.address.set_port(address.port());
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Server {
    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Asks for a path.
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address))
    }

    /// Sends a request as it is.
    pub fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, headers: headers.to_owned(), body: body.to_owned() }
    }

    /// Waits until the page has a text.
    pub fn until_seen(&self, text: &str) -> Answer {
        let begin = Instant::now();
        loop {
            let page = self.get("/");
            if page.body.contains(text) {
                return page;
            }
            assert!(begin.elapsed() < PATIENCE, "the page never says `{text}`: {}", page.body);
            sleep(Duration::from_millis(50));
        }
    }

    /// Tells it to end, and returns its exit code.
    pub fn end(&mut self) -> Option<i32> {
        self.end_by(Signal::TERM)
    }

    /// Ends it by a signal.
    pub fn end_by(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
