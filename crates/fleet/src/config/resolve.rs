//! Makes settings of options: defaults, ranges, and options that need each other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::file::{Entry, Origin};
use super::options::{self, Kind};
use super::{Api, ApiTls, Config, Engine, Error, Etcd, Identity, Loaded, Role, value};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// A lease of a machine is renewed every third of its life, and a margin of it is for stopping exclusive units.
const LEAST_AGENT_TTL: Duration = Duration::from_secs(6);
/// etcd makes leases longer that are shorter than its elections.
const LEAST_ENGINE_TTL: Duration = Duration::from_secs(2);
const LEAST_TIMEOUT: Duration = Duration::from_millis(100);
/// Rows of a page: as many are read with one transaction, and etcd's have a limit.
const MOST_ROWS: u32 = 100;

/// What was written last for each option.
struct Given(BTreeMap<&'static str, (Origin, String)>);

/// Makes settings of entries, of which a later one counts more. An empty value is the default.
///
/// # Errors
/// When an option of a file is unknown, or a value cannot be meant.
pub fn resolve(entries: Vec<Entry>) -> Result<Loaded, Error> {
    let mut given = Given(BTreeMap::new());
    let mut warnings = Vec::new();
    for Entry { origin, name, value } in entries {
        match options::find(&name) {
            Some((option, Kind::Used)) if value.is_empty() => {
                given.0.remove(option);
            }
            Some((option, Kind::Used)) => {
                given.0.insert(option, (origin, value));
            }
            Some((option, Kind::Ignored(why))) => {
                warnings.push(format!("{origin}: {option} is ignored: {why}; the line can be removed"));
            }
            None => {
                let unknown = Error::UnknownOption { origin, suggestion: options::suggestion(&name), name };
                match &unknown {
                    // An environment holds more than what is meant for us.
                    Error::UnknownOption { origin: Origin::Variable(_), .. } => {
                        warnings.push(format!("{unknown} (ignored)"));
                    }
                    _ => return Err(unknown),
                }
            }
        }
    }
    if given.read("systemd_user", value::flag)? == Some(true) {
        return Err(given.wrong("systemd_user", value::Error::UserManager));
    }
    Ok(Loaded { config: config(&given)?, warnings })
}

fn config(given: &Given) -> Result<Config, Error> {
    Ok(Config {
        verbosity: given.read("verbosity", |text| value::number(text, 10))?.unwrap_or(0),
        etcd: etcd(given)?,
        public_ip: given.read("public_ip", value::address)?,
        metadata: given.read("metadata", value::metadata)?.unwrap_or_default(),
        agent_ttl: given.time("agent_ttl", 30 * SECOND, LEAST_AGENT_TTL, HOUR)?,
        grace: given.time("grace", 30 * SECOND, Duration::ZERO, 24 * HOUR)?,
        engine: engine(given)?,
        units_directory: given
            .read("units_directory", value::path)?
            .unwrap_or_else(|| PathBuf::from("/run/fleet/units")),
        token_limit: given.read("token_limit", |text| value::number(text, MOST_ROWS))?.unwrap_or(100).max(1),
        api: api(given)?,
    })
}

fn etcd(given: &Given) -> Result<Etcd, Error> {
    let servers = given.read("etcd_servers", value::servers)?;
    let ca = given.read("etcd_cafile", value::path)?;
    let identity = given.identity("etcd_certfile", "etcd_keyfile")?;
    given.needs("etcd_certfile", ca.as_ref(), "etcd_cafile")?;
    let is_secure = |server: &String| server.starts_with("https://");
    if servers.as_ref().is_some_and(|servers| servers.iter().any(is_secure)) {
        given.needs("etcd_servers", ca.as_ref(), "etcd_cafile")?;
    }
    Ok(Etcd {
        servers: servers.unwrap_or_else(|| vec!["http://127.0.0.1:2379".to_owned()]),
        timeout: given.time("etcd_request_timeout", 5 * SECOND, LEAST_TIMEOUT, 60 * SECOND)?,
        ca,
        identity,
        user: given.pair("etcd_username", "etcd_password")?,
        prefix: given.read("etcd_key_prefix", value::prefix)?.unwrap_or_else(|| "/fleet/v1/".to_owned()),
    })
}

fn engine(given: &Given) -> Result<Engine, Error> {
    let never = given.read("disable_engine", value::flag)?.unwrap_or(false);
    Ok(Engine {
        role: if never { Role::Never } else { Role::Candidate },
        reconcile: given.time("engine_reconcile_interval", 30 * SECOND, SECOND, HOUR)?,
        mass_loss_wait: given.time("engine_mass_loss_wait", 300 * SECOND, Duration::ZERO, 24 * HOUR)?,
        ttl: given.time("engine_ttl", 10 * SECOND, LEAST_ENGINE_TTL, HOUR)?,
    })
}

fn api(given: &Given) -> Result<Api, Error> {
    let addresses = given.read("api_addresses", value::sockets)?.unwrap_or_default();
    let ca = given.read("api_cafile", value::path)?;
    let identity = given.identity("api_certfile", "api_keyfile")?;
    given.needs("api_cafile", identity.as_ref(), "api_certfile")?;
    given.needs("api_certfile", ca.as_ref(), "api_cafile")?;
    let tls = ca.zip(identity).map(|(ca, identity)| ApiTls { ca, identity });
    given.needs("api_addresses", tls.as_ref(), "api_cafile, api_certfile and api_keyfile")?;
    let socket = given.read("api_socket", value::path)?;
    Ok(Api { socket: socket.unwrap_or_else(|| PathBuf::from("/run/fleet.sock")), addresses, tls })
}

impl Given {
    fn read<T>(
        &self,
        option: &'static str,
        read: impl FnOnce(&str) -> Result<T, value::Error>,
    ) -> Result<Option<T>, Error> {
        let Some((_, text)) = self.0.get(option) else { return Ok(None) };
        read(text).map(Some).map_err(|err| self.wrong(option, err))
    }

    fn time(
        &self,
        option: &'static str,
        usual: Duration,
        least: Duration,
        most: Duration,
    ) -> Result<Duration, Error> {
        Ok(self.read(option, |text| value::time(text, least, most))?.unwrap_or(usual))
    }

    /// Two options of which each needs the other.
    fn pair(&self, one: &'static str, two: &'static str) -> Result<Option<(String, String)>, Error> {
        match (self.0.get(one), self.0.get(two)) {
            (Some((_, first)), Some((_, second))) => Ok(Some((first.clone(), second.clone()))),
            (Some(_), None) => Err(self.alone(one, two)),
            (None, Some(_)) => Err(self.alone(two, one)),
            (None, None) => Ok(None),
        }
    }

    fn identity(&self, certificate: &'static str, key: &'static str) -> Result<Option<Identity>, Error> {
        if self.pair(certificate, key)?.is_none() {
            return Ok(None);
        }
        let files = (self.read(certificate, value::path)?, self.read(key, value::path)?);
        let (Some(certificate), Some(key)) = files else { return Ok(None) };
        Ok(Some(Identity { certificate, key }))
    }

    /// Fails where `option` is given and what it needs is not.
    fn needs<T>(&self, option: &'static str, what: Option<&T>, needs: &'static str) -> Result<(), Error> {
        if what.is_none() && self.0.contains_key(option) { Err(self.alone(option, needs)) } else { Ok(()) }
    }

    fn alone(&self, option: &'static str, needs: &'static str) -> Error {
        Error::Alone { origin: self.origin(option), option, needs }
    }

    fn wrong(&self, option: &'static str, err: value::Error) -> Error {
        Error::Value { origin: self.origin(option), option, err }
    }

    fn origin(&self, option: &'static str) -> Origin {
        let default = || Origin::Variable(format!("FLEET_{}", option.to_ascii_uppercase()));
        self.0.get(option).map_or_else(default, |(origin, _)| origin.clone())
    }
}
