//! A registry with engines; the test plays users and machines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use etcd_lab::{Cluster, Member, Programs};
use etcd_rpc::{Client, Config, LeaseId, Op, Txn};
use fleet::api::{Api, Put, Wish};
use fleet::engine::{Counters, Engine, Settings};
use fleet::registry::{
    EntryValue, Key, Keys, Limits, MachineValue, Service, StateValue, UnitValue, from_json, to_json,
};
use fleet_core::engine::{Settings as Spans, Told};
use fleet_core::model::{MachineId, Report, State};
use fleet_core::name::UnitName;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Where the keys are.
pub const PREFIX: &str = "/fleet/v1/";
/// How long a term's lease lives.
pub const TERM_TTL: Duration = Duration::from_secs(3);
/// So long that no term ends by itself, however busy the machine is: the test ends it.
pub const LONG_TERM: Duration = Duration::from_secs(60);
/// How long a lost machine keeps its units here.
pub const GRACE: Duration = Duration::from_secs(2);
/// Nothing is this slow unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// A registry.
pub struct Lab {
    pub etcd: Member,
    pub programs: Programs,
    pub store: Client,
    pub keys: Keys,
    pub service: Arc<Service>,
    leases: BTreeMap<usize, LeaseId>,
}

/// An engine that runs.
pub struct Running {
    pub counters: Arc<Counters>,
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

/// The spans of time of all tests, in which one second is what half a minute is elsewhere.
pub fn spans() -> Spans {
    let second = Duration::from_secs(1);
    Spans { ttl: second * 3, grace: GRACE, window: second * 4, mass_wait: second * 8 }
}

/// The id of a machine.
pub fn id(machine: usize) -> MachineId {
    MachineId(format!("{machine:032x}"))
}

/// A unit's name.
pub fn name(text: &str) -> UnitName {
    UnitName::parse(text).unwrap()
}

/// A client that gives up after a second.
pub fn client(url: &str) -> Client {
    Client::new(Config::new([url], Duration::from_secs(1))).unwrap()
}

/// An API on a store.
pub fn service(store: &Client) -> Service {
    Service::new(store.clone(), Keys::new(PREFIX), id(0), Limits::default(), spans())
}

/// A wish of a unit.
pub fn wish(content: &str, desired: State) -> Wish {
    Wish { content: Some(content.to_owned()), desired: Some(desired) }
}

/// A unit with a line in its section `[X-Fleet]`.
pub fn with(line: &str) -> String {
    format!("{}[X-Fleet]\n{line}\n", super::SLEEPER)
}

impl Lab {
    /// A registry that has begun, without machines and engine; `None` without etcd.
    pub async fn new() -> Option<Self> {
        Self::with_etcd(&[]).await
    }

    /// The same with more arguments for etcd.
    pub async fn with_etcd(args: &[&str]) -> Option<Self> {
        let programs = Programs::shipped()?;
        let mut etcd = Member::new(&programs, "m1");
        let row = etcd.row();
        etcd.start(&[&["--initial-cluster", &row], args].concat());
        etcd.wait_healthy();
        Some(Self::on(etcd, programs).await)
    }

    /// The same with so many machines and an engine that leads.
    pub async fn with_machines(machines: usize) -> Option<(Self, Running)> {
        let mut lab = Self::new().await?;
        for machine in 1..=machines {
            lab.machine(machine, &[]).await;
        }
        let engine = lab.engine(1).await;
        engine.wait_leads().await;
        Some((lab, engine))
    }

    async fn on(etcd: Member, programs: Programs) -> Self {
        let store = client(&etcd.client_url());
        let service = Arc::new(service(&store));
        service.mark().await.unwrap();
        Self { etcd, programs, store, keys: Keys::new(PREFIX), service, leases: BTreeMap::new() }
    }

    /// Begins an engine.
    pub async fn engine(&self, machine: usize) -> Running {
        begin(self.store.clone(), machine)
    }

