//! Fleet's units on this machine: their files and what the service manager says of them, with the rules of loading
//! and unloading.
//!
//! A unit is loaded when its file is there under its name. Whatever is killed in the middle of anything is made whole
//! by [`Units::adopt`] at the next start, or by doing the same again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleet_core::unit_file::UnitFile;

use super::dropin::{FILE as DROPIN_FILE, bound_to_guard};
use super::folder::{FileError, Folder};
use super::{Error, Manager, Status};

/// Where files are.
#[derive(Debug, Clone)]
pub struct Places {
    /// Fleet's unit files (setting `units_directory`).
    pub units: PathBuf,
    /// The service manager's folder of units until the next boot, for drop-ins.
    pub dropins: PathBuf,
}

/// Whether a unit ends with the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// It runs on whatever happens to the store.
    Free,
    /// It is stopped when the guard ends.
    Guarded {
        /// How long that may take.
        limit: Duration,
    },
}

/// A unit that has a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub content: String,
    /// What the service manager says.
    pub status: Status,
}

/// How far an unloading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unloading {
    /// The unit has stopped and its file is gone.
    Done,
    /// It is being stopped; ask again when its state has changed.
    Stops,
}

/// Why a unit is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The service manager.
    #[error(transparent)]
    Manager(#[from] Error),
}

/// The units of fleet on this machine.
#[derive(Debug)]
pub struct Units<M> {
    manager: Arc<M>,
    files: Folder,
    dropins: PathBuf,
}

impl<M: Manager> Units<M> {
    /// The units below `places`, of `manager`.
    pub fn new(manager: Arc<M>, places: Places) -> Self {
        Self { manager, files: Folder::new(places.units), dropins: places.dropins }
    }

    /// The service manager.
    pub fn manager(&self) -> &M {
        &self.manager
    }

    /// Makes whole what an earlier process left: every file is bound as `binding` says, if it does, linked and enabled again, and
    /// all are read anew. Nothing is started or stopped. Returns what is wrong with single units.
    pub async fn adopt(
        &self,
        binding: impl Fn(&str, &UnitFile) -> Option<Binding> + Send,
    ) -> Result<Vec<UnitsError>, UnitsError> {
        let mut wrong = Vec::new();
        for name in self.files.names()? {
            let Some(content) = self.files.read(&name)? else { continue };
            // A file that is not understood is not as it was written: it is soon replaced or taken away.
            let Ok(file) = UnitFile::parse(&content) else { continue };
            if let Some(binding) = binding(&name, &file) {
                self.bind(&name, &file, binding)?;
            }
            if let Err(err) = self.announce(&name, Install::of(&file)).await {
                wrong.push(err.into());
            }
        }
        self.manager.reload().await?;
        Ok(wrong)
    }

    /// Returns all units that have a file, with one request to the service manager.
    pub async fn found(&self) -> Result<BTreeMap<String, Found>, UnitsError> {
        let mut contents = BTreeMap::new();
        for name in self.files.names()? {
            // One that is not a file any more has gone since it was listed, or is a link, which is none of ours.
            if let Some(content) = self.files.read(&name)? {
                contents.insert(name, content);
            }
        }
        let names: Vec<String> = contents.keys().cloned().collect();
        let mut states = self.manager.states(&names).await?;
        let joined = contents.into_iter().filter_map(|(name, content)| {
            let status = states.remove(&name)?;
            Some((name, Found { content, status }))
        });
        Ok(joined.collect())
    }

    /// Writes a unit's file and makes it known. The service manager is to [`Manager::reload`] before a start.
    ///
    /// What fails is undone, so that the unit counts as not loaded.
    pub async fn load(&self, name: &str, file: &UnitFile, binding: Binding) -> Result<(), UnitsError> {
        self.write(name, file, binding)?;
        if let Err(err) = self.announce(name, Install::of(file)).await {
            // The reason of the failure is what the user needs; what is left over is replaced by the next try.
            let _ = self.manager.disable(name).await;
            self.delete(name)?;
            return Err(err.into());
        }
        Ok(())
    }

    /// Stops a unit, and when it has stopped disables it and deletes its file. To be called until it is done.
    ///
    /// A file that is deleted before its unit has stopped would leave processes that nobody can name.
    pub async fn unload(&self, name: &str) -> Result<Unloading, UnitsError> {
        let names = [name.to_owned()];
        let status = self.manager.states(&names).await?.remove(name);
        if let Some(status) = status.filter(|status| !status.is_stopped())
            && (status.job.as_deref() == Some("stop") || self.stop(name).await? == Stopping::Queued)
        {
            return Ok(Unloading::Stops);
        }
        self.manager.disable(name).await?;
        match self.manager.reset_failed(name).await {
            Err(err) if !err.is_no_such_unit() => return Err(err.into()),
            _ => {}
        }
        self.delete(name)?;
        Ok(Unloading::Done)
    }

