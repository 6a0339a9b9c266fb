//! Where user data and metadata come from, a file each below this one.
//!
//! To add a source, write a file here with a `SOURCE`, and put it into [`SOURCES`], whose order counts.
//! Its `find` looks at files of the machine alone and says where to ask, if this machine has that source; its `read`
//! asks there. A source on the network is found by what the firmware or the boot loader says, never by asking
//! around: whoever is on the same wire must not be able to hand in a script.
//! Its test makes the folder or the server that it reads; `docs/operating/cloud-config.md` has its line.

pub mod cmdline;
pub mod config_drive;
pub mod credentials;
pub mod digitalocean;
mod drive;
pub mod ec2;
mod file;
pub mod fw_cfg;
pub mod google;
pub mod nocloud;
pub mod oem;
pub mod openstack;
mod poll;
mod smbios;

pub use file::read_file;
pub use poll::{first, once};

use std::cell::OnceCell;
use std::path::Path;
use std::time::Instant;

use agent_support::host::Host;
use anyhow::Context as _;
use http_get::{Ask, Error, Getter, Limits, Url};

use crate::import::NAME;
use crate::metadata::Metadata;

/// All sources of user data, in the order in which they are looked for; exactly one is read.
pub static SOURCES: [&Source; 9] = [
    &credentials::SOURCE,
    &fw_cfg::SOURCE,
    &config_drive::SOURCE,
    &nocloud::SOURCE,
    &cmdline::SOURCE,
    &ec2::SOURCE,
    &openstack::SOURCE,
    &google::SOURCE,
    &digitalocean::SOURCE,
];

/// What a source gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// User data; empty if there is none.
    pub user_data: Vec<u8>,
    /// Metadata.
    pub metadata: Metadata,
}

/// What a source needs before it can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing but the machine: it never waits for the network.
    Local,
    /// The network.
    Network,
}

/// A source.
#[derive(Debug)]
pub struct Source {
    /// Its name in messages and in the status.
    pub name: &'static str,
    /// What it needs.
    pub reach: Reach,
    /// Says where to ask, if this machine has the source; asks nobody.
    pub find: fn(&Host) -> anyhow::Result<Option<String>>,
    /// Asks there: at a path of the machine, or a URL.
    pub read: fn(&Asker, &str) -> anyhow::Result<Given>,
}

/// A source and where to ask.
#[derive(Debug, Clone)]
pub struct Found {
    /// The source.
    pub source: &'static Source,
    /// A path of the machine, or a URL.
    pub at: String,
}

/// Finds the first source that a machine has; what went wrong with earlier ones is said beside.
pub fn find(host: &Host) -> (Option<Found>, Vec<String>) {
    let mut wrong = Vec::new();
    for source in SOURCES {
        match (source.find)(host) {
            Ok(Some(at)) => return (Some(Found { source, at }), wrong),
            Ok(None) => {}
            Err(err) => wrong.push(format!("looking for {}: {err:#}", source.name)),
        }
    }
    (None, wrong)
}

/// As [`find`], early in a start: where a drive may be the source and nothing before it is, its disk may still come.
pub fn find_settled(host: &Host) -> (Option<Found>, Vec<String>) {
    let first = find(host);
    let is_local = first.0.as_ref().is_some_and(|found| found.source.reach == Reach::Local);
    // If that cannot be known, the look that counts says so.
    if is_local || !drive::count(host).unwrap_or(false) || !drive::may_come(host) {
        return first;
    }
    let late = drive::settle(host);
    let (found, mut wrong) = find(host);
    wrong.extend(late.err().map(|err| format!("{err:#}")));
    (found, wrong)
}

/// Asks for one machine, until a given time.
#[derive(Debug)]
pub struct Asker {
    /// The machine.
    pub host: Host,
    /// Made when it is first needed: what is local must be had also where the trusted authorities cannot be read.
    getter: OnceCell<Getter>,
    end: Instant,
}

