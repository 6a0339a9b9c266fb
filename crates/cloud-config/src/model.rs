//! What a checked configuration says, in the words of a machine: every value here can be done.

use std::collections::BTreeMap;
use std::fmt;

/// Options of a service: names and values of its environment, without the service's prefix.
pub type Options = BTreeMap<String, String>;

/// A configuration without errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Name of the host.
    pub hostname: Option<String>,
    /// Time zone.
    pub timezone: Option<String>,
    /// Whether `/etc/hosts` is to name this host.
    pub manage_etc_hosts: bool,
    /// Lines for `authorized_keys` of user `core`.
    pub ssh_authorized_keys: Vec<String>,
    /// Users, in the order of the file.
    pub users: Vec<User>,
    /// Files, in the order of the file.
    pub write_files: Vec<WriteFile>,
    /// Units, in the order of the file.
    pub units: Vec<Unit>,
    /// Settings of updates.
    pub update: Update,
    /// Who made the machine.
    pub oem: Option<Oem>,
    /// Options of etcd 3.5, by the names of its environment without `ETCD_`.
    pub etcd: Options,
    /// Options of fleet.
    pub fleet: Options,
    /// Options of locksmith.
    pub locksmith: Options,
    /// Options of flannel.
    pub flannel: Options,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Hash of the password.
    pub passwd: Option<Secret>,
    /// Comment.
    pub gecos: Option<String>,
    /// Home folder.
    pub homedir: Option<String>,
    /// Shell.
    pub shell: Option<String>,
    /// First group.
    pub primary_group: Option<String>,
    /// Other groups.
    pub groups: Vec<String>,
    /// Make no home folder.
    pub no_create_home: bool,
    /// Make no group of the user's name.
    pub no_user_group: bool,
    /// Keep out of the records of logins.
    pub no_log_init: bool,
    /// A user of the system.
    pub system: bool,
    /// Lines for `authorized_keys`.
    pub ssh_authorized_keys: Vec<String>,
    /// Users of GitHub whose keys are this user's.
    pub github_users: Vec<String>,
    /// Place of more keys.
    pub import_url: Option<String>,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFile {
    /// Absolute path.
    pub path: String,
    /// What is in it.
    pub content: Content,
    /// Permissions.
    pub mode: u32,
    /// Owner: user, and group if it is not the user's.
    pub owner: Option<Owner>,
}

/// Bytes that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(pub Vec<u8>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

/// Owner of a file, by names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub user: String,
    /// Group; without it the user's first.
    pub group: Option<String>,
}

/// A unit, or a file for networkd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Name.
    pub name: String,
    /// Its file.
    pub content: Option<String>,
    /// Drop-ins: name and content.
    pub drop_ins: Vec<(String, String)>,
    /// Mask it.
    pub mask: bool,
    /// For this boot only.
    pub runtime: bool,
    /// Enable it.
    pub enable: bool,
    /// What to tell the service manager to do with it.
    pub command: Option<&'static str>,
}

/// Settings of updates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// What becomes of a version that waits for a reboot.
    pub reboot_strategy: Option<&'static str>,
    /// Channel.
    pub group: Option<String>,
    /// Where the channel files are.
    pub server: Option<String>,
}

/// Who made the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oem {
    /// Short name.
    pub id: String,
    /// Name.
    pub name: String,
    /// Version.
    pub version_id: String,
    /// Home page.
    pub home_url: String,
    /// Where to report bugs.
    pub bug_report_url: String,
}
