//! The supervisor of a cluster with its real processes: an etcd, and a machine whose disk holds no system.
//!
//! Runs with the programs of the image and the tools tree, which `cargo xtask test judge` names.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../src/sbom/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use disk_image::fat::{self, FatSpec};
use disk_image::{Extent, LogicalBlockSize};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Machines of the cluster.
const SIZE: usize = 1;
/// The partition of the base that gets the cloud-config.
const OEM: Extent = Extent { offset: 1 << 20, len: 64 << 20 };

/// A cluster that runs in a target folder of its own.
struct Cluster {
    target: tempfile::TempDir,
    supervisor: Child,
}

/// A process: its number, and when it was started, because numbers come again.
type Process = (u32, u64);

impl Cluster {
    /// Starts one; `None` without the programs.
    fn start() -> Option<Self> {
        let (Some(programs), Some(tools)) =
            (std::env::var_os("SLIPWAY_JUDGES"), std::env::var_os("SLIPWAY_TOOLS"))
        else {
            println!("skipped: `cargo xtask test judge` runs this with the tools tree");
            return None;
        };
        let target = tempfile::tempdir().unwrap();
        let dir = target.path().join("run/cluster");
        fs::create_dir_all(&dir).unwrap();
        blank(&dir.join("base.raw"));
        let plan = json!({
            "format": 1,
            "size": SIZE,
            "image_dir": dir,
            "version": "0.1.0",
            "tools": PathBuf::from(tools),
            "etcd": Path::new(&programs).join("image"),
            "oem_offset": OEM.offset,
            "oem_len": OEM.len,
            "emulated": true,
            "cpus": 1,
            "memory_mib": 256,
            "keys": null,
        });
        fs::write(dir.join("plan.json"), plan.to_string()).unwrap();
        let log = File::create(dir.join("supervisor.log")).unwrap();
        let mut command = xtask(target.path(), &["supervise"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        let mut cluster = Self { supervisor: command.spawn().unwrap(), target };
        cluster.wait_on();
        Some(cluster)
    }

    fn dir(&self) -> PathBuf {
        self.target.path().join("run/cluster")
    }

    fn state(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.dir().join("cluster.json")).ok()?).ok()
    }

