//! The folder of the cluster: what is where in it, and who is using it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::config;
use crate::command::run::runs;
use crate::ctx::Ctx;
use crate::durable;

/// Between two looks at whether the folder is free.
const LOOK: Duration = Duration::from_millis(100);
const LOCK: &str = "lock";

/// The folder.
#[derive(Debug, Clone)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// Returns the one of this checkout, whether it exists or not.
    pub fn new(ctx: &Ctx) -> Self {
        Self { dir: runs(ctx).join("cluster") }
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What `up` wants.
    pub fn plan(&self) -> PathBuf {
        self.dir.join("plan.json")
    }

    /// What the supervisor says of what runs.
    pub fn state(&self) -> PathBuf {
        self.dir.join("cluster.json")
    }

    /// The supervisor's words.
    pub fn supervisor_log(&self) -> PathBuf {
        self.dir.join("supervisor.log")
    }

    /// Requests to the update server.
    pub fn updates_log(&self) -> PathBuf {
        self.dir.join("updates.log")
    }

    /// What the update server serves.
    pub fn updates(&self) -> PathBuf {
        self.dir.join("updates")
    }

    /// The image behind all disks.
    pub fn base(&self) -> PathBuf {
        self.dir.join("base.raw")
    }

    /// The user's cloud-config, as it was when the cluster was started.
    pub fn user_data(&self) -> PathBuf {
        self.dir.join("user-data")
    }

    /// The image's etcd and what it is linked with.
    pub fn programs(&self) -> PathBuf {
        self.dir.join("programs")
    }

    /// Folder of a machine.
    pub fn machine(&self, number: u8) -> PathBuf {
        self.dir.join(config::name(number))
    }

    /// A folder in this one, new and empty.
    pub fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join(name);
        durable::remove_if_there(&dir)?;
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(dir)
    }

    /// Takes the folder as long as the file or a duplicate of it is open; `None` if somebody else has it.
    pub fn lock(&self) -> anyhow::Result<Option<File>> {
        fs::create_dir_all(&self.dir).with_context(|| format!("creating {}", self.dir.display()))?;
        let path = self.dir.join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("creating {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(err)) => Err(err).with_context(|| format!("locking {}", path.display())),
        }
    }

    /// Takes the folder as soon as it is free; `None` if it is not within `patience`.
    pub fn lock_within(&self, patience: Duration) -> anyhow::Result<Option<File>> {
        let end = Instant::now() + patience;
        loop {
            let lock = self.lock()?;
            if lock.is_some() || end <= Instant::now() {
                return Ok(lock);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Fails if nobody uses the folder: nothing runs then.
    pub fn ensure_used(&self) -> anyhow::Result<()> {
        // Reading may not make the folder.
        if !self.dir.join(LOCK).exists() || self.lock()?.is_some() {
            bail!("no cluster is running: start one with `cargo xtask cluster up 3`");
        }
        Ok(())
    }

    /// Removes what an earlier cluster left, its logs too. The caller holds the lock.
    pub fn empty(&self) -> anyhow::Result<()> {
        for (name, path) in crate::hash::sorted_dir(&self.dir)? {
            if name != LOCK {
                durable::remove_if_there(&path)?;
            }
        }
        Ok(())
    }

    /// Removes all but the logs. The caller holds the lock, and nothing runs any more.
    pub fn sweep(&self) -> anyhow::Result<()> {
        sweep(&self.dir, &self.dir.join(LOCK))
            .map(drop)
            .with_context(|| format!("removing what is in {}", self.dir.display()))
    }
}

/// Removes all in a folder but logs and the lock, and says whether anything was left.
fn sweep(dir: &Path, lock: &Path) -> io::Result<bool> {
    let mut is_left = false;
    for entry in fs::read_dir(dir)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            if sweep(&path, lock)? {
                is_left = true;
            } else {
                fs::remove_dir(&path)?;
            }
        } else if path == lock || path.extension().is_some_and(|end| end == "log") {
            is_left = true;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(is_left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &tempfile::TempDir) -> Place {
        Place { dir: dir.path().join("cluster") }
    }

    #[test]
    fn one_at_a_time_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(&dir);
        let refused = format!("{:#}", place.ensure_used().unwrap_err());
        assert_eq!(refused, "no cluster is running: start one with `cargo xtask cluster up 3`");
        assert!(!place.dir().exists(), "asking makes no folder");
        let lock = place.lock().unwrap().unwrap();
        assert!(place.lock().unwrap().is_none());
        place.ensure_used().unwrap();
        // As the supervisor has it when `up` has ended.
        let handed = lock.try_clone().unwrap();
        drop(lock);
        assert!(place.lock_within(Duration::from_millis(1)).unwrap().is_none());
        drop(handed);
        assert!(place.lock_within(Duration::from_secs(60)).unwrap().is_some());
        assert!(place.ensure_used().is_err());
    }

    #[test]
    fn logs_outlive_a_cluster_until_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(&dir);
        let _lock = place.lock().unwrap().unwrap();
        for path in
            ["plan.json", "supervisor.log", "base.raw", "m1/console.log", "m1/disk", "m1/lock", "net/s"]
        {
            let path = place.dir().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        place.sweep().unwrap();
        assert_eq!(files(place.dir()), ["lock", "m1", "m1/console.log", "supervisor.log"]);
        place.empty().unwrap();
        assert_eq!(files(place.dir()), ["lock"]);
    }

    fn files(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for (name, path) in crate::hash::sorted_dir(dir).unwrap() {
            let inner = if path.is_dir() { files(&path) } else { Vec::new() };
            found.push(name.clone());
            found.extend(inner.into_iter().map(|inner| format!("{name}/{inner}")));
        }
        found
    }
}
