//! A cluster in one process, around real members of etcd.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use etcd_lab::{Cluster, Programs};
use etcd_rpc::{Client, Config};
use fleet::agent::{Agent, Settings as AgentSettings};
use fleet::api::{Api as _, Error, Wish};
use fleet::engine::{Engine, Settings as EngineSettings};
use fleet::http::Metrics;
use fleet::journal::Journal;
use fleet::registry::{Key, Keys, Limits, Service, StateValue, from_json};
use fleet::systemd::{Fake, Places};
use fleet_core::engine::Settings as Spans;
use fleet_core::model::{MachineId, State};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::agent::line::Line;

const PREFIX: &str = "/fleet/v1/";
const SLEEPER: &str = "[Service]\nExecStart=/bin/sleep 500\n";
/// How long leases live, and for how long a lost machine keeps its units: short, so that a loss is soon believed.
pub const SHORT: Duration = Duration::from_secs(3);
/// So long that no loss is believed, however busy the machine is that plays all of them.
pub const LONG: Duration = Duration::from_secs(60);
/// How long etcd has for one request.
const REQUEST: Duration = Duration::from_secs(10);
/// Machines with an engine.
const ENGINES: usize = 2;
/// Nothing is this slow unless it hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a cluster is made of.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    /// Members of etcd.
    pub members: usize,
    /// Arguments that each member has beside the usual ones.
    pub args: &'a [&'a str],
    /// Machines, each with an agent.
    pub machines: usize,
    /// Which machines have no way to the store but their line.
    pub cut_off: CutOff,
    /// How long leases live, and how long a lost machine keeps its units.
    pub ttl: Duration,
}

/// Machines that are cut off when their line is; the others ask another member then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    Nobody,
    TheLast,
    All,
}

impl Shape<'_> {
    pub fn new(members: usize, machines: usize, ttl: Duration) -> Self {
        Self { members, args: &[], machines, cut_off: CutOff::TheLast, ttl }
    }
}

/// A cluster.
pub struct Lab {
    pub etcd: Cluster,
    /// Service managers, by machine.
    pub fakes: Vec<Arc<Fake>>,
    /// Ways to the store, by machine.
    pub lines: Vec<Line>,
    store: Client,
    service: Service,
    keys: Keys,
    /// What runs on each machine.
    tasks: Vec<Vec<JoinHandle<()>>>,
    _dir: TempDir,
}

fn id(machine: usize) -> MachineId {
    MachineId(format!("{machine:032x}"))
}

fn client(endpoints: &[String]) -> Client {
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    Client::new(Config::new(endpoints, REQUEST)).unwrap()
}

fn spans(ttl: Duration) -> Spans {
    Spans { ttl, grace: ttl, ..Spans::default() }
}

impl Lab {
    /// A cluster whose machines are all there.
    pub async fn new(programs: &Programs, members: usize, machines: usize, ttl: Duration) -> Self {
        Self::of(programs, Shape::new(members, machines, ttl)).await
    }