    /// Ends the term of the engine that leads, as it ends when its lease is not renewed.
    pub async fn end_term(&self) {
        let key = self.keys.engine();
        let term = self.store.get(&key).await.unwrap().kv.unwrap();
        self.store.revoke(LeaseId(term.lease)).await.unwrap();
        assert_eq!(self.store.get(&key).await.unwrap().kv, None);
    }

    /// Lets a machine join, with metadata; its lease outlives the test.
    pub async fn machine(&mut self, machine: usize, metadata: &[(&str, &str)]) {
        let lease = self.store.grant(Duration::from_secs(600)).await.unwrap().id;
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let value = MachineValue {
            ip: format!("192.0.2.{machine}"),
            metadata,
            version: "1.0.0".to_owned(),
            boot: "boot".to_owned(),
        };
        let put = Op::put_with_lease(&self.keys.machine(&id(machine)), to_json(&value), lease);
        self.store.txn(Txn::new().then(put)).await.unwrap();
        self.leases.insert(machine, lease);
    }

    /// Lets a machine be lost: its lease is over.
    pub async fn lose(&mut self, machine: usize) {
        self.store.revoke(self.leases.remove(&machine).unwrap()).await.unwrap();
    }

    /// Wants a unit.
    pub async fn want(&self, unit: &str, content: &str, desired: State) -> Put {
        self.service.put_unit(unit, wish(content, desired)).await.unwrap()
    }

    /// Wants a unit that is there to be like this.
    pub async fn turn(&self, unit: &str, desired: State) {
        self.service.put_unit(unit, Wish { content: None, desired: Some(desired) }).await.unwrap();
    }

    /// Says what a machine says of a unit that runs, or was not started.
    pub async fn report(&self, machine: usize, unit: &str, started: bool) {
        let (active, sub) = if started { ("active", "running") } else { ("inactive", "dead") };
        self.say(machine, unit, active, sub, started).await;
    }

    /// Says what a machine says of a unit that was started and has ended well.
    pub async fn report_ended(&self, machine: usize, unit: &str) {
        self.say(machine, unit, "inactive", "dead", true).await;
    }

    async fn say(&self, machine: usize, unit: &str, active: &str, sub: &str, started: bool) {
        let key = self.keys.entry(&id(machine), &name(unit));
        let entry = self.store.get(&key).await.unwrap().kv.unwrap();
        let value: EntryValue = from_json(&entry.value).unwrap();
        let file = fleet_core::unit_file::UnitFile::parse(&value.content).unwrap();
        let report = Report {
            hash: file.hash().to_owned(),
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: sub.to_owned(),
            started,
        };
        let state = to_json(&StateValue { report, entry: entry.mod_revision });
        let put =
            Op::put_with_lease(&self.keys.state(&id(machine), &name(unit)), state, self.leases[&machine]);
        self.store.txn(Txn::new().then(put)).await.unwrap();
    }

    /// All entries: unit to the machines that have one.
    pub async fn entries(&self) -> BTreeMap<String, Vec<usize>> {
        let listing = self.store.list(&self.keys.schedule()).await.unwrap();
        let mut entries: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for kv in listing.kvs {
            let Some(Key::Entry(machine, unit)) = self.keys.parse(&kv.key) else { panic!("{}", kv.key) };
            entries.entry(unit.to_string()).or_default().push(usize::from_str_radix(&machine.0, 16).unwrap());
        }
        entries
    }

    /// Where a unit is, if it is anywhere.
    pub async fn at(&self, unit: &str) -> Option<usize> {
        let at = self.entries().await.remove(unit)?;
        assert_eq!(at.len(), 1, "{unit} has one entry");
        at.first().copied()
    }

    /// Waits until a unit is on a machine.
    pub async fn wait_at(&self, unit: &str, machine: usize) {
        self.wait(&format!("{unit} is on {machine}"), async || self.at(unit).await == Some(machine)).await;
    }

