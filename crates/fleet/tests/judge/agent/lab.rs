//! A machine with an agent, its etcd, and the test in the engine's place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcd_lab::{Cluster, Member, Programs};
use etcd_rpc::{Client, Config};
use fleet::agent::{Agent, Settings, Standing};
use fleet::http::Metrics;
use fleet::journal::Journal;
use fleet::registry::Keys;
use fleet::systemd::{Fake, Places};
use fleet_core::model::MachineId;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::line::Line;

/// This machine and another one.
pub const HERE: &str = "0123456789abcdef0123456789abcdef";
pub const THERE: &str = "fedcba9876543210fedcba9876543210";
/// The shortest time to live that etcd gives whole.
pub const TTL: Duration = Duration::from_secs(3);
/// How long a surplus unit may stay.
pub const GRACE: Duration = Duration::from_secs(6);
/// Nothing is this slow unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// One machine of a cluster.
pub struct Lab {
    pub etcd: Member,
    pub programs: Programs,
    pub line: Line,
    pub fake: Arc<Fake>,
    pub settings: Settings,
    pub metrics: Metrics,
    /// The test's own way to the store, which is never cut.
    pub store: Client,
    pub running: Option<Running>,
    dir: tempfile::TempDir,
}

/// An agent that runs.
pub struct Running {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    pub standing: watch::Receiver<Standing>,
}

impl Lab {
    /// A registry that has begun, and a machine whose agent does not run; `None` without etcd.
    pub async fn new() -> Option<Self> {
        let programs = Programs::shipped()?;
        let etcd = Cluster::start(&programs, 1).members.pop().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let places = Places { units: dir.path().join("units"), dropins: dir.path().join("system") };
        let fake = Arc::new(Fake::new(&places.dropins));
        let settings = Settings {
            machine: MachineId(HERE.to_owned()),
            boot: "boot-1".to_owned(),
            version: "1.0.0".to_owned(),
            keys: Keys::new("/fleet/v1/"),
            ttl: TTL,
            grace: GRACE,
            public_ip: Some("192.0.2.7".to_owned()),
            metadata: BTreeMap::from([("region".to_owned(), "us".to_owned())]),
            places,
            memory_file: dir.path().join("agent.json"),
            guard_file: dir.path().join("guard"),
        };
        let store = client(&etcd.client_url());
        let line = Line::to(&etcd.client_url()).await;
        let metrics = Metrics::new();
        let lab = Self { etcd, programs, line, fake, settings, metrics, store, running: None, dir };
        lab.put("marker", &json!({ "format": 1, "machine": HERE })).await;
        Some(lab)
    }

    /// The same with an agent that is a member.
    pub async fn started() -> Option<Self> {
        let mut lab = Self::new().await?;
        lab.start().await;
        Some(lab)
    }

    /// Begins an agent and waits until it is a member.
    pub async fn start(&mut self) {
        self.begin();
        let mut standing = self.running.as_ref().unwrap().standing.clone();
        let member = standing.wait_for(|standing| matches!(standing, Standing::Member(_)));
        timeout(DEADLINE, member).await.expect("the machine becomes a member").unwrap();
    }

    /// Begins an agent.
    pub fn begin(&mut self) {
        assert!(self.running.is_none());
        self.running = Some(self.agent(self.settings.clone()));
    }

    /// Begins an agent with other settings, on the same machine.
    pub fn agent(&self, settings: Settings) -> Running {
        let (client, fake) = (client(&self.line.url()), Arc::clone(&self.fake));
        let agent = Agent::new(settings, client, fake, &self.metrics, Journal::new(0)).unwrap();
        let standing = agent.standing();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(agent.run(async {
            let _ = stopped.await;
        }));
        Running { task, stop, standing }
    }

    /// Ends the agent as TERM does.
    pub async fn stop(&mut self) {
        let Running { task, stop, .. } = self.running.take().unwrap();
        stop.send(()).unwrap();
        timeout(DEADLINE, task).await.expect("the agent ends").unwrap();
    }