    /// A cluster of this shape.
    pub async fn of(programs: &Programs, shape: Shape<'_>) -> Self {
        let Shape { members, args, machines, cut_off, ttl } = shape;
        let etcd = Cluster::start_with(programs, members, args);
        let urls: Vec<String> = etcd.members.iter().map(etcd_lab::Member::client_url).collect();
        let store = client(&urls);
        let keys = Keys::new(PREFIX);
        let service = Service::new(store.clone(), keys.clone(), id(0), Limits::default(), spans(ttl));
        service.mark().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (mut fakes, mut lines, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for machine in 0..machines {
            let dir = dir.path().join(machine.to_string());
            std::fs::create_dir(&dir).unwrap();
            // Each machine asks the member beside it, and with it is cut off from all.
            let line = Line::to(&urls[machine % urls.len()]).await;
            let others = urls.iter().enumerate().filter(|(n, _)| *n != machine % urls.len());
            let is_cut_off = match cut_off {
                CutOff::Nobody => false,
                CutOff::TheLast => machine + 1 == machines,
                CutOff::All => true,
            };
            let mut endpoints = vec![line.url()];
            endpoints.extend(others.filter(|_| !is_cut_off).map(|(_, url)| url.clone()));
            let places = Places { units: dir.join("units"), dropins: dir.join("system") };
            let fake = Arc::new(Fake::new(&places.dropins));
            let settings = AgentSettings {
                machine: id(machine),
                boot: "boot".to_owned(),
                version: "1.0.0".to_owned(),
                keys: keys.clone(),
                ttl,
                grace: ttl,
                public_ip: Some("192.0.2.7".to_owned()),
                metadata: BTreeMap::new(),
                places,
                memory_file: dir.join("agent.json"),
                guard_file: dir.join("guard"),
            };
            let client = client(&endpoints);
            let (metrics, journal) = (Metrics::new(), Journal::new(0));
            let agent = Agent::new(settings, client.clone(), Arc::clone(&fake), &metrics, journal).unwrap();
            let mut own = vec![tokio::spawn(agent.run(std::future::pending()))];
            if machine < ENGINES {
                let settings = EngineSettings {
                    keys: keys.clone(),
                    machine: id(machine),
                    lease_ttl: ttl,
                    interval: Duration::from_secs(30),
                    spans: spans(ttl),
                };
                let engine = Engine::new(settings, client);
                let counters = engine.counters();
                own.push(tokio::spawn(async move { engine.run(std::future::pending(), |_| ()).await }));
                if machine == 0 {
                    // The first one leads, so that tests know whom to kill.
                    while !counters.counts().leads {
                        sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            fakes.push(fake);
            lines.push(line);
            tasks.push(own);
        }
        let lab = Self { etcd, fakes, lines, store, service, keys, tasks, _dir: dir };
        lab.wait_machines(machines).await;
        lab
    }

    /// Starts a unit; the store must take it.
    pub async fn start(&self, unit: &str) {
        self.try_start(unit).await.unwrap();
    }

    /// Starts a unit, if the store takes it.
    pub async fn try_start(&self, unit: &str) -> Result<(), Error> {
        self.service.put_unit(unit, wish()).await.map(drop)
    }

    /// Stops a unit; it stays where it is.
    pub async fn stop(&self, unit: &str) {
        let wish = Wish { content: None, desired: Some(State::Loaded) };
        self.service.put_unit(unit, wish).await.unwrap();
    }

    /// Removes a unit.
    pub async fn destroy(&self, unit: &str) {
        self.service.delete_unit(unit).await.unwrap();
    }

    /// Starts a unit as a person does whose store is away for a moment.
    pub async fn start_again_and_again(&self, unit: &str) {
        self.wait("the store takes a unit", async |lab: &Self| lab.try_start(unit).await.is_ok()).await;
    }

    /// Starts many units.
    pub async fn start_units(&self, count: usize) {
        for unit in 0..count {
            self.start(&format!("unit-{unit:04}.service")).await;
        }
    }

    /// What the registry has of wishes: units and values.
    pub async fn wishes(&self) -> Vec<(String, Vec<u8>)> {
        let listing = self.store.list(&self.keys.units()).await.unwrap();
        listing.kvs.into_iter().map(|kv| (kv.key, kv.value)).collect()
    }

    /// Writes something that is not fleet's.
    pub async fn put(&self, key: &str, value: Vec<u8>) -> Result<i64, etcd_rpc::Error> {
        self.store.put(key, value).await
    }

    /// Deletes something that is not fleet's.
    pub async fn delete(&self, key: &str) {
        assert!(self.store.delete(key).await.unwrap());
    }

    /// The store's revision.
    pub async fn revision(&self) -> i64 {
        self.store.get(&self.keys.marker()).await.unwrap().revision
    }

    /// ACTIVE of all units that are reported, by unit, and by whom.
    async fn reported(&self) -> BTreeMap<String, Vec<(MachineId, String)>> {
        let mut reported: BTreeMap<String, Vec<(MachineId, String)>> = BTreeMap::new();
        let Ok(listing) = self.store.list(&self.keys.states()).await else { return reported };
        for kv in listing.kvs {
            let Some(Key::State(machine, unit)) = self.keys.parse(&kv.key) else { continue };
            let state: StateValue = from_json(&kv.value).unwrap();
            reported.entry(unit.to_string()).or_default().push((machine, state.report.active));
        }
        reported
    }

    /// Machines of units that are reported active, by unit.
    pub async fn active(&self) -> BTreeMap<String, Vec<MachineId>> {
        let mut active = BTreeMap::new();
        for (unit, reports) in self.reported().await {
            let is_active = |(machine, active)| (active == "active").then_some(machine);
            let machines: Vec<MachineId> = reports.into_iter().filter_map(is_active).collect();
            if !machines.is_empty() {
                active.insert(unit, machines);
            }
        }
        active
    }

    /// Waits until a unit is reported like this, by one machine.
    pub async fn wait_reported(&self, unit: &str, state: &str) {
        self.wait(&format!("{unit} is reported {state}"), async |lab: &Self| {
            let reported = lab.reported().await;
            reported.get(unit).is_some_and(|all| matches!(&all[..], [(_, active)] if active == state))
        })
        .await;
    }

    /// Waits until so many machines are alive.
    pub async fn wait_machines(&self, count: usize) {
        self.wait(&format!("{count} machines are alive"), async |lab: &Self| {
            lab.store.list(&lab.keys.machines()).await.is_ok_and(|listing| listing.kvs.len() == count)
        })
        .await;
    }

    /// How many units are reported active by a machine.
    pub async fn active_on(&self, machine: usize) -> usize {
        self.active().await.values().filter(|machines| machines.contains(&id(machine))).count()
    }

    /// How many units are reported active by machines other than one.
    pub async fn active_elsewhere(&self, machine: usize) -> usize {
        let elsewhere = |machines: &&Vec<MachineId>| machines.iter().any(|other| *other != id(machine));
        self.active().await.values().filter(elsewhere).count()
    }

    /// Waits until so many units are reported active, each by one machine.
    pub async fn wait_active(&self, count: usize) {
        self.wait(&format!("{count} units are active, each once"), async |lab: &Self| {
            let active = lab.active().await;
            active.len() == count && active.values().all(|machines| machines.len() == 1)
        })
        .await;
    }

    /// Waits until nobody writes for a second, and returns the store's revision.
    pub async fn quiet_revision(&self) -> i64 {
        let mut last = self.revision().await;
        loop {
            sleep(Duration::from_secs(1)).await;
            let now = self.revision().await;
            if now == last {
                return now;
            }
            last = now;
        }
    }

    /// Units that run on a machine, whatever anybody says of it.
    pub fn units_of(&self, machine: usize) -> Vec<String> {
        let units = (0..1000).map(|unit| format!("unit-{unit:04}.service"));
        units.filter(|unit| self.fakes[machine].active(unit) == "active").collect()
    }

    /// What each machine's service manager was asked to do.
    pub fn logs(&self) -> Vec<Vec<String>> {
        self.fakes.iter().map(|fake| fake.log()).collect()
    }

    /// Ends all that runs on a machine, as a power cut does.
    pub fn kill_machine(&mut self, machine: usize) {
        for task in self.tasks[machine].drain(..) {
            task.abort();
        }
        self.fakes[machine].boot();
    }

    /// Waits until something is so.
    pub async fn wait(&self, what: &str, probe: impl AsyncFn(&Self) -> bool) {
        let begin = Instant::now();
        while !probe(self).await {
            assert!(begin.elapsed() < DEADLINE, "in vain: {what}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.tasks.iter().flatten().for_each(JoinHandle::abort);
    }
}

fn wish() -> Wish {
    Wish { content: Some(SLEEPER.to_owned()), desired: Some(State::Launched) }
}
