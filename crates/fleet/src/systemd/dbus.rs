//! systemd over D-Bus: each request of [`Manager`] is one call, and a connection that broke is made again.

mod connection;
mod signals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Notify};
use zbus::{OwnedObjectPath, Type};

use super::{Error, Manager, Status};
use connection::Live;

/// systemd's name on the bus.
const SERVICE: &str = "org.freedesktop.systemd1";
/// Its manager's object.
const OBJECT: &str = "/org/freedesktop/systemd1";
/// Its interface.
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
/// How long a request may take that only queues or tells.
const SHORT: Duration = Duration::from_secs(25);
/// How long one may take that reads all unit files.
const LONG: Duration = Duration::from_secs(90);
/// What a start or stop does with a job that waits: it takes its place.
const MODE: &str = "replace";
/// Argument `runtime`: links last until the next boot, after which fleet makes those that it then wants.
const UNTIL_BOOT: bool = true;
/// Argument `force`: a link that is in the way is replaced.
const REPLACING: bool = true;

/// Where systemd is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// The system's manager, on the system's bus.
    System,
    /// A user's manager, on the user's bus (setting `systemd_user`).
    User,
    /// A socket that a manager itself serves, without a bus in between, as the tests' does. systemd's own,
    /// `/run/systemd/private`, is none of those: its messages name a sender that D-Bus does not allow.
    Peer(PathBuf),
}

/// systemd over D-Bus.
#[derive(Debug)]
pub struct Dbus {
    bus: Bus,
    live: Mutex<Option<Live>>,
    changes: Arc<Notify>,
    /// LOAD of units that were not in the manager's memory, since it has read its files.
    loads: std::sync::Mutex<BTreeMap<String, String>>,
}

/// A row of a listing: name, description, load, active, sub, followed unit, path, job's number, kind, path.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);
/// What enabling and the like did: kind of change, file, where it leads.
type FileChanges = Vec<(String, String, String)>;

impl Dbus {
    /// One that connects when it is first asked.
    pub fn new(bus: Bus) -> Self {
        Self {
            bus,
            live: Mutex::new(None),
            changes: Arc::new(Notify::new()),
            loads: std::sync::Mutex::default(),
        }
    }

    /// Returns LOAD of units that are not in the manager's memory.
    ///
    /// To say it the manager loads them for a moment, which it announces as a change of each. So it is asked once, or
    /// every look would cause the next.
    async fn loads(&self, units: Vec<String>) -> Result<Vec<(String, String)>, Error> {
        let mut all = self.known_loads().clone();
        let unknown: Vec<&String> = units.iter().filter(|unit| !all.contains_key(*unit)).collect();
        if !unknown.is_empty() {
            let doing = "listing units by names".to_owned();
            let rows: Vec<Row> = self.call(doing, SHORT, "ListUnitsByNames", &(&unknown,)).await?;
            let found: Vec<(String, String)> = rows.into_iter().map(|row| (row.0, row.2)).collect();
            self.known_loads().extend(found.iter().cloned());
            all.extend(found);
        }
        Ok(units.into_iter().filter_map(|unit| Some((unit.clone(), all.remove(&unit)?))).collect())
    }

    fn known_loads(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.loads.lock().expect("nothing panics while it holds what is loaded")
    }

