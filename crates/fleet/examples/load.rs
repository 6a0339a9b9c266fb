//! How fleet does under load: a real etcd, the real engine in a process of its own, and as many real agents as are
//! asked for, each with a service manager in memory. `cargo xtask bench fleet` runs it.
//!
//! `load cluster PROGRAMS MACHINES UNITS` prints one JSON object a line with `name`, `value` and `unit`;
//! `load engine URL` is the engine's process.

#![expect(clippy::unwrap_used, reason = "a measurement that goes wrong ends")]

#[path = "load/agents.rs"]
mod agents;
#[path = "load/engine.rs"]
mod engine;
#[path = "load/etcd.rs"]
mod etcd;
#[path = "load/process.rs"]
mod process;
#[path = "load/progress.rs"]
mod progress;

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_lab::{Cluster, Programs};
use etcd_rpc::{Client, Config};
use fleet::api::{Api as _, Wish};
use fleet::registry::{Keys, Limits, Service};
use fleet_core::engine::Settings as Spans;
use fleet_core::model::{MachineId, State};
use tokio::task::JoinSet;

use etcd::Numbers;
use process::Child;
use progress::Progress;

const PREFIX: &str = "/fleet/v1/";
/// What every unit is.
const SLEEPER: &str = "[Service]\nExecStart=/usr/bin/sleep 500\n";
/// Users that start units at the same time.
const USERS: usize = 8;
/// For so long nothing happens while idle traffic is measured.
const IDLE: Duration = Duration::from_secs(60);
/// Everything is faster than this unless it hangs.
const DEADLINE: Duration = Duration::from_secs(900);

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match args[..] {
        ["engine", url] => runtime.block_on(engine::run(url)),
        ["cluster", programs, machines, units] => {
            let programs = Programs::of(programs.as_ref()).unwrap();
            runtime.block_on(cluster(&programs, machines.parse().unwrap(), units.parse().unwrap()));
        }
        _ => panic!("usage: load cluster PROGRAMS MACHINES UNITS | load engine URL"),
    }
}

fn client(url: &str) -> Client {
    Client::new(Config::new([url], Duration::from_secs(5))).unwrap()
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", serde_json::json!({ "name": name, "value": value, "unit": unit }));
}

async fn cluster(programs: &Programs, machines: usize, units: usize) {
    let etcd = Cluster::start(programs, 1).members.pop().unwrap();
    let url = etcd.client_url();
    let service = Service::new(
        client(&url),
        Keys::new(PREFIX),
        MachineId("0".repeat(32)),
        Limits::default(),
        Spans::default(),
    );
    service.mark().await.unwrap();
    let engine = Child::engine(&url);
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let agents = agents::start(&url, dir.path(), machines);
    let mut progress = Progress::follow(&client(&url));
    progress.wait(|seen| seen.machines == machines, "machines").await;
    figure("machines: start to all there", began.elapsed().as_secs_f64(), "s");

    let began = Instant::now();
    start_all(&service, units).await;
    figure("units: start to all accepted", began.elapsed().as_secs_f64(), "s");
    progress.wait(|seen| seen.active == units, "active units").await;
    figure("units: start to all active", began.elapsed().as_secs_f64(), "s");
    figure("engine: memory at most", engine.memory_mib(), "MiB");
    figure("engine: processor until all active", engine.cpu_secs(), "s");

    tokio::time::sleep(Duration::from_secs(15)).await;
    let (before, cpu) = (Numbers::read(&etcd), engine.cpu_secs());
    tokio::time::sleep(IDLE).await;
    let idle = Numbers::read(&etcd).since(&before);
    let (many, secs) = (f64::from(u32::try_from(machines).unwrap()), IDLE.as_secs_f64());
    figure("idle: bytes to and from etcd, a machine", idle.bytes / many / secs, "B/s");
    figure("idle: requests to etcd, a machine", 60.0 * idle.requests / many / secs, "/min");
    figure("idle: writes to etcd", idle.revisions, "");
    figure("idle: processor of the engine", 100.0 * (engine.cpu_secs() - cpu) / secs, "%");

    let before = Numbers::read(&etcd);
    let began = Instant::now();
    start(&service, "one-more.service").await;
    progress.wait(|seen| seen.active == units + 1, "one more unit").await;
    figure("one start: to active", 1000.0 * began.elapsed().as_secs_f64(), "ms");
    // What comes late counts too.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let one = Numbers::read(&etcd).since(&before);
    figure("one start: writes to etcd", one.revisions, "");
    // This program's own follower of reports hears of some, too.
    figure("one start: events that etcd sends", one.events, "");
    drop((agents, engine));
}

/// Starts units as so many users do at once.
async fn start_all(service: &Service, units: usize) {
    let service = Arc::new(service.clone());
    let mut users = JoinSet::new();
    for user in 0..USERS {
        let service = Arc::clone(&service);
        users.spawn(async move {
            for unit in (user..units).step_by(USERS) {
                start(&service, &format!("unit-{unit:05}.service")).await;
            }
        });
    }
    tokio::time::timeout(DEADLINE, users.join_all()).await.expect("units are accepted");
}

async fn start(service: &Service, name: &str) {
    let wish = Wish { content: Some(SLEEPER.to_owned()), desired: Some(State::Launched) };
    service.put_unit(name, wish).await.unwrap();
}
