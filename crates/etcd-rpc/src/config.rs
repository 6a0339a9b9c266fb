//! What a client is made of: endpoints, certificates, user, timeout.

mod secured;

use std::fmt;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint, Uri};

use crate::error::Error;

use secured::Secured;

/// How often a connection with requests under way is probed. etcd ends connections that are probed more often than
/// every five seconds.
const PING_EVERY: Duration = Duration::from_secs(6);
/// How long the answer to a probe may take before the connection counts as dead.
const PING_PATIENCE: Duration = Duration::from_secs(4);

/// How many bytes of one answer or watch may be under way before somebody takes them.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same for all of a connection: so many that watches whose events nobody takes never hold up other requests.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;

/// How to reach etcd.
#[derive(Clone)]
pub struct Config {
    /// `http://HOST:PORT` or `https://HOST:PORT`, the preferred one first.
    pub endpoints: Vec<String>,
    /// Certificates; needed by `https` endpoints.
    pub tls: Option<Tls>,
    /// Name and password, where etcd asks for them.
    pub user: Option<(String, String)>,
    /// When a request is given up, all endpoints together.
    pub timeout: Duration,
}

/// Certificates in PEM.
#[derive(Clone)]
pub struct Tls {
    /// Those that may have signed etcd's certificate.
    pub ca: Vec<u8>,
    /// What the client shows etcd, where it asks for that.
    pub identity: Option<Identity>,
}

/// A client's certificate with its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, followed by those of intermediate authorities.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

/// How one endpoint is connected to.
pub(crate) struct Connection {
    endpoint: Endpoint,
    secured: Option<Secured>,
}

impl Connection {
    /// A channel that connects when it is first used, and again when it broke. Needs a tokio runtime.
    pub(crate) fn channel(self) -> Channel {
        match self.secured {
            Some(secured) => self.endpoint.connect_with_connector_lazy(secured),
            None => self.endpoint.connect_lazy(),
        }
    }
}

impl Config {
    /// Endpoints without certificates and user.
    pub fn new<S: Into<String>>(endpoints: impl IntoIterator<Item = S>, timeout: Duration) -> Self {
        let endpoints = endpoints.into_iter().map(Into::into).collect();
        Self { endpoints, tls: None, user: None, timeout }
    }

    /// How each endpoint is connected to.
    pub(crate) fn connections(&self) -> Result<Vec<Connection>, Error> {
        if self.endpoints.is_empty() {
            return Err(Error::Config(
                "no endpoint of etcd is named: name one, such as http://127.0.0.1:2379".into(),
            ));
        }
        if self.timeout.is_zero() {
            return Err(Error::Config("the timeout of requests to etcd is zero: give them some time".into()));
        }
        self.endpoints.iter().map(|endpoint| self.connection(endpoint)).collect()
    }

    fn connection(&self, endpoint: &str) -> Result<Connection, Error> {
        let unusable = |why: &str| {
            Error::Config(format!(
                "the endpoint `{endpoint}` {why}: write it as http://HOST:PORT or https://HOST:PORT"
            ))
        };
        let uri: Uri = endpoint.parse().map_err(|err| unusable(&format!("is no URL ({err})")))?;
        let Some(authority) = uri.authority().filter(|authority| authority.port_u16().is_some()) else {
            return Err(unusable("has no port"));
        };
        // One endpoint that swallows packets leaves time for all others.
        let patience =
            self.timeout / u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX).saturating_add(1);
        let secured = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => Some(self.secured(&uri, patience)?),
            _ => return Err(unusable("begins with neither http:// nor https://")),
        };
        // TLS is ours, so tonic connects to something plain.
        let plain = Endpoint::from_shared(format!("http://{authority}"));
        let plain = plain.map_err(|err| unusable(&format!("is no URL ({err})")))?;
        let endpoint = plain
            .origin(uri)
            .connect_timeout(patience)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            // etcd counts probes of idle connections as abuse.
            .keep_alive_while_idle(false)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .tcp_nodelay(true);
        Ok(Connection { endpoint, secured })
    }

    fn secured(&self, endpoint: &Uri, patience: Duration) -> Result<Secured, Error> {
        let Some(tls) = &self.tls else {
            let text = format!(
                "the endpoint `{endpoint}` needs the certificate of its CA: name the file that has it"
            );
            return Err(Error::Config(text));
        };
        // Half of the time to connect is left for servers that let the client speak first.
        Secured::new(tls, endpoint, patience / 2)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|(name, _password)| name);
        f.debug_struct("Config")
            .field("endpoints", &self.endpoints)
            .field("tls", &self.tls)
            .field("user", &user)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(config: &Config) -> String {
        config.connections().err().unwrap().to_string()
    }

    fn refused(endpoint: &str) -> String {
        reason(&Config::new([endpoint], Duration::from_secs(1)))
    }

    #[test]
    fn takes_plain_endpoints() {
        let config = Config::new(["http://127.0.0.1:2379", "http://[::1]:2379"], Duration::from_secs(1));
        assert_eq!(config.connections().unwrap().len(), 2);
    }

    #[test]
    fn refuses_endpoints_with_what_is_wrong_about_them() {
        assert!(refused("127.0.0.1:2379").contains("`127.0.0.1:2379`"));
        assert!(refused("ftp://a:1").contains("neither http:// nor https://"));
        assert!(refused("http://a").contains("has no port"));
        assert!(refused("https://a:1").contains("needs the certificate of its CA"));
        let none = Config::new(Vec::<String>::new(), Duration::from_secs(1));
        assert!(reason(&none).contains("no endpoint"));
        assert!(reason(&Config::new(["http://a:1"], Duration::ZERO)).contains("is zero"));
    }

    #[test]
    fn refuses_files_that_hold_something_else() {
        let made = || rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let [certificate, key] = [one.cert.pem(), one.signing_key.serialize_pem()].map(String::into_bytes);
        let other_key = other.signing_key.serialize_pem().into_bytes();
        let mut config = Config::new(["https://a:1"], Duration::from_secs(1));
        let mut with = |ca: &[u8], certificate: &[u8], key: &[u8]| {
            let identity = Identity { certificate: certificate.to_vec(), key: key.to_vec() };
            config.tls = Some(Tls { ca: ca.to_vec(), identity: Some(identity) });
            config.connections().map_or_else(|err| err.to_string(), |_| String::new())
        };
        assert_eq!(with(&certificate, &certificate, &key), "");
        assert!(with(b"hello", &certificate, &key).contains("the CA's file has no certificate in PEM"));
        assert!(with(&certificate, &key, &key).contains("the client's certificate file has no certificate"));
        assert!(with(&certificate, &certificate, &certificate).contains("no private key in PEM"));
        assert!(with(&certificate, &certificate, &other_key).contains("do not fit"));
    }

    #[test]
    fn a_password_is_not_printed() {
        let mut config = Config::new(["http://a:1"], Duration::from_secs(1));
        config.user = Some(("fleet".into(), "hunter2".into()));
        let text = format!("{config:?}");
        assert!(text.contains("fleet") && !text.contains("hunter2"));
    }
}
