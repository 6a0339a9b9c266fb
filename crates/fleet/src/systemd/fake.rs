//! A service manager in memory, for tests: units with files that start, fail, take long, refuse.
//!
//! It keeps the rules that a mistake would break: a file is known only when it is linked and read again, a unit that
//! is bound to another one ends with it, and each request is remembered.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::{Error, Manager, Status};

/// What becomes of a unit, where it is not simply that it runs until it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It runs, or finishes if it is `Type=oneshot`.
    Normal,
    /// Its process fails at once.
    Fails,
    /// It starts until [`Fake::finish`].
    StartsSlowly,
    /// Its stop takes until [`Fake::finish`].
    StopsSlowly,
    /// A start is refused.
    RefusesToStart,
    /// A stop is refused.
    RefusesToStop,
    /// `[Install]` cannot be done.
    RefusesToEnable,
}

/// A service manager in memory.
#[derive(Debug)]
pub struct Fake {
    dropins: PathBuf,
    inner: Mutex<Inner>,
    changes: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    is_away: Option<String>,
    links: BTreeMap<String, PathBuf>,
    units: BTreeMap<String, Unit>,
    behaviours: BTreeMap<String, Behaviour>,
    log: Vec<String>,
}

/// A unit that is known: its file was read.
#[derive(Debug, Clone, Default)]
struct Unit {
    text: String,
    binds_to: Vec<String>,
    active: &'static str,
    sub: &'static str,
    job: Option<&'static str>,
}

impl Fake {
    /// One that knows no unit and looks for drop-ins below `dropins`.
    pub fn new(dropins: &Path) -> Self {
        Self { dropins: dropins.to_owned(), inner: Mutex::default(), changes: Notify::new() }
    }

    /// Makes a unit known that the system has.
    pub fn install(&self, unit: &str, text: &str) {
        self.inner().units.insert(unit.to_owned(), Unit::read(text.to_owned(), Vec::new()));
    }

    /// Says what becomes of a unit.
    pub fn behave(&self, unit: &str, behaviour: Behaviour) {
        self.inner().behaviours.insert(unit.to_owned(), behaviour);
    }

    /// Lets every request fail, for this reason, until [`Fake::come_back`].
    pub fn go_away(&self, reason: &str) {
        self.inner().is_away = Some(reason.to_owned());
        self.changes.notify_one();
    }

    /// Ends that.
    pub fn come_back(&self) {
        self.inner().is_away = None;
        self.changes.notify_one();
    }

    /// Ends what is under way: a start is done, a stop too, and a unit that runs ends, with all that are bound to it.
    pub fn finish(&self, unit: &str) {
        let mut inner = self.inner();
        let is_starting = inner.units.get(unit).is_some_and(|unit| unit.job == Some("start"));
        if is_starting {
            inner.set(unit, "active", "running");
        } else {
            inner.end(unit, "inactive", "dead");
        }
        self.changes.notify_one();
    }

    /// Lets a unit's process fail.
    pub fn fail(&self, unit: &str) {
        self.inner().end(unit, "failed", "failed");
        self.changes.notify_one();
    }

    /// What a boot does: all that runs or was linked is gone.
    pub fn boot(&self) {
        let mut inner = self.inner();
        let Inner { links, units, .. } = &mut *inner;
        units.retain(|name, _| !links.contains_key(name));
        for unit in units.values_mut() {
            (unit.active, unit.sub, unit.job) = ("inactive", "dead", None);
        }
        links.clear();
        self.changes.notify_one();
    }

    /// Returns ACTIVE of a unit.
    pub fn active(&self, unit: &str) -> String {
        self.inner().units.get(unit).map_or("inactive", |unit| unit.active).to_owned()
    }

    /// Returns all requests that were granted, such as `start a.service`, except questions.
    pub fn log(&self) -> Vec<String> {
        self.inner().log.clone()
    }

    /// Returns how often a request was granted.
    pub fn count(&self, request: &str) -> usize {
        self.inner().log.iter().filter(|did| *did == request).count()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds the units")
    }

    /// Does `work` unless the manager is away or the unit refuses.
    fn ask(
        &self,
        doing: &str,
        did: &str,
        unit: &str,
        refusal: Option<Behaviour>,
        work: impl FnOnce(&mut Inner) -> Result<(), &'static str>,
    ) -> Result<(), Error> {
        let mut inner = self.inner();
        inner.check_here(doing)?;
        let doing = format!("{doing} {unit}").trim_end().to_owned();
        let refused = |name: &str, message: &str| Error::Refused {
            doing: doing.clone(),
            name: name.to_owned(),
            message: message.to_owned(),
        };
        if refusal.is_some() && inner.behaviours.get(unit).copied() == refusal {
            return Err(refused("org.freedesktop.systemd1.OperationRefused", "as the test wants it"));
        }
        work(&mut inner).map_err(|name| refused(name, unit))?;
        inner.log.push(format!("{did} {unit}").trim_end().to_owned());
        self.changes.notify_one();
        Ok(())
    }

    /// Units that a drop-in of `unit` binds it to.
    fn bound_to(&self, unit: &str) -> Vec<String> {
        let Ok(files) = fs::read_dir(self.dropins.join(format!("{unit}.d"))) else { return Vec::new() };
        let texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
        let bound = texts.flat_map(|text| {
            let found = text.lines().filter_map(|line| line.strip_prefix("BindsTo=").map(str::to_owned));
            found.collect::<Vec<_>>()
        });
        bound.collect()
    }
}

const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

impl Inner {
    fn check_here(&self, doing: &str) -> Result<(), Error> {
        self.is_away.as_ref().map_or(Ok(()), |reason| {
            Err(Error::Away { doing: doing.to_owned(), bus: "memory".to_owned(), reason: reason.clone() })
        })
    }