    /// Checks that a unit stays on a machine for so long.
    pub async fn assert_place_kept(&self, unit: &str, machine: usize, span: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < span {
            assert_eq!(self.at(unit).await, Some(machine));
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until each of these units is somewhere.
    pub async fn wait_placed(&self, n: usize) -> BTreeMap<String, Vec<usize>> {
        self.wait(&format!("{n} units are placed"), async || self.entries().await.len() == n).await;
        self.entries().await
    }

    /// What the engine tells of a machine, on the lease of its term.
    pub async fn told(&self, machine: usize) -> Option<Told> {
        let told = self.store.get(&self.keys.lost(&id(machine))).await.unwrap().kv?;
        let engine = self.store.get(&self.keys.engine()).await.unwrap().kv?;
        assert_eq!(told.lease, engine.lease, "it goes with the term");
        Some(from_json(&told.value).unwrap())
    }

    /// Waits until the engine has nothing to tell of a machine.
    pub async fn wait_untold(&self, machine: usize) {
        self.wait("it is not lost any more", async || self.told(machine).await.is_none()).await;
    }

    /// Waits until a machine is given up.
    pub async fn wait_given_up(&self, machine: usize) {
        let given_up = async || self.told(machine).await.is_some_and(|told| told.moves.is_none());
        self.wait("it is given up", given_up).await;
    }

    /// Writes a key as no program of ours does.
    pub async fn write(&self, key: &str, value: &str) {
        self.store.put(key, value).await.unwrap();
    }

    /// A value of a unit, as it is in the store.
    pub async fn stored(&self, unit: &str) -> Option<UnitValue> {
        let kv = self.store.get(&self.keys.unit(&name(unit))).await.unwrap().kv?;
        Some(from_json(&kv.value).unwrap())
    }

    /// The store's revision.
    pub async fn revision(&self) -> i64 {
        self.store.get("nothing").await.unwrap().revision
    }

    /// Checks that nobody writes for so long.
    pub async fn assert_still(&self, span: Duration) {
        let before = self.revision().await;
        sleep(span).await;
        assert_eq!(self.revision().await, before, "nothing is written");
    }

    /// Waits until something is so.
    pub async fn wait(&self, what: &str, probe: impl AsyncFn() -> bool) {
        wait(what, probe).await;
    }
}

/// Waits until something is so.
pub async fn wait(what: &str, probe: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !probe().await {
        assert!(begin.elapsed() < DEADLINE, "in vain: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Begins an engine that has its own way to the store.
pub fn begin(store: Client, machine: usize) -> Running {
    begin_for(store, machine, TERM_TTL)
}

/// The same with a lease that lives for so long.
pub fn begin_for(store: Client, machine: usize, lease_ttl: Duration) -> Running {
    let settings = Settings {
        keys: Keys::new(PREFIX),
        machine: id(machine),
        lease_ttl,
        interval: Duration::from_secs(1),
        spans: spans(),
    };
    let engine = Engine::new(settings, store);
    let counters = engine.counters();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        engine.run(stopped, |line| eprintln!("engine of {machine}: {line}")).await;
    });
    Running { counters, task, stop }
}

impl Running {
    /// Ends it as TERM does.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.task).await.expect("the engine ends").unwrap();
    }

    /// Ends it as KILL does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Waits until it has begun a term.
    pub async fn wait_leads(&self) {
        wait("it leads", async || self.counters.counts().leads).await;
    }
}

/// Several members of etcd and a client of all.
pub fn cluster(programs: &Programs, size: usize) -> (Cluster, Client) {
    let cluster = Cluster::start(programs, size);
    let endpoints: Vec<String> = cluster.members.iter().map(Member::client_url).collect();
    let store = Client::new(Config::new(endpoints, Duration::from_secs(1))).unwrap();
    (cluster, store)
}
