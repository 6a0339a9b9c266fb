//! Who this machine is, and which boot this is.

use agent_support::host::Host;
use agent_support::topology;
use jiff::Timestamp;
use slots::Version;

/// Where systemd has the machine's id.
const MACHINE_ID: &str = "/etc/machine-id";
/// Where the kernel has the boot's.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Where the kernel says when the boot began.
const STAT: &str = "/proc/stat";

/// What does not change while the machine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The machine's id.
    pub machine: String,
    /// The boot's id.
    pub boot: String,
    /// When the boot began, by the machine's clock as it goes now.
    pub booted: Timestamp,
    /// The version that runs, if it can be told.
    pub version: Option<Version>,
    /// The slot that it runs from, if it can be told.
    pub slot: Option<String>,
}

/// Why it is not known who this is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no id. The words are the original's.
    #[error("Cannot read machine-id")]
    NoMachine,
    /// The kernel does not say which boot this is.
    #[error("reading {0}: no such file, or not as the kernel writes it; mount /proc")]
    Kernel(&'static str),
}

impl Identity {
    /// Reads it.
    ///
    /// # Errors
    /// When there is no machine id, or /proc is not there.
    pub fn read(host: &Host) -> Result<Self, Error> {
        let boot = text(host, BOOT_ID).ok_or(Error::Kernel(BOOT_ID))?;
        let stat = text(host, STAT).unwrap_or_default();
        Ok(Self {
            machine: machine(host)?,
            boot,
            booted: booted(&stat).ok_or(Error::Kernel(STAT))?,
            version: agent_support::sealed::version(host).ok().and_then(|version| version.parse().ok()),
            // Where the machine is no image of ours, as in tests, there are no slots.
            slot: topology::usr_slot(host).ok().map(|slot| slot.name.to_string()),
        })
    }
}

/// Reads the machine's id alone.
///
/// # Errors
/// When there is none.
pub fn machine(host: &Host) -> Result<String, Error> {
    text(host, MACHINE_ID).filter(|id| !id.is_empty()).ok_or(Error::NoMachine)
}

fn text(host: &Host, path: &str) -> Option<String> {
    // Whatever is wrong with the file, the caller says that it cannot be read.
    host.read(path).ok().flatten().map(|text| text.trim().to_owned())
}

fn booted(stat: &str) -> Option<Timestamp> {
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Timestamp::from_second(seconds.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn a_machine_has_an_id_a_boot_and_a_version() {
        let tree = Tree::new();
        tree.file(MACHINE_ID, "m1\n")
            .file(BOOT_ID, "b1\n")
            .file(STAT, "cpu 1\nbtime 1700000000\n")
            .file("/usr/lib/os-release", "IMAGE_ID=slipway\nIMAGE_VERSION=1.2.3\n");
        let identity = Identity::read(&tree.host).unwrap();
        assert_eq!((identity.machine.as_str(), identity.boot.as_str()), ("m1", "b1"));
        assert_eq!(identity.booted.as_second(), 1_700_000_000);
        assert_eq!(identity.version.map(|version| version.to_string()).as_deref(), Some("1.2.3"));
        assert_eq!(identity.slot, None);
    }

    #[test]
    fn what_is_missing_is_named_in_the_originals_words() {
        let tree = Tree::new();
        assert_eq!(machine(&tree.host).unwrap_err().to_string(), "Cannot read machine-id");
        tree.file(MACHINE_ID, "\n");
        assert_eq!(machine(&tree.host).unwrap_err().to_string(), "Cannot read machine-id");
        tree.file(MACHINE_ID, "m1\n").file(BOOT_ID, "b1\n");
        let err = Identity::read(&tree.host).unwrap_err().to_string();
        assert!(err.starts_with("reading /proc/stat"), "{err}");
    }
}
