//! What a client is made of: endpoints, certificates, user, timeout.

use std::fmt;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::error::Error;

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

impl Config {
    /// Endpoints without certificates and user.
    pub fn new<S: Into<String>>(endpoints: impl IntoIterator<Item = S>, timeout: Duration) -> Self {
        let endpoints = endpoints.into_iter().map(Into::into).collect();
        Self { endpoints, tls: None, user: None, timeout }
    }

    /// One connection's settings for each endpoint.
    pub(crate) fn connections(&self) -> Result<Vec<Endpoint>, Error> {
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

    fn connection(&self, endpoint: &str) -> Result<Endpoint, Error> {
        let unusable = |why: &str| {
            Error::Config(format!(
                "the endpoint `{endpoint}` {why}: write it as http://HOST:PORT or https://HOST:PORT"
            ))
        };
        let made = Endpoint::from_shared(endpoint.to_owned())
            .map_err(|err| unusable(&format!("is no URL ({err})")))?;
        let made = match made.uri().scheme_str() {
            Some("http") => made,
            Some("https") => self.secured(endpoint, made)?,
            _ => return Err(unusable("begins with neither http:// nor https://")),
        };
        if made.uri().authority().is_none_or(|authority| authority.port_u16().is_none()) {
            return Err(unusable("has no port"));
        }
        // One endpoint that swallows packets leaves time for all others.
        let patience = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX).saturating_add(1);
        Ok(made
            .connect_timeout(self.timeout / patience)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            // etcd counts probes of idle connections as abuse.
            .keep_alive_while_idle(false)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .tcp_nodelay(true))
    }

    fn secured(&self, endpoint: &str, made: Endpoint) -> Result<Endpoint, Error> {
        let Some(tls) = &self.tls else {
            let text = format!(
                "the endpoint `{endpoint}` needs the certificate of its CA: name the file that has it"
            );
            return Err(Error::Config(text));
        };
        if !is_pem(&tls.ca, "CERTIFICATE") {
            return Err(Error::Config("the CA's file has no certificate in PEM: give it one".into()));
        }
        let mut wanted = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.ca));
        if let Some(Identity { certificate, key }) = &tls.identity {
            if !is_pem(certificate, "CERTIFICATE") || !is_pem(key, "PRIVATE KEY") {
                let text =
                    "the client's files are not a certificate and a private key in PEM: check which is which";
                return Err(Error::Config(text.into()));
            }
            wanted = wanted.identity(tonic::transport::Identity::from_pem(certificate, key));
        }
        made.tls_config(wanted).map_err(|err| {
            let cause = std::error::Error::source(&err).map_or_else(|| err.to_string(), ToString::to_string);
            Error::Config(format!(
                "certificates for `{endpoint}` cannot be used ({cause}): check that they fit"
            ))
        })
    }
}

fn is_pem(bytes: &[u8], kind: &str) -> bool {
    let end = format!("{kind}-----");
    let has = |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&end);
    String::from_utf8_lossy(bytes).lines().any(has)
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

    fn refused(endpoint: &str) -> String {
        Config::new([endpoint], Duration::from_secs(1)).connections().unwrap_err().to_string()
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
        let none = Config::new(Vec::<String>::new(), Duration::from_secs(1)).connections();
        assert!(none.unwrap_err().to_string().contains("no endpoint"));
        let hasty = Config::new(["http://a:1"], Duration::ZERO).connections();
        assert!(hasty.unwrap_err().to_string().contains("is zero"));
    }

    #[test]
    fn refuses_files_that_hold_something_else() {
        let mut config = Config::new(["https://a:1"], Duration::from_secs(1));
        config.tls = Some(Tls { ca: b"hello".to_vec(), identity: None });
        assert!(config.connections().unwrap_err().to_string().contains("no certificate in PEM"));
        let ca = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let pem = ca.cert.pem().into_bytes();
        let identity = Identity { certificate: pem.clone(), key: pem.clone() };
        config.tls = Some(Tls { ca: pem, identity: Some(identity) });
        assert!(config.connections().unwrap_err().to_string().contains("check which is which"));
    }

    #[test]
    fn a_password_is_not_printed() {
        let mut config = Config::new(["http://a:1"], Duration::from_secs(1));
        config.user = Some(("fleet".into(), "hunter2".into()));
        let text = format!("{config:?}");
        assert!(text.contains("fleet") && !text.contains("hunter2"));
    }
}