    fn wait_on(&mut self) {
        let is_on = |state: &Value| {
            let on = state["machines"].as_array().unwrap().iter().filter(|m| m["power"]["on"].is_u64());
            state["updates"].is_string() && on.count() == SIZE
        };
        let end = Instant::now() + PATIENCE;
        while !self.state().as_ref().is_some_and(is_on) {
            let ended = self.supervisor.try_wait().unwrap();
            let log = fs::read_to_string(self.dir().join("supervisor.log")).unwrap();
            assert!(ended.is_none() && Instant::now() < end, "the cluster does not run: {ended:?}\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a command on the cluster to its end.
    fn ask(&self, args: &[&str]) -> Output {
        xtask(self.target.path(), args).stdin(Stdio::null()).output().unwrap()
    }

    fn updates(&self) -> String {
        let url = self.state().unwrap()["updates"].as_str().unwrap().to_owned();
        url.trim_start_matches("http://").trim_end_matches('/').to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It has ended where the test got so far.
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

fn xtask(target: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("cluster").args(args).env("CARGO_TARGET_DIR", target);
    command
}

/// A disk that firmware starts nothing from.
fn blank(path: &Path) {
    let mut disk = File::options().create(true).truncate(true).read(true).write(true).open(path).unwrap();
    disk.set_len(OEM.end()).unwrap();
    let (label, block_size) = ("OEM".to_owned(), LogicalBlockSize::Lb512);
    let files: [(&str, &[u8]); 0] = [];
    fat::format(&mut disk, OEM, &FatSpec { label, serial: 7, mtime_secs: 0, block_size }, files).unwrap();
}

/// State, parent and start of a process; none when it has ended.
fn stat(pid: u32) -> Option<(String, u32, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields[0].to_owned(), fields[1].parse().ok()?, fields[19].parse().ok()?))
}

/// All processes that a process started, and those that they did.
fn below(root: u32) -> BTreeSet<Process> {
    let numbers =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let all: Vec<(u32, u32, u64)> =
        numbers.filter_map(|pid| stat(pid).map(|(_, parent, start)| (pid, parent, start))).collect();
    let (mut found, mut parents) = (BTreeSet::new(), vec![root]);
    while let Some(of) = parents.pop() {
        for (pid, _, start) in all.iter().filter(|(_, parent, _)| *parent == of) {
            found.insert((*pid, *start));
            parents.push(*pid);
        }
    }
    found
}

/// Names of those that still run.
fn left(processes: &BTreeSet<Process>) -> Vec<String> {
    let lives = |(pid, start): &&Process| {
        stat(*pid).is_some_and(|(state, _, found)| found == *start && state != "Z" && state != "X")
    };
    let name = |(pid, _): &Process| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    processes.iter().filter(lives).map(name).collect()
}

/// The programs of a cluster run below the supervisor.
#[track_caller]
fn processes(cluster: &Cluster) -> BTreeSet<Process> {
    let processes = below(cluster.supervisor.id());
    let names = left(&processes);
    // The image's etcd is started through its loader, and QEMU names itself after the machine.
    assert!(names.iter().any(|name| name.trim() == "loader"), "{names:?}");
    assert!(names.iter().any(|name| name.trim() == "slipway-m1"), "{names:?}");
    TcpStream::connect(cluster.updates()).unwrap();
    processes
}

/// Nothing runs any more, and of the files only logs are there.
#[track_caller]
fn all_gone(cluster: &Cluster, processes: &BTreeSet<Process>, updates: &str) {
    let end = Instant::now() + PATIENCE;
    while !left(processes).is_empty() {
        assert!(Instant::now() < end, "still there: {:?}", left(processes));
        std::thread::sleep(Duration::from_millis(20));
    }
    TcpStream::connect(updates).unwrap_err();
    let out = cluster.ask(&["down"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut files = files(&cluster.dir());
    files.retain(|name| !name.ends_with(".log"));
    assert_eq!(files, ["lock"]);
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let names = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    names.chain(dirs.iter().flat_map(|dir| self::files(dir))).collect()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).trim().to_owned()
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_process() {
    let Some(mut cluster) = Cluster::start() else { return };
    let (processes, updates) = (processes(&cluster), cluster.updates());
    cluster.supervisor.kill().unwrap();
    cluster.supervisor.wait().unwrap();
    let out = cluster.ask(&["status"]);
    assert_eq!(
        (out.status.code(), said(&out).as_str()),
        (Some(1), "error: no cluster is running: start one with `cargo xtask cluster up 3`")
    );
    all_gone(&cluster, &processes, &updates);
}

#[test]
fn down_ends_a_cluster_that_nobody_else_may_start_again() {
    let Some(mut cluster) = Cluster::start() else { return };
    let (processes, updates) = (processes(&cluster), cluster.updates());
    let out = cluster.ask(&["up", "1"]);
    let refused = "error: a cluster of 1 machine is running already: `cargo xtask cluster status` shows it, \
                   `cargo xtask cluster down` ends it";
    assert_eq!((out.status.code(), said(&out).as_str()), (Some(1), refused));
    let out = cluster.ask(&["ssh", "2", "--", "true"]);
    assert_eq!(said(&out), "error: the cluster has no m2, only m1");
    let out = cluster.ask(&["down"]);
    assert!(out.status.success(), "{}", said(&out));
    assert!(cluster.supervisor.wait().unwrap().success());
    all_gone(&cluster, &processes, &updates);
}

#[test]
fn a_supervisor_that_is_told_to_end_takes_all_with_it() {
    let Some(mut cluster) = Cluster::start() else { return };
    let (processes, updates) = (processes(&cluster), cluster.updates());
    kill_process(Pid::from_child(&cluster.supervisor), Signal::TERM).unwrap();
    assert!(cluster.supervisor.wait().unwrap().success());
    all_gone(&cluster, &processes, &updates);
}

#[test]
fn the_schema_accepts_the_images_bill_of_materials() {
    let Some(path) = std::env::var_os("SLIPWAY_SBOM") else {
        println!("skipped: `cargo xtask test judge` runs this with the image");
        return;
    };
    assert_eq!(schema::against_schema(&fs::read_to_string(path).unwrap()), Vec::<String>::new());
}