impl Asker {
    /// Asks for the machine at `root`.
    pub fn new(root: &Path, end: Instant) -> Self {
        Self { host: Host::new(root.to_owned()), getter: OnceCell::new(), end }
    }

    fn getter(&self) -> anyhow::Result<&Getter> {
        if let Some(getter) = self.getter.get() {
            return Ok(getter);
        }
        let made = Getter::new(&self.host, NAME, Limits::default())?;
        Ok(self.getter.get_or_init(|| made))
    }

    /// Fetches a document.
    fn get(&self, url: &str, headers: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
        Ok(self.getter()?.get(&Url::parse(url)?, headers, self.end)?)
    }

    /// Fetches a document; one that is not there is none.
    fn get_any(&self, url: &str, headers: &[(&str, &str)]) -> anyhow::Result<Option<Vec<u8>>> {
        match self.getter()?.get(&Url::parse(url)?, headers, self.end) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// Fetches a line of text; one that is not there is none.
    fn get_text(&self, url: &str, headers: &[(&str, &str)]) -> anyhow::Result<Option<String>> {
        let Some(bytes) = self.get_any(url, headers)? else { return Ok(None) };
        let text = String::from_utf8(bytes).with_context(|| format!("{url} is no text"))?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    /// Asks any question.
    fn ask(&self, ask: &Ask<'_>) -> anyhow::Result<Result<Vec<u8>, Error>> {
        Ok(self.getter()?.ask(ask, self.end))
    }
}

/// Returns the parsed value of a text; what does not parse is not known.
fn known<T: std::str::FromStr>(text: Option<String>) -> Option<T> {
    text.and_then(|text| text.parse().ok())
}

/// Joins the address of a service, with or without a slash at its end, and a path.
fn below(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod testing {
    //! What tests of sources share.

    use std::time::Duration;

    use super::*;

    /// Asks a server of the test for a machine without files.
    pub fn asker() -> Asker {
        let dir = tempfile::tempdir().unwrap();
        Asker::new(dir.path(), Instant::now() + Duration::from_secs(5))
    }

    /// A public key.
    pub fn key(n: char) -> String {
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA{n}AA")
    }
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    fn name(tree: &Tree) -> Option<&'static str> {
        let (found, wrong) = find(&tree.host);
        assert_eq!(wrong, Vec::<String>::new());
        found.map(|found| found.source.name)
    }

    #[test]
    fn a_nearer_source_comes_before_a_farther_one() {
        let tree = Tree::new();
        tree.file("/proc/cmdline", "quiet\n").file("/proc/cpuinfo", "flags : fpu hypervisor\n");
        assert_eq!(name(&tree), None);
        tree.file("/sys/class/dmi/id/sys_vendor", "DigitalOcean\n");
        assert_eq!(name(&tree), Some("digitalocean"));
        tree.file("/proc/cmdline", "quiet cloud-config-url=http://u/\n");
        assert_eq!(name(&tree), Some("cmdline"));
        tree.file("/dev/disk/by-label/cidata", "");
        assert_eq!(name(&tree), Some("nocloud"));
        tree.file("/dev/disk/by-label/config-2", "");
        assert_eq!(name(&tree), Some("config-drive"));
        tree.file("/sys/firmware/qemu_fw_cfg/by_name/opt/slipway/cloud-config/raw", "");
        assert_eq!(name(&tree), Some("fw-cfg"));
        tree.file("/run/credentials/@system/slipway.cloud-config", "");
        assert_eq!(name(&tree), Some("credentials"));
    }

    #[test]
    fn without_a_cloud_in_the_firmware_no_metadata_service_is_asked() {
        let tree = Tree::new();
        tree.file("/proc/cmdline", "quiet\n").file("/sys/class/dmi/id/sys_vendor", "Lenovo\n");
        assert_eq!(name(&tree), None);
    }
}
