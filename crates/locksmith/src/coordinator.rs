//! `/run/update-engine/coordinator.conf`: who reboots this machine, and how far it is, as in the original. It is held
//! under an exclusive lock, so that there is only one.
//!
//! ```text
//! NAME=locksmithd
//! STRATEGY=etcd-lock
//! STATE=running
//! ```
//!
//! `STATE` is `starting`, `disabled`, `running`, `reboot-planned` or `rebooting`.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, Write as _};

use agent_support::host::Host;
use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The file.
pub const FILE: &str = "/run/update-engine/coordinator.conf";

/// The claim on the machine; it ends with the process.
#[derive(Debug)]
pub struct Coordinator {
    file: File,
    said: String,
}

impl Coordinator {
    /// Claims the machine.
    ///
    /// # Errors
    /// When another process has it, or the file cannot be written.
    pub fn claim(host: &Host) -> anyhow::Result<Self> {
        let path = host.path(FILE);
        let folder = path.parent().context("the coordinator's file has no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.with_context(|| format!("opening {FILE}"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file, said: String::new() }),
            Err(Errno::WOULDBLOCK) => {
                let other = fs::read_to_string(&path).unwrap_or_default();
                let name =
                    other.lines().find_map(|line| line.strip_prefix("NAME=")).unwrap_or("another program");
                bail!("{FILE} is locked: {name} reboots this machine already; stop it first")
            }
            Err(err) => Err(err).with_context(|| format!("locking {FILE}")),
        }
    }

    /// Says how far the machine is, if that is news.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn say(&mut self, strategy: &str, state: &str) -> anyhow::Result<()> {
        let text = format!("NAME=locksmithd\nSTRATEGY={strategy}\nSTATE={state}\n");
        if text != self.said {
            self.write(&text).with_context(|| format!("writing {FILE}"))?;
            self.said = text;
        }
        Ok(())
    }

    /// In place: another file under the name would be one that is not locked.
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn only_one_reboots_a_machine_and_says_how_far_it_is() {
        let tree = Tree::new();
        let mut first = Coordinator::claim(&tree.host).unwrap();
        first.say("etcd-lock", "reboot-planned").unwrap();
        first.say("off", "running").unwrap();
        assert_eq!(
            tree.host.read(FILE).unwrap().as_deref(),
            Some("NAME=locksmithd\nSTRATEGY=off\nSTATE=running\n")
        );
        let err = Coordinator::claim(&tree.host).unwrap_err().to_string();
        assert!(err.contains("is locked: locksmithd reboots this machine already"), "{err}");
        drop(first);
        Coordinator::claim(&tree.host).unwrap();
    }
}
