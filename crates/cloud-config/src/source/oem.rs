//! The file of who made or flashed the machine: the base below whatever user data says.

use agent_support::host::Host;

use super::read_file;

/// Where it is.
pub const FILE: &str = "/oem/cloud-config.yml";

/// Reads it; `None` if there is none.
pub fn read(host: &Host) -> anyhow::Result<Option<Vec<u8>>> {
    read_file(&host.path(FILE))
}