    /// Queues a stop; a unit that the service manager does not know has stopped.
    pub async fn stop(&self, name: &str) -> Result<Stopping, UnitsError> {
        match self.manager.stop(name).await {
            Ok(()) => Ok(Stopping::Queued),
            Err(err) if err.is_no_such_unit() => Ok(Stopping::Unknown),
            Err(err) => Err(err.into()),
        }
    }

    /// Links a file, and enables it if `[Install]` asks for that.
    async fn announce(&self, name: &str, install: Install) -> Result<(), Error> {
        self.manager.link(&self.files.file(name)).await?;
        if install == Install::Yes {
            self.manager.enable(name).await?;
        }
        Ok(())
    }

    /// Files are small and in memory (`/run`), so that nobody waits for them.
    fn write(&self, name: &str, file: &UnitFile, binding: Binding) -> Result<(), FileError> {
        self.bind(name, file, binding)?;
        self.files.write(name, file.content())
    }

    fn bind(&self, name: &str, file: &UnitFile, binding: Binding) -> Result<(), FileError> {
        let dropins = self.dropins_of(name);
        match binding {
            Binding::Guarded { limit } => dropins.write(DROPIN_FILE, &bound_to_guard(name, file, limit)),
            Binding::Free => dropins.remove(DROPIN_FILE),
        }
    }

    /// The file last: while it is there, the rest is deleted with it by the next try.
    fn delete(&self, name: &str) -> Result<(), FileError> {
        let dropins = self.dropins_of(name);
        dropins.remove(DROPIN_FILE)?;
        dropins.remove_empty();
        self.files.remove(name)
    }

    fn dropins_of(&self, name: &str) -> Folder {
        Folder::new(self.dropins.join(format!("{name}.d")))
    }
}

/// What a request to stop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopping {
    /// The unit is being stopped.
    Queued,
    /// The service manager does not know the unit, so nothing of it runs.
    Unknown,
}

/// Whether a unit says how it is enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Install {
    No,
    Yes,
}

