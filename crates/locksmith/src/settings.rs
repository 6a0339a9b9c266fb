//! What both programs are told: by flags, else by variables, else by defaults.
//!
//! | flag | variable, behind `LOCKSMITHD_` or `LOCKSMITHCTL_` | default |
//! | --- | --- | --- |
//! | `--endpoint` | `ENDPOINT` | `http://127.0.0.1:2379`, then port 4001 |
//! | `--etcd-cafile`, `--etcd-certfile`, `--etcd-keyfile` | `ETCD_CAFILE`, … | none |
//! | `--etcd-username`, `--etcd-password` | `ETCD_USERNAME`, `ETCD_PASSWORD` | none |
//! | `--group` | `GROUP` | the group without a name |
//! | `--reboot-window-start`, `--reboot-window-length` | `REBOOT_WINDOW_START`, `REBOOT_WINDOW_LENGTH`, both also without the daemon's prefix | any time |
//! | `--drain-timeout` | `DRAIN_TIMEOUT` | 10 minutes |
//! | `--break-stale` | `BREAK_STALE` | never |
//!
//! An empty variable is not set.

mod given;
mod span;

use std::path::PathBuf;
use std::time::Duration;

use agent_support::dropins;
use agent_support::host::Host;
use etcd_rpc::{Client, Config, Identity, Tls};
use locksmith_core::semaphore;
use locksmith_core::strategy::{self, Strategy};
use locksmith_core::window::{self, Window};

use crate::flags::{Daemon, Global, Program};
use given::{Given, Named};

/// How long a request to etcd may take, all endpoints together.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Where etcd answers if nobody says so: its port, and that of its first versions.
const ENDPOINTS: [&str; 2] = ["http://127.0.0.1:2379", "http://127.0.0.1:4001"];
const DRAIN_TIMEOUT: Duration = Duration::from_secs(600);
const DRAIN_LIMITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(24 * 3600)];
const STALE_LIMITS: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(30 * 24 * 3600)];

/// What both programs are told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How etcd is reached.
    pub etcd: Config,
    /// The group; empty for the one without a name.
    pub group: String,
    /// The key of its semaphore.
    pub key: String,
}

/// What the daemon is told beside that.
#[derive(Debug, Clone)]
pub struct Pace {
    /// When the machine may reboot; none for any time.
    pub window: Option<Window>,
    /// How long units may take to leave the machine.
    pub drain_timeout: Duration,
    /// After which time a slot is taken from a machine that fleet does not see; none for never.
    pub break_stale: Option<Duration>,
}

/// What is wrong with what was told. Each names the flag or variable, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No URL.
    #[error("{name}: `{found}` is no URL of etcd; write http://HOST:PORT or https://HOST:PORT")]
    Endpoint {
        /// Flag or variable.
        name: String,
        /// What was found.
        found: String,
    },
    /// One of two that belong together is missing.
    #[error("{name} is set and {missing} is not; set both or neither")]
    Half {
        /// Flag or variable that is set.
        name: String,
        /// Variable of the one that is not.
        missing: String,
    },
    /// A certificate of etcd's that nobody could check.
    #[error(
        "{name} has an https URL, and {missing} is not set; name the file with the authority's certificate"
    )]
    NoAuthority {
        /// Flag or variable with the URL.
        name: String,
        /// Variable of the authority.
        missing: String,
    },
    /// A file that cannot be read.
    #[error("{name}: reading {}: {err}; make it readable for root, or name another", .path.display())]
    Unreadable {
        /// Flag or variable.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        err: std::io::Error,
    },
    /// No name of a group.
    #[error("{name}: {err}")]
    Group {
        /// Flag or variable.
        name: String,
        /// Why.
        err: semaphore::GroupError,
    },
    /// No span of time.
    #[error("{name}={found} is no time from {least} to {most}; write it as 10m, 1h30m or 90s")]
    Span {
        /// Flag or variable.
        name: String,
        /// What was found.
        found: String,
        /// The least, for people.
        least: String,
        /// The most.
        most: String,
    },
    /// No window.
    #[error(transparent)]
    Window(#[from] window::Error),
    /// A client cannot be made of it.
    #[error("{prefix}ENDPOINT, {prefix}ETCD_…: {err}")]
    Client {
        /// What variables begin with.
        prefix: &'static str,
        /// Why.
        err: etcd_rpc::Error,
    },
}

impl Settings {
    /// Makes them of flags and variables.
    ///
    /// # Errors
    /// When one of them cannot be meant, or a file that it names cannot be read.
    pub fn resolve(
        program: Program,
        flags: &Global,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let given = Given { program, variable: &variable };
        let group = given.text("group", flags.group.as_deref());
        let key = semaphore::key(group.as_ref().map_or("", |group| group.value.as_str()))
            .map_err(|err| Error::Group { name: given.named("group", &group), err })?;
        let group = group.map(|it| it.value).unwrap_or_default();
        Ok(Self { etcd: etcd(&given, flags)?, group, key })
    }