    /// Ends the agent as KILL does, wherever it is.
    pub async fn kill(&mut self) {
        let Running { task, .. } = self.running.take().unwrap();
        task.abort();
        let _ = task.await;
    }

    /// Writes a key below the prefix.
    pub async fn put(&self, key: &str, value: &Value) -> i64 {
        self.store.put(&format!("/fleet/v1/{key}"), value.to_string()).await.unwrap()
    }

    /// Deletes a key below the prefix.
    pub async fn delete(&self, key: &str) {
        self.store.delete(&format!("/fleet/v1/{key}")).await.unwrap();
    }

    /// Reads a key below the prefix.
    pub async fn get(&self, key: &str) -> Option<Value> {
        let kv = self.store.get(&format!("/fleet/v1/{key}")).await.unwrap().kv?;
        Some(serde_json::from_slice(&kv.value).unwrap())
    }

    /// Places a unit here.
    pub async fn place(&self, unit: &str, content: &str, desired: &str) -> i64 {
        self.put(&format!("schedule/{HERE}/{unit}"), &wish(content, desired)).await
    }

    /// Places units here and waits until they run.
    pub async fn run(&self, units: &[&str]) {
        for unit in units {
            self.place(unit, super::SLEEPER, "launched").await;
        }
        for unit in units {
            self.wait_reported(unit, "active").await;
        }
    }

    /// A number that the agent counts, by its name and labels as `/metrics` shows them.
    pub fn counted(&self, series: &str) -> u64 {
        let text = self.metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Moves a unit to the other machine, as the engine does.
    pub async fn move_away(&self, unit: &str, content: &str) {
        self.remove(unit).await;
        self.put(&format!("place/{unit}"), &json!({ "machine": THERE })).await;
        self.put(&format!("schedule/{THERE}/{unit}"), &wish(content, "launched")).await;
    }

    /// Lets the other machine report a unit as active.
    pub async fn report_active_there(&self, unit: &str) {
        let report = json!({
            "hash": "", "load": "loaded", "active": "active", "sub": "running", "started": true, "entry": 1
        });
        self.put(&format!("state/{THERE}/{unit}"), &report).await;
    }

    /// Takes a unit's entry away.
    pub async fn remove(&self, unit: &str) {
        self.delete(&format!("schedule/{HERE}/{unit}")).await;
    }

    /// What this machine reports of a unit.
    pub async fn report(&self, unit: &str) -> Option<Value> {
        self.get(&format!("state/{HERE}/{unit}")).await
    }

    /// Waits until a unit is reported like this.
    pub async fn wait_reported(&self, unit: &str, active: &str) {
        self.wait(&format!("{unit} is reported {active}"), async || {
            self.report(unit).await.is_some_and(|report| report["active"] == active)
        })
        .await;
    }

    /// Waits until a unit has neither file nor report.
    pub async fn wait_gone(&self, unit: &str) {
        self.wait(&format!("{unit} is gone"), async || {
            !self.unit_file(unit).exists() && self.report(unit).await.is_none()
        })
        .await;
    }

    /// Waits until something is so.
    pub async fn wait(&self, what: &str, probe: impl AsyncFn() -> bool) {
        let begin = Instant::now();
        while !probe().await {
            assert!(begin.elapsed() < DEADLINE, "in vain: {what}; did {:?}", self.fake.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where a unit's file is.
    pub fn unit_file(&self, unit: &str) -> PathBuf {
        self.settings.places.units.join(unit)
    }

    /// A folder for files of the test.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }
}

/// An entry or a global unit.
pub fn wish(content: &str, desired: &str) -> Value {
    json!({ "content": content, "desired": desired, "reason": "the test wants it" })
}

fn client(url: &str) -> Client {
    Client::new(Config::new([url], Duration::from_secs(1))).unwrap()
}
