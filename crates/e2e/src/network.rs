//! A private network: the machines of a scenario are on it, and neither the host nor a server of addresses.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use vm::Switch;

/// A network that runs. Its cables are pulled when this value goes.
#[derive(Debug)]
pub struct Network {
    dir: PathBuf,
    _switch: Switch,
}

impl Network {
    /// Starts a network in an empty folder.
    pub fn start(dir: PathBuf) -> anyhow::Result<Self> {
        let switch = Switch::in_dir(&dir).context("starting a private network")?;
        Ok(Self { dir, _switch: switch })
    }

    /// Returns the folder in which machines find it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
