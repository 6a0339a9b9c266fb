//! Who this machine is: its id and its boot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fleet_core::model::MachineId;

/// Where systemd has the machine's id.
pub const MACHINE_ID: &str = "/etc/machine-id";
/// Where the kernel has the boot's.
pub const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Why it is not known who this is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("reading {}: {err}; systemd makes it at the first start", .path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        err: io::Error,
    },
    /// A file with something else.
    #[error("{} has `{text}`, not 32 hexadecimal digits: make it anew with systemd-machine-id-setup", .path.display())]
    NoId {
        /// Which one.
        path: PathBuf,
        /// What it has.
        text: String,
    },
}

/// Reads the machine's id.
///
/// # Errors
/// When there is none.
pub fn id(path: &Path) -> Result<MachineId, Error> {
    let text = read(path)?;
    let is_id = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_id { Ok(MachineId(text)) } else { Err(Error::NoId { path: path.to_owned(), text }) }
}

/// Reads the boot's id.
///
/// # Errors
/// When there is none.
pub fn boot(path: &Path) -> Result<String, Error> {
    read(path)
}

fn read(path: &Path) -> Result<String, Error> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|err| Error::Unreadable { path: path.to_owned(), err })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_id(text: &str) -> Result<MachineId, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("machine-id");
        fs::write(&path, text).unwrap();
        id(&path)
    }

    #[test]
    fn an_id_is_32_digits() {
        let text = "0123456789abcdef0123456789abcdef";
        assert_eq!(read_id(&format!("{text}\n")).unwrap(), MachineId(text.to_owned()));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "uninitialized", "0123456789ABCDEF0123456789ABCDEF", "0123"] {
            assert!(matches!(read_id(text), Err(Error::NoId { .. })), "{text:?}");
        }
        assert!(matches!(id(Path::new("/nonexistent/id")), Err(Error::Unreadable { .. })));
    }

    #[test]
    fn a_boot_has_an_id() {
        assert_eq!(boot(Path::new(BOOT_ID)).unwrap().len(), 36);
    }
}
