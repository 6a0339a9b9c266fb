//! The settings of `fleetd`: `/etc/fleet/fleet.conf`, overlaid by variables `FLEET_<OPTION>`.
//!
//! [`file`] reads lines, [`options`] knows the names, [`value`] knows what values look like, [`resolve`] makes one
//! [`Config`] of them. Nothing here reads a clock, and only [`load`] reads a file.

pub mod file;
pub mod options;
mod resolve;
pub mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use file::{Entry, Origin};
pub use resolve::resolve;

/// Read where no other file is named; it need not be there.
pub const DEFAULT_PATH: &str = "/etc/fleet/fleet.conf";

/// All that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How much is logged: 0 for what an operator wants to know, 1 for what was decided, 2 for all.
    pub verbosity: u32,
    /// The store.
    pub etcd: Etcd,
    /// Address that others reach this machine at; without it, that of the default route.
    pub public_ip: Option<IpAddr>,
    /// What units may ask of a machine.
    pub metadata: BTreeMap<String, String>,
    /// How long the machine's lease lives without being renewed. It is the same on all machines.
    pub agent_ttl: Duration,
    /// How long a lost machine keeps its units.
    pub grace: Duration,
    /// The engine.
    pub engine: Engine,
    /// Where unit files are written.
    pub units_directory: PathBuf,
    /// Rows of a page of the API.
    pub token_limit: u32,
    /// Where the API is served.
    pub api: Api,
}

/// How the store is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Etcd {
    /// `http://HOST:PORT` or `https://HOST:PORT`, the preferred one first.
    pub servers: Vec<String>,
    /// When a request is given up.
    pub timeout: Duration,
    /// Certificate of the authority, for `https`.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub identity: Option<Identity>,
    /// Name and password.
    pub user: Option<(String, String)>,
    /// What all keys begin with; begins and ends with `/`.
    pub prefix: String,
}

/// Files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those of intermediate authorities.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The engine's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Whether this machine may be the engine.
    pub role: Role,
    /// The longest time between two passes; changes that are heard of cause one at once.
    pub reconcile: Duration,
    /// How long the loss of many machines at once is not believed.
    pub mass_loss_wait: Duration,
    /// How long a term's lease lives without being renewed.
    pub ttl: Duration,
}

/// Whether a machine may be the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It may.
    Candidate,
    /// It never is.
    Never,
}

/// Where the API is served, beside the sockets that systemd gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The unix socket that is made where systemd gives none.
    pub socket: PathBuf,
    /// TCP addresses, which always speak TLS of both sides.
    pub addresses: Vec<SocketAddr>,
    /// Files for TLS.
    pub tls: Option<ApiTls>,
}

/// Files for TLS of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTls {
    /// The authority that clients' certificates must be from.
    pub ca: PathBuf,
    /// What the server shows.
    pub identity: Identity,
}

/// Settings and what is to be said about how they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// One line each.
    pub warnings: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("reading {}: {err}; name a file that is there by --config, or make it readable", .path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        err: io::Error,
    },
    /// A line that is none.
    #[error(transparent)]
    Line(#[from] file::Error),
    /// A name that is not known.
    #[error("{origin}: {name} is no option of fleet{}", suggested(.suggestion.as_deref()))]
    UnknownOption {
        /// Where.
        origin: Origin,
        /// The name.
        name: String,
        /// What may be meant.
        suggestion: Option<&'static str>,
    },
    /// A value that cannot be meant.
    #[error("{origin}: {option}: {err}")]
    Value {
        /// Where.
        origin: Origin,
        /// Which option.
        option: &'static str,
        /// What is wrong, with the remedy.
        err: value::Error,
    },
    /// An option that needs another.
    #[error("{origin}: {option} needs {needs} too: set it, or remove {option}")]
    Alone {
        /// Where.
        origin: Origin,
        /// Which option.
        option: &'static str,
        /// What is missing.
        needs: &'static str,
    },
}

/// Where settings are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// A file that somebody named, which must be there.
    Named(&'a Path),
    /// A file that need not be there.
    Usual(&'a Path),
}

/// Reads the settings of a file and of the variables of an environment.
///
/// # Errors
/// When the file cannot be read, or one of its lines, options or values cannot be meant.
pub fn load(
    source: Source<'_>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Error> {
    let (Source::Named(path) | Source::Usual(path)) = source;
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound && matches!(source, Source::Usual(_)) => {
            String::new()
        }
        Err(err) => return Err(Error::Unreadable { path: path.to_owned(), err }),
    };
    let mut entries = file::parse(path, &text)?;
    entries.extend(from_environment(variables));
    resolve(entries)
}

/// Entries of the variables that are fleet's, by name. Those that are no text are told as unknown.
fn from_environment(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = variables
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let option = name.strip_prefix("FLEET_")?.to_ascii_lowercase();
            let value = value.to_string_lossy().into_owned();
            Some(Entry { origin: Origin::Variable(name), name: option, value })
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn suggested(suggestion: Option<&str>) -> String {
    match suggestion {
        Some(name) => format!("; is {name} meant?"),
        None => ": remove it (docs/operating/fleet.md lists the options)".to_owned(),
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("servers", &self.servers)
            .field("timeout", &self.timeout)
            .field("ca", &self.ca)
            .field("identity", &self.identity)
            // The password is nobody's to read.
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .field("prefix", &self.prefix)
            .finish()
    }
}

#[cfg(test)]
mod tests;
