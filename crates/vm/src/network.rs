//! A private network: machines are on it, and neither the host nor a server of addresses.

use std::path::{Path, PathBuf};

use crate::switch::Switch;

/// A network that runs. Its cables are pulled when this value goes.
#[derive(Debug)]
pub struct Network {
    dir: PathBuf,
    _switch: Switch,
}

impl Network {
    /// Starts a network in an empty folder.
    ///
    /// # Errors
    /// When the socket cannot be made there, as where one is already.
    pub fn start(dir: PathBuf) -> std::io::Result<Self> {
        let switch = Switch::in_dir(&dir)?;
        Ok(Self { dir, _switch: switch })
    }

    /// Returns the folder in which machines find it: [`Binds::net`](crate::Binds).
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::connect_in;
    use crate::machine::SWITCH_SOCKET;

    #[test]
    fn a_folder_has_one_network() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::start(dir.path().to_owned()).unwrap();
        connect_in(network.dir(), SWITCH_SOCKET).unwrap();
        assert_eq!(Network::start(dir.path().to_owned()).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }
}
