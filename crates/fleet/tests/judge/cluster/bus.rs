//! A system bus of the test with systemd on it, for a `fleetd` that is a process: a service manager in memory does what
//! is asked over D-Bus.

use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use fleet::systemd::{Error, Fake, Manager as _, Status};
use tokio::task::JoinHandle;
use zbus::connection::Builder;
use zbus::{Connection, Guid, OwnedObjectPath, fdo, interface};

const OBJECT: &str = "/org/freedesktop/systemd1";
const UNIT: &str = "/org/freedesktop/systemd1/unit/any";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const JOB: &str = "/org/freedesktop/systemd1/job/1";

/// The bus. Its units run on whatever becomes of who started them.
pub struct Bus {
    /// The service manager.
    pub fake: Arc<Fake>,
    dir: tempfile::TempDir,
    tasks: Vec<JoinHandle<()>>,
}

/// What all connections share.
#[derive(Default)]
struct World {
    /// Units that were linked, of which a listing tells.
    names: Mutex<BTreeSet<String>>,
    connections: Mutex<Vec<Connection>>,
}

type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);
type FileChanges = Vec<(String, String, String)>;

impl Bus {
    /// Serves until it is dropped.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("bus")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let fake = Arc::new(Fake::new(&dir.path().join("system")));
        let world = Arc::new(World::default());
        let tasks = vec![
            tokio::spawn(accept(listener, Arc::clone(&fake), Arc::clone(&world))),
            tokio::spawn(tell(Arc::clone(&fake), world)),
        ];
        Self { fake, dir, tasks }
    }

    /// Its address, as D-Bus writes one.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.dir.path().join("bus").display())
    }

    /// How many units run.
    pub fn count_active(&self, units: &[String]) -> usize {
        units.iter().filter(|unit| self.fake.active(unit) == "active").count()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: tokio::net::UnixListener, fake: Arc<Fake>, world: Arc<World>) {
    while let Ok((stream, _)) = listener.accept().await {
        let served = Served { fake: Arc::clone(&fake), world: Arc::clone(&world) };
        let builder = Builder::unix_stream(stream.into_std().unwrap()).server(Guid::generate()).p2p();
        let builder = builder.serve_at("/org/freedesktop/DBus", Broker).serve_at(OBJECT, served);
        // One that is killed while it connects is no business of the others.
        if let Ok(connection) = builder.build().await {
            world.connections.lock().unwrap().push(connection);
        }
    }
}

/// Says to all who are connected that a unit's state may be another one.
async fn tell(fake: Arc<Fake>, world: Arc<World>) {
    loop {
        fake.changed().await;
        let connections = world.connections.lock().unwrap().clone();
        let nothing = std::collections::BTreeMap::<String, zbus::OwnedVariant>::new();
        let body = ("org.freedesktop.systemd1.Unit", nothing, vec!["ActiveState"]);
        for connection in connections {
            // One that its client has left is still in the list.
            let _ = connection.emit_signal(None::<&str>, UNIT, PROPERTIES, "PropertiesChanged", &body).await;
        }
    }
}

/// The bus itself: it gives each connection a name, and sends all signals to all.
struct Broker;

#[interface(name = "org.freedesktop.DBus")]
impl Broker {
    fn hello(&self) -> String {
        ":1.1".to_owned()
    }

    fn add_match(&self, _rule: String) {}

    fn remove_match(&self, _rule: String) {}
}

/// systemd on one connection.
struct Served {
    fake: Arc<Fake>,
    world: Arc<World>,
}

impl Served {
    async fn rows(&self, names: &[String]) -> fdo::Result<Vec<Row>> {
        let states = self.fake.states(names).await.map_err(refused)?;
        Ok(states.iter().map(|(name, status)| row(name, status)).collect())
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Served {
    fn subscribe(&self) {}

    async fn reload(&self) -> fdo::Result<()> {
        self.fake.reload().await.map_err(refused)
    }

    async fn link_unit_files(
        &self,
        files: Vec<String>,
        _runtime: bool,
        _force: bool,
    ) -> fdo::Result<FileChanges> {
        for file in files {
            let file = Path::new(&file);
            self.fake.link(file).await.map_err(refused)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.world.names.lock().unwrap().insert(name);
        }
        Ok(Vec::new())
    }

    async fn enable_unit_files(
        &self,
        files: Vec<String>,
        _runtime: bool,
        _force: bool,
    ) -> fdo::Result<(bool, FileChanges)> {
        for file in files {
            self.fake.enable(&file).await.map_err(refused)?;
        }
        Ok((true, Vec::new()))
    }

    async fn disable_unit_files(&self, files: Vec<String>, _runtime: bool) -> fdo::Result<FileChanges> {
        for file in files {
            self.fake.disable(&file).await.map_err(refused)?;
        }
        Ok(Vec::new())
    }

    async fn start_unit(&self, name: String, _mode: String) -> fdo::Result<OwnedObjectPath> {
        self.fake.start(&name).await.map_err(refused)?;
        Ok(OwnedObjectPath::try_from(JOB).unwrap())
    }

    async fn stop_unit(&self, name: String, _mode: String) -> fdo::Result<OwnedObjectPath> {
        self.fake.stop(&name).await.map_err(refused)?;
        Ok(OwnedObjectPath::try_from(JOB).unwrap())
    }

    async fn reset_failed_unit(&self, name: String) -> fdo::Result<()> {
        self.fake.reset_failed(&name).await.map_err(refused)
    }

    async fn list_units(&self) -> fdo::Result<Vec<Row>> {
        let names: Vec<String> = self.world.names.lock().unwrap().iter().cloned().collect();
        let rows = self.rows(&names).await?;
        // Those that do nothing are not in memory.
        Ok(rows.into_iter().filter(|row| row.3 != "inactive").collect())
    }

    async fn list_units_by_names(&self, names: Vec<String>) -> fdo::Result<Vec<Row>> {
        self.rows(&names).await
    }
}

fn refused(err: Error) -> fdo::Error {
    fdo::Error::Failed(err.to_string())
}

fn row(name: &str, status: &Status) -> Row {
    let Status { load, active, sub, job } = status.clone();
    let path = || OwnedObjectPath::try_from(UNIT).unwrap();
    let name = name.to_owned();
    (name, "A unit".to_owned(), load, active, sub, String::new(), path(), 1, job.unwrap_or_default(), path())
}