    async fn call<B, R>(&self, doing: String, within: Duration, method: &str, body: &B) -> Result<R, Error>
    where
        B: Serialize + Type + Sync,
        R: DeserializeOwned + Type,
    {
        let away = |doing: String, reason: String| Error::Away { doing, bus: self.bus.to_string(), reason };
        let mut live = self.live.lock().await;
        let connection = match live.as_ref().filter(|live| !live.is_closed()) {
            Some(live) => live.connection(),
            None => {
                let made = tokio::time::timeout(SHORT, Live::connect(&self.bus, &self.changes)).await;
                let made = made.map_err(|_| away(doing.clone(), "connecting took too long".to_owned()))?;
                let made = made.map_err(|err| away(doing.clone(), err.to_string()))?;
                live.insert(made).connection()
            }
        };
        drop(live);
        let destination = connection.is_bus().then_some(SERVICE);
        let call = connection.call_method(destination, OBJECT, Some(INTERFACE), method, body);
        let Ok(answer) = tokio::time::timeout(within, call).await else {
            // A new connection is tried next: this one may be to a manager that is no more.
            self.live.lock().await.take();
            return Err(Error::Timeout { doing, within });
        };
        let answer = answer.map_err(|err| match connection::refusal(&err) {
            Some((name, message)) => Error::Refused { doing: doing.clone(), name, message },
            None => away(doing.clone(), err.to_string()),
        })?;
        let body = answer.body();
        body.deserialize().map_err(|err| Error::Answer { doing, reason: err.to_string() })
    }
}

impl Manager for Dbus {
    async fn link(&self, file: &Path) -> Result<(), Error> {
        let Some(path) = file.to_str() else {
            let reason = "its path is not text".to_owned();
            return Err(Error::Answer { doing: format!("linking {}", file.display()), reason });
        };
        let body = (vec![path], UNTIL_BOOT, REPLACING);
        let _: FileChanges = self.call(format!("linking {path}"), SHORT, "LinkUnitFiles", &body).await?;
        Ok(())
    }

    async fn enable(&self, unit: &str) -> Result<(), Error> {
        let body = (vec![unit], UNTIL_BOOT, REPLACING);
        let _: (bool, FileChanges) =
            self.call(format!("enabling {unit}"), SHORT, "EnableUnitFiles", &body).await?;
        Ok(())
    }

    async fn disable(&self, unit: &str) -> Result<(), Error> {
        let body = (vec![unit], UNTIL_BOOT);
        let _: FileChanges = self.call(format!("disabling {unit}"), SHORT, "DisableUnitFiles", &body).await?;
        Ok(())
    }

    async fn reload(&self) -> Result<(), Error> {
        self.known_loads().clear();
        self.call::<_, ()>("reloading units".to_owned(), LONG, "Reload", &()).await?;
        // Some may have been asked about in the meantime.
        self.known_loads().clear();
        Ok(())
    }

    async fn start(&self, unit: &str) -> Result<(), Error> {
        let _: OwnedObjectPath =
            self.call(format!("starting {unit}"), SHORT, "StartUnit", &(unit, MODE)).await?;
        Ok(())
    }

    async fn stop(&self, unit: &str) -> Result<(), Error> {
        let _: OwnedObjectPath =
            self.call(format!("stopping {unit}"), SHORT, "StopUnit", &(unit, MODE)).await?;
        Ok(())
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        self.call(format!("resetting {unit}"), SHORT, "ResetFailedUnit", &(unit,)).await
    }

    async fn states(&self, units: &[String]) -> Result<BTreeMap<String, Status>, Error> {
        // All that are in the manager's memory: it loads none for that.
        let rows: Vec<Row> = self.call("listing units".to_owned(), SHORT, "ListUnits", &()).await?;
        let status = |(name, _, load, active, sub, _, _, _, kind, _): Row| {
            let job = Some(kind).filter(|kind| !kind.is_empty());
            (name, Status { load, active, sub, job })
        };
        let mut states: BTreeMap<String, Status> =
            rows.into_iter().filter(|row| units.contains(&row.0)).map(status).collect();
        let others = units.iter().filter(|unit| !states.contains_key(*unit)).cloned().collect();
        for (unit, load) in self.loads(others).await? {
            // What is not in memory does not run, has no job, and has not failed.
            let (active, sub) = ("inactive".to_owned(), "dead".to_owned());
            states.insert(unit, Status { load, active, sub, job: None });
        }
        Ok(states)
    }

    async fn changed(&self) {
        self.changes.notified().await;
    }
}

impl std::fmt::Display for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("the system bus"),
            Self::User => f.write_str("the user's bus"),
            Self::Peer(path) => write!(f, "{}", path.display()),
        }
    }
}
