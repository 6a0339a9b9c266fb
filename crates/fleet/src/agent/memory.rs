//! What the agent remembers over its own restarts, in `/run/fleet/agent.json`: gone with the next boot, as are the
//! units that it is about.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use etcd_rpc::LeaseId;
use fleet_core::agent::Memory;
use serde::{Deserialize, Serialize};

use crate::systemd::{FileError, read_file, write_file};

/// Why nothing is remembered or kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is to be kept has no form as JSON.
    #[error("keeping what the agent remembers: {0}")]
    Form(#[from] serde_json::Error),
}

/// What is in the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Content {
    /// The boot that it is about: a folder that outlives boots must not make anybody believe that units still run.
    boot: String,
    /// The machine's lease.
    lease: Option<i64>,
    /// What `fleet-core` wants to be reminded of.
    plan: Memory,
    /// The lease under which that was planned.
    planned: Option<i64>,
}

/// The file and what is in it.
#[derive(Debug)]
pub(super) struct MemoryFile {
    path: PathBuf,
    content: Mutex<Content>,
}

impl MemoryFile {
    /// Reads the file at `path`. What another boot wrote counts for nothing, and neither does what cannot be
    /// understood: then all is looked at anew, which costs a start that the service manager ignores.
    pub(super) fn open(path: PathBuf, boot: &str) -> Result<Self, Error> {
        let content = read_file(&path)?.and_then(|text| serde_json::from_str::<Content>(&text).ok());
        let content = content.filter(|content| content.boot == boot);
        let content = content.unwrap_or_else(|| Content { boot: boot.to_owned(), ..Content::default() });
        Ok(Self { path, content: Mutex::new(content) })
    }

    /// The lease that the process before had.
    pub(super) fn lease(&self) -> Option<LeaseId> {
        self.content().lease.map(LeaseId)
    }

    /// Keeps a lease.
    pub(super) fn keep_lease(&self, lease: LeaseId) -> Result<(), Error> {
        self.change(|content| content.lease = Some(lease.0))
    }

    /// Forgets a lease that is over.
    pub(super) fn forget_lease(&self) -> Result<(), Error> {
        self.change(|content| content.lease = None)
    }

    /// What the plan remembers.
    pub(super) fn plan(&self) -> Memory {
        self.content().plan.clone()
    }

    /// Keeps what the plan remembers.
    pub(super) fn keep_plan(&self, plan: &Memory) -> Result<(), Error> {
        self.change(|content| content.plan = plan.clone())
    }

    /// Whether what the plan remembers is of the time of this lease.
    pub(super) fn was_planned_under(&self, lease: LeaseId) -> bool {
        self.content().planned == Some(lease.0)
    }

    /// Keeps what the plan remembers, as it is under a new lease.
    pub(super) fn keep_plan_under(&self, lease: LeaseId, plan: &Memory) -> Result<(), Error> {
        self.change(|content| (content.plan, content.planned) = (plan.clone(), Some(lease.0)))
    }

    /// Writes only what differs: the file is asked for at every pass.
    fn change(&self, change: impl FnOnce(&mut Content)) -> Result<(), Error> {
        let mut content = self.content();
        let mut changed = content.clone();
        change(&mut changed);
        if changed != *content {
            write_file(&self.path, &serde_json::to_string(&changed)?)?;
            *content = changed;
        }
        Ok(())
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("nothing panics while it holds the memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_remembered_within_one_boot_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet/agent.json");
        let memory = MemoryFile::open(path.clone(), "boot-1").unwrap();
        assert_eq!(memory.lease(), None);
        memory.keep_lease(LeaseId(7)).unwrap();
        assert_eq!(MemoryFile::open(path.clone(), "boot-1").unwrap().lease(), Some(LeaseId(7)));
        assert_eq!(MemoryFile::open(path, "boot-2").unwrap().lease(), None);
    }

    #[test]
    fn a_file_that_is_not_understood_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.json");
        for text in ["", "{", "[]", r#"{"boot":"boot-1","lease":"x"}"#] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(MemoryFile::open(path.clone(), "boot-1").unwrap().lease(), None, "{text}");
        }
    }

    #[test]
    fn what_did_not_change_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.json");
        let memory = MemoryFile::open(path.clone(), "boot-1").unwrap();
        memory.keep_lease(LeaseId(7)).unwrap();
        std::fs::remove_file(&path).unwrap();
        memory.keep_lease(LeaseId(7)).unwrap();
        assert!(!path.exists());
        memory.keep_lease(LeaseId(8)).unwrap();
        assert!(path.exists());
    }
}
