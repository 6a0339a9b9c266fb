//! A stand-in for systemd: its manager's interface, served on a socket without a bus.

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use zbus::connection::Builder;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, DBusError, Guid, OwnedObjectPath, interface};

const OBJECT: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "/org/freedesktop/systemd1/unit/a_2eservice";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const JOB: &str = "/org/freedesktop/systemd1/job/7";

/// systemd, as far as fleet sees it.
pub struct StandIn {
    dir: tempfile::TempDir,
    world: Arc<Mutex<World>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct World {
    calls: Vec<String>,
    units: BTreeMap<String, [String; 4]>,
    refusals: BTreeMap<String, (String, String)>,
    connections: Vec<Connection>,
}

/// Errors of systemd.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    NoSuchUnit(String),
    TransactionIsDestructive(String),
}

type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);
type FileChanges = Vec<(String, String, String)>;

impl StandIn {
    /// Serves until it is dropped.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("private")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let world = Arc::new(Mutex::new(World::default()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&world)));
        Self { dir, world, accepting }
    }

    /// Its socket.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("private")
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.world.lock().unwrap().calls.clone()
    }

    /// Says how a unit is.
    pub fn set(&self, unit: &str, load: &str, active: &str, sub: &str, job: &str) {
        let state = [load, active, sub, job].map(str::to_owned);
        self.world.lock().unwrap().units.insert(unit.to_owned(), state);
    }

    /// Lets requests for a unit fail.
    pub fn refuse(&self, unit: &str, name: &str, message: &str) {
        let refusal = (name.to_owned(), message.to_owned());
        self.world.lock().unwrap().refusals.insert(unit.to_owned(), refusal);
    }

    /// Ends all connections.
    pub fn hang_up(&self) {
        self.world.lock().unwrap().connections.clear();
    }

    /// Says that a unit's state is another one.
    pub async fn say_state_changed(&self, _unit: &str) {
        self.emit(UNIT, PROPERTIES, "PropertiesChanged", &unit_changed()).await;
    }

    /// Says that a job is done.
    pub async fn say_job_removed(&self, unit: &str) {
        let job = OwnedObjectPath::try_from(JOB).unwrap();
        self.emit(OBJECT, INTERFACE, "JobRemoved", &(7_u32, job, unit, "done")).await;
    }

    /// Says that a unit was loaded for a moment.
    pub async fn say_unit_came_and_went(&self, unit: &str) {
        for signal in ["UnitNew", "UnitRemoved"] {
            let path = OwnedObjectPath::try_from(UNIT).unwrap();
            self.emit(OBJECT, INTERFACE, signal, &(unit, path)).await;
        }
    }

    async fn emit<B: serde::Serialize + zbus::Type>(
        &self,
        path: &str,
        interface: &str,
        name: &str,
        body: &B,
    ) {
        let connections = self.world.lock().unwrap().connections.clone();
        assert!(!connections.is_empty(), "nobody is connected");
        for connection in connections {
            // One that the client has left is still in the list.
            let _ = connection.emit_signal(None::<&str>, path, interface, name, body).await;
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: tokio::net::UnixListener, world: Arc<Mutex<World>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let manager = Served { world: Arc::clone(&world) };
        let builder = Builder::unix_stream(stream.into_std().unwrap()).server(Guid::generate()).p2p();
        let connection = builder.serve_at(OBJECT, manager).build().await.unwrap();
        world.lock().unwrap().connections.push(connection);
    }
}

/// The object of one connection.
struct Served {
    world: Arc<Mutex<World>>,
}

impl Served {
    fn called(&self, call: String) {
        self.world.lock().unwrap().calls.push(call);
    }

    fn job_for(&self, call: &str, unit: &str, mode: &str) -> Result<OwnedObjectPath, Refusal> {
        self.called(format!("{call} {unit} {mode}"));
        match self.world.lock().unwrap().refusals.get(unit) {
            Some((name, message)) if name == "NoSuchUnit" => Err(Refusal::NoSuchUnit(message.clone())),
            Some((_, message)) => Err(Refusal::TransactionIsDestructive(message.clone())),
            None => Ok(OwnedObjectPath::try_from(JOB).unwrap()),
        }
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Served {
    fn subscribe(&self) {
        self.called("Subscribe".to_owned());
    }

    fn reload(&self) {
        self.called("Reload".to_owned());
    }

    fn link_unit_files(&self, files: Vec<String>, runtime: bool, force: bool) -> FileChanges {
        self.called(format!("LinkUnitFiles {files:?}{}", words(runtime, force)));
        Vec::new()
    }

    fn enable_unit_files(&self, files: Vec<String>, runtime: bool, force: bool) -> (bool, FileChanges) {
        self.called(format!("EnableUnitFiles {files:?}{}", words(runtime, force)));
        (true, Vec::new())
    }

    fn disable_unit_files(&self, files: Vec<String>, runtime: bool) -> FileChanges {
        self.called(format!("DisableUnitFiles {files:?}{}", words(runtime, false)));
        Vec::new()
    }

    fn start_unit(&self, name: &str, mode: &str) -> Result<OwnedObjectPath, Refusal> {
        self.job_for("StartUnit", name, mode)
    }

    fn stop_unit(&self, name: &str, mode: &str) -> Result<OwnedObjectPath, Refusal> {
        self.job_for("StopUnit", name, mode)
    }

    fn reset_failed_unit(&self, name: &str) {
        self.called(format!("ResetFailedUnit {name}"));
    }

    /// Those in memory: units that do nothing are not.
    fn list_units(&self) -> Vec<Row> {
        self.called("ListUnits".to_owned());
        let world = self.world.lock().unwrap();
        let in_memory = world.units.iter().filter(|(_, state)| state[1] != "inactive");
        in_memory.map(|(name, state)| row(name, state)).collect()
    }

    /// Loads those that are not in memory, and says so as systemd does.
    async fn list_units_by_names(
        &self,
        names: Vec<String>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Vec<Row> {
        self.called(format!("ListUnitsByNames {names:?}"));
        let unit = SignalEmitter::new(emitter.connection(), UNIT).unwrap();
        unit.emit(PROPERTIES, "PropertiesChanged", &unit_changed()).await.unwrap();
        let world = self.world.lock().unwrap();
        let unknown = ["not-found", "inactive", "dead", ""].map(str::to_owned);
        names.iter().map(|name| row(name, world.units.get(name).unwrap_or(&unknown))).collect()
    }
}

/// Body of the signal of a unit whose state is another one.
fn unit_changed() -> (&'static str, BTreeMap<String, zbus::OwnedVariant>, Vec<&'static str>) {
    ("org.freedesktop.systemd1.Unit", BTreeMap::new(), vec!["ActiveState"])
}

fn row(name: &str, state: &[String; 4]) -> Row {
    let [load, active, sub, job] = state.clone();
    let path = || OwnedObjectPath::try_from(UNIT).unwrap();
    (name.to_owned(), "A unit".to_owned(), load, active, sub, String::new(), path(), 7, job, path())
}

fn words(runtime: bool, force: bool) -> String {
    [(runtime, " runtime"), (force, " force")].iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect()
}