    /// Makes a client, which connects when it is used. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub fn client(&self, program: Program) -> Result<Client, Error> {
        Client::new(self.etcd.clone()).map_err(|err| Error::Client { prefix: program.prefix(), err })
    }
}

impl Pace {
    /// Makes it of the daemon's flags and variables.
    ///
    /// # Errors
    /// When one of them cannot be meant.
    pub fn resolve(flags: &Daemon, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let given = Given { program: Program::Daemon, variable: &variable };
        let start =
            given.window("reboot-window-start", flags.reboot_window_start.as_deref(), window::LEGACY_START);
        let length = given.window(
            "reboot-window-length",
            flags.reboot_window_length.as_deref(),
            window::LEGACY_LENGTH,
        );
        let drain = given.text("drain-timeout", flags.drain_timeout.as_deref());
        let stale = given.text("break-stale", flags.break_stale.as_deref());
        Ok(Self {
            window: Window::from_settings(
                start.as_ref().map(Named::as_variable),
                length.as_ref().map(Named::as_variable),
            )?,
            drain_timeout: drain.map(|it| time(&it, DRAIN_LIMITS)).transpose()?.unwrap_or(DRAIN_TIMEOUT),
            break_stale: stale.map(|it| time(&it, STALE_LIMITS)).transpose()?,
        })
    }
}

/// Reads the strategy where the update agent reads it.
///
/// # Errors
/// When it is none, with file and line, or a file cannot be read.
pub fn strategy(host: &Host) -> anyhow::Result<Strategy> {
    let merged = dropins::read(host, "update")?;
    let Some(setting) = merged.get(strategy::VARIABLE) else { return Ok(Strategy::default()) };
    setting.value.parse().map_err(|err| anyhow::anyhow!("{}: {err}", setting.at))
}

fn time(named: &Named, [least, most]: [Duration; 2]) -> Result<Duration, Error> {
    span::parse(&named.value).filter(|time| (least..=most).contains(time)).ok_or_else(|| Error::Span {
        name: named.name.clone(),
        found: named.value.clone(),
        least: span::shown(least),
        most: span::shown(most),
    })
}

fn etcd(given: &Given<'_>, flags: &Global) -> Result<Config, Error> {
    let flag = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let joined = (!flags.endpoint.is_empty()).then(|| flags.endpoint.join(","));
    let endpoint = given.text("endpoint", joined.as_deref());
    let [ca, certificate, key] = [
        ("etcd-cafile", flag(&flags.etcd_cafile)),
        ("etcd-certfile", flag(&flags.etcd_certfile)),
        ("etcd-keyfile", flag(&flags.etcd_keyfile)),
    ]
    .map(|(name, flag)| given.text(name, flag.as_deref()));
    let user = given.text("etcd-username", flags.etcd_username.as_deref());
    let password = given.text("etcd-password", flags.etcd_password.as_deref());
    let endpoints = match &endpoint {
        Some(named) => endpoints(named)?,
        None => ENDPOINTS.map(str::to_owned).to_vec(),
    };
    if ca.is_none() {
        let missing = given.variable_of("etcd-cafile");
        if endpoints.iter().any(|url| url.starts_with("https://")) {
            return Err(Error::NoAuthority { name: given.named("endpoint", &endpoint), missing });
        }
        if let Some(Named { name, .. }) = certificate.as_ref().or(key.as_ref()) {
            return Err(Error::Half { name: name.clone(), missing });
        }
    }
    let identity = given.pair(("etcd-certfile", &certificate), ("etcd-keyfile", &key))?;
    let identity = identity
        .map(|(certificate, key)| {
            Ok::<_, Error>(Identity { certificate: certificate.read()?, key: key.read()? })
        })
        .transpose()?;
    let tls = ca.map(|ca| Ok::<_, Error>(Tls { ca: ca.read()?, identity })).transpose()?;
    let user = given.pair(("etcd-username", &user), ("etcd-password", &password))?;
    let user = user.map(|(user, password)| (user.value.clone(), password.value.clone()));
    Ok(Config { endpoints, tls, user, timeout: REQUEST_TIMEOUT })
}

fn endpoints(named: &Named) -> Result<Vec<String>, Error> {
    let urls: Vec<_> = named.value.split(',').map(|url| url.trim().trim_end_matches('/')).collect();
    let is_url = |url: &&str| {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        rest.and_then(|rest| rest.rsplit_once(':')).is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()
        })
    };
    match urls.iter().find(|url| !is_url(url)) {
        Some(found) => Err(Error::Endpoint { name: named.name.clone(), found: (*found).to_owned() }),
        None => Ok(urls.into_iter().map(str::to_owned).collect()),
    }
}

#[cfg(test)]
mod tests;