    fn behaviour(&self, unit: &str) -> Behaviour {
        self.behaviours.get(unit).copied().unwrap_or(Behaviour::Normal)
    }

    fn set(&mut self, unit: &str, active: &'static str, sub: &'static str) {
        if let Some(unit) = self.units.get_mut(unit) {
            (unit.active, unit.sub, unit.job) = (active, sub, None);
        }
    }

    /// Ends a unit and all that are bound to it.
    fn end(&mut self, unit: &str, active: &'static str, sub: &'static str) {
        self.set(unit, active, sub);
        let is_bound = |(name, it): (&String, &Unit)| {
            (it.binds_to.iter().any(|to| to == unit) && it.active != "inactive").then(|| name.clone())
        };
        let bound: Vec<String> = self.units.iter().filter_map(is_bound).collect();
        for name in bound {
            self.end(&name, "inactive", "dead");
        }
    }

    fn start(&mut self, name: &str) -> Result<(), &'static str> {
        let behaviour = self.behaviour(name);
        let unit = self.units.get(name).ok_or(NO_SUCH_UNIT)?.clone();
        for needed in &unit.binds_to {
            if self.units.get(needed).is_none_or(|needed| needed.active != "active") {
                self.start(needed)?;
            }
        }
        let is_oneshot = unit.text.lines().any(|line| line.trim() == "Type=oneshot");
        let unit = self.units.get_mut(name).ok_or(NO_SUCH_UNIT)?;
        if matches!(unit.active, "active" | "activating") {
            return Ok(());
        }
        (unit.active, unit.sub, unit.job) = match behaviour {
            Behaviour::Fails => ("failed", "failed", None),
            Behaviour::StartsSlowly => ("activating", "start", Some("start")),
            _ if is_oneshot => ("inactive", "dead", None),
            _ => ("active", "running", None),
        };
        Ok(())
    }

    fn stop(&mut self, name: &str) -> Result<(), &'static str> {
        let behaviour = self.behaviour(name);
        let unit = self.units.get_mut(name).ok_or(NO_SUCH_UNIT)?;
        if behaviour == Behaviour::StopsSlowly && unit.active == "active" {
            (unit.active, unit.sub, unit.job) = ("deactivating", "stop-sigterm", Some("stop"));
        } else {
            self.end(name, "inactive", "dead");
        }
        Ok(())
    }
}

impl Unit {
    fn read(text: String, binds_to: Vec<String>) -> Self {
        Self { text, binds_to, active: "inactive", sub: "dead", job: None }
    }
}

impl Manager for Fake {
    async fn link(&self, file: &Path) -> Result<(), Error> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.ask("linking", "link", &name, None, |inner| {
            if !file.is_file() {
                return Err("org.freedesktop.DBus.Error.FileNotFound");
            }
            inner.links.insert(name.clone(), file.to_owned());
            Ok(())
        })
    }

    async fn enable(&self, unit: &str) -> Result<(), Error> {
        self.ask("enabling", "enable", unit, Some(Behaviour::RefusesToEnable), |inner| {
            inner.links.get(unit).map(drop).ok_or("org.freedesktop.DBus.Error.FileNotFound")
        })
    }

    async fn disable(&self, unit: &str) -> Result<(), Error> {
        self.ask("disabling", "disable", unit, None, |inner| {
            inner.links.remove(unit);
            Ok(())
        })
    }

    async fn reload(&self) -> Result<(), Error> {
        let read: Vec<(String, String, Vec<String>)> = {
            let links = self.inner().links.clone();
            let text = |(name, path): (String, PathBuf)| {
                let bound = self.bound_to(&name);
                Some((name, fs::read_to_string(path).ok()?, bound))
            };
            links.into_iter().filter_map(text).collect()
        };
        self.ask("reloading", "reload", "", None, |inner| {
            for (name, text, binds_to) in read {
                let unit = inner.units.entry(name).or_insert_with(|| Unit::read(String::new(), Vec::new()));
                (unit.text, unit.binds_to) = (text, binds_to);
            }
            Ok(())
        })
    }

    async fn start(&self, unit: &str) -> Result<(), Error> {
        self.ask("starting", "start", unit, Some(Behaviour::RefusesToStart), |inner| inner.start(unit))
    }

    async fn stop(&self, unit: &str) -> Result<(), Error> {
        self.ask("stopping", "stop", unit, Some(Behaviour::RefusesToStop), |inner| inner.stop(unit))
    }

    async fn reset_failed(&self, unit: &str) -> Result<(), Error> {
        self.ask("resetting", "reset-failed", unit, None, |inner| {
            let it = inner.units.get_mut(unit).ok_or(NO_SUCH_UNIT)?;
            if it.active == "failed" {
                (it.active, it.sub) = ("inactive", "dead");
            }
            Ok(())
        })
    }

    async fn states(&self, units: &[String]) -> Result<BTreeMap<String, Status>, Error> {
        let inner = self.inner();
        inner.check_here("listing units")?;
        let status = |name: &String| {
            let unknown = Unit::read(String::new(), Vec::new());
            let (load, unit) = inner.units.get(name).map_or(("not-found", &unknown), |unit| ("loaded", unit));
            Status {
                load: load.to_owned(),
                active: unit.active.to_owned(),
                sub: unit.sub.to_owned(),
                job: unit.job.map(str::to_owned),
            }
        };
        Ok(units.iter().map(|name| (name.clone(), status(name))).collect())
    }

    async fn changed(&self) {
        self.changes.notified().await;
    }
}