impl Install {
    fn of(file: &UnitFile) -> Self {
        if file.has_install() { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::{Behaviour, Fake};

    struct Lab {
        dir: tempfile::TempDir,
        fake: Arc<Fake>,
        units: Units<Fake>,
    }

    fn lab() -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { units: dir.path().join("units"), dropins: dir.path().join("system") };
        let fake = Arc::new(Fake::new(&places.dropins));
        let units = Units::new(Arc::clone(&fake), places);
        Lab { dir, fake, units }
    }

    const TEXT: &str = "[Service]\nExecStart=/bin/sleep 500\n";
    const INSTALLED: &str = "[Service]\nExecStart=/bin/sleep 500\n[Install]\nWantedBy=multi-user.target\n";

    fn free(_: &str, _: &UnitFile) -> Option<Binding> {
        Some(Binding::Free)
    }

    fn file(text: &str) -> UnitFile {
        UnitFile::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_unit_is_written_linked_started_and_unloaded_in_order() {
        let lab = lab();
        lab.units.load("a.service", &file(TEXT), Binding::Free).await.unwrap();
        lab.fake.reload().await.unwrap();
        lab.fake.start("a.service").await.unwrap();
        let found = lab.units.found().await.unwrap();
        assert_eq!(found["a.service"].content, TEXT);
        assert!(found["a.service"].status.is_active());
        assert_eq!(lab.units.unload("a.service").await.unwrap(), Unloading::Stops);
        assert_eq!(lab.units.unload("a.service").await.unwrap(), Unloading::Done);
        assert!(lab.units.found().await.unwrap().is_empty());
        let did = lab.fake.log();
        let did: Vec<&str> = did.iter().map(String::as_str).collect();
        let wanted = ["link a.service", "reload", "start a.service", "stop a.service"];
        assert_eq!(did[..4], wanted);
        assert_eq!(did[4..], ["disable a.service", "reset-failed a.service"]);
    }

    #[tokio::test]
    async fn the_file_stays_until_the_unit_has_stopped() {
        let lab = lab();
        lab.fake.behave("a.service", Behaviour::StopsSlowly);
        lab.units.load("a.service", &file(TEXT), Binding::Free).await.unwrap();
        lab.fake.reload().await.unwrap();
        lab.fake.start("a.service").await.unwrap();
        for _ in 0..3 {
            assert_eq!(lab.units.unload("a.service").await.unwrap(), Unloading::Stops);
            assert!(lab.dir.path().join("units/a.service").exists());
        }
        assert_eq!(lab.fake.count("stop a.service"), 1);
        lab.fake.finish("a.service");
        assert_eq!(lab.units.unload("a.service").await.unwrap(), Unloading::Done);
        assert!(!lab.dir.path().join("units/a.service").exists());
    }

    #[tokio::test]
    async fn a_stop_that_is_refused_deletes_nothing() {
        let lab = lab();
        lab.units.load("a.service", &file(TEXT), Binding::Free).await.unwrap();
        lab.fake.reload().await.unwrap();
        lab.fake.start("a.service").await.unwrap();
        lab.fake.behave("a.service", Behaviour::RefusesToStop);
        let text = lab.units.unload("a.service").await.unwrap_err().to_string();
        assert!(text.contains("stopping a.service"), "{text}");
        assert!(lab.dir.path().join("units/a.service").exists());
        assert_eq!(lab.fake.count("disable a.service"), 0);
    }

    #[tokio::test]
    async fn a_unit_with_install_is_enabled_and_undone_when_that_fails() {
        let lab = lab();
        lab.units.load("a.service", &file(INSTALLED), Binding::Free).await.unwrap();
        assert_eq!(lab.fake.count("enable a.service"), 1);
        lab.fake.behave("b.service", Behaviour::RefusesToEnable);
        let limit = Duration::from_secs(10);
        lab.units.load("b.service", &file(INSTALLED), Binding::Guarded { limit }).await.unwrap_err();
        assert_eq!(lab.units.found().await.unwrap().into_keys().collect::<Vec<_>>(), ["a.service"]);
        assert!(!lab.dir.path().join("system/b.service.d").exists());
        assert_eq!(lab.fake.count("disable b.service"), 1);
    }

    #[tokio::test]
    async fn a_guarded_unit_has_its_drop_in_until_it_is_unloaded() {
        let lab = lab();
        let limit = Duration::from_secs(10);
        lab.units.load("a.service", &file(TEXT), Binding::Guarded { limit }).await.unwrap();
        let dropin = lab.dir.path().join("system/a.service.d/99-fleet-guard.conf");
        assert!(std::fs::read_to_string(&dropin).unwrap().contains("BindsTo=fleet-guard.service"));
        lab.units.load("a.service", &file(TEXT), Binding::Free).await.unwrap();
        assert!(!dropin.exists());
        lab.units.load("a.service", &file(TEXT), Binding::Guarded { limit }).await.unwrap();
        assert_eq!(lab.units.unload("a.service").await.unwrap(), Unloading::Done);
        assert!(!dropin.parent().unwrap().exists());
    }

    #[tokio::test]
    async fn what_was_written_and_not_linked_is_adopted_without_a_start() {
        let lab = lab();
        lab.units.write("a.service", &file(INSTALLED), Binding::Free).unwrap();
        assert!(lab.units.adopt(free).await.unwrap().is_empty());
        assert_eq!(lab.fake.log(), ["link a.service", "enable a.service", "reload"]);
        lab.fake.start("a.service").await.unwrap();
        assert!(lab.units.adopt(free).await.unwrap().is_empty());
        assert_eq!(lab.fake.count("start a.service"), 1);
        assert!(lab.units.found().await.unwrap()["a.service"].status.is_active());
    }

    #[tokio::test]
    async fn a_unit_that_cannot_be_adopted_does_not_keep_the_others() {
        let lab = lab();
        lab.fake.behave("a.service", Behaviour::RefusesToEnable);
        lab.units.write("a.service", &file(INSTALLED), Binding::Free).unwrap();
        lab.units.write("b.service", &file(INSTALLED), Binding::Free).unwrap();
        assert_eq!(lab.units.adopt(free).await.unwrap().len(), 1);
        assert_eq!(lab.fake.count("enable b.service"), 1);
    }

    #[tokio::test]
    async fn a_unit_is_bound_anew_when_it_is_adopted() {
        let lab = lab();
        let limit = Duration::from_secs(10);
        lab.units.load("a.service", &file(TEXT), Binding::Guarded { limit }).await.unwrap();
        let shorter = Duration::from_secs(2);
        let wrong = lab.units.adopt(|_, _| Some(Binding::Guarded { limit: shorter })).await.unwrap();
        assert!(wrong.is_empty());
        let dropin = lab.dir.path().join("system/a.service.d/99-fleet-guard.conf");
        assert!(std::fs::read_to_string(&dropin).unwrap().contains("TimeoutStopSec=2000ms"));
    }
}
