//! Where fleetd answers: what `--endpoint` and `--tunnel` say.

use std::path::PathBuf;
use std::str::FromStr;

/// Where fleetd answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// An address in plain HTTP, `HOST:PORT`.
    Http(String),
    /// An address over TLS, `HOST:PORT`.
    Https(String),
}

/// A machine that SSH connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHost {
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What is wrong with `--endpoint` or `--tunnel`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The text between `unix://` and the path is not empty.
    #[error("endpoint {0:?} names the host {1:?}: a unix socket is unix:///PATH, with three slashes")]
    UnixHost(String, String),
    /// No path.
    #[error("endpoint {0:?} has no path: a unix socket is unix:///PATH")]
    UnixPath(String),
    /// Neither of the three.
    #[error("endpoint {0:?} is none: unix:///PATH, http://HOST:PORT and https://HOST:PORT are")]
    Scheme(String),
    /// Something behind host and port, or nothing before.
    #[error("endpoint {0:?}: only a host and a port stand behind the scheme, such as http://127.0.0.1:49153")]
    Authority(String),
    /// `--tunnel` is no host.
    #[error("tunnel {0:?} is none: HOST or HOST:PORT is, with an IPv6 address as [ADDRESS]:PORT")]
    Tunnel(String),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| EndpointError::Scheme(text.to_owned()))?;
        match scheme {
            "unix" => match rest.split_once('/') {
                Some(("", path)) if !path.is_empty() => Ok(Self::Unix(PathBuf::from(rest))),
                Some((host, _)) if !host.is_empty() => {
                    Err(EndpointError::UnixHost(text.to_owned(), host.to_owned()))
                }
                _ => Err(EndpointError::UnixPath(text.to_owned())),
            },
            "http" => Ok(Self::Http(authority(text, rest, 80)?)),
            "https" => Ok(Self::Https(authority(text, rest, 443)?)),
            _ => Err(EndpointError::Scheme(text.to_owned())),
        }
    }
}

/// Returns `HOST:PORT`, with the scheme's port where none is said.
fn authority(text: &str, rest: &str, default_port: u16) -> Result<String, EndpointError> {
    let wrong = || EndpointError::Authority(text.to_owned());
    let place = rest.strip_suffix('/').unwrap_or(rest);
    if place.contains(['/', '?', '#', '@']) || place.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let host = split(place, default_port).ok_or_else(wrong)?;
    let bracketed = if host.host.contains(':') { format!("[{}]", host.host) } else { host.host };
    Ok(format!("{bracketed}:{}", host.port))
}

impl FromStr for SshHost {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        // A host that begins with a dash would be an option of ssh.
        let odd = text.starts_with('-') || text.contains(['/', '@']) || text.contains(char::is_whitespace);
        split(text, 22).filter(|_| !odd).ok_or_else(|| EndpointError::Tunnel(text.to_owned()))
    }
}

/// Splits `HOST`, `HOST:PORT`, `[ADDRESS]`, `[ADDRESS]:PORT`, or a bare IPv6 address.
fn split(text: &str, default_port: u16) -> Option<SshHost> {
    let made = |host: &str, port: u16| (!host.is_empty()).then(|| SshHost { host: host.to_owned(), port });
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return match port.strip_prefix(':') {
            Some(port) => made(host, port.parse().ok()?),
            None => port.is_empty().then(|| made(host, default_port))?,
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => made(text, default_port),
        Some((host, port)) => made(host, port.parse().ok()?),
        None => made(text, default_port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<Endpoint, EndpointError> {
        text.parse()
    }

    #[test]
    fn endpoints_are_sockets_and_addresses() {
        assert_eq!(endpoint("unix:///run/fleet.sock"), Ok(Endpoint::Unix("/run/fleet.sock".into())));
        assert_eq!(endpoint("http://127.0.0.1:49153/"), Ok(Endpoint::Http("127.0.0.1:49153".to_owned())));
        assert_eq!(endpoint("http://fleet.test"), Ok(Endpoint::Http("fleet.test:80".to_owned())));
        assert_eq!(endpoint("https://[::1]:8443"), Ok(Endpoint::Https("[::1]:8443".to_owned())));
        assert_eq!(endpoint("https://fleet.test"), Ok(Endpoint::Https("fleet.test:443".to_owned())));
    }

    #[test]
    fn a_unix_socket_has_no_host() {
        let err = endpoint("unix://host/run/fleet.sock").unwrap_err();
        assert_eq!(err, EndpointError::UnixHost("unix://host/run/fleet.sock".to_owned(), "host".to_owned()));
        assert!(err.to_string().contains("unix:///PATH"));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for wrong in ["", "/run/fleet.sock", "unix://", "unix:///", "ftp://x", "http://", "http://x:y"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
        for wrong in ["http://x/fleet/v1", "http://a b", "http://u@x", "http://[::1", "http://[::1]8"] {
            assert!(matches!(endpoint(wrong), Err(EndpointError::Authority(_))), "{wrong}");
        }
    }

    #[test]
    fn tunnels_have_a_port_or_that_of_ssh() {
        let host = |host: &str, port| Ok(SshHost { host: host.to_owned(), port });
        assert_eq!("10.0.0.1".parse::<SshHost>(), host("10.0.0.1", 22));
        assert_eq!("a.test:2222".parse::<SshHost>(), host("a.test", 2222));
        assert_eq!("[fe80::1]:2222".parse::<SshHost>(), host("fe80::1", 2222));
        assert_eq!("fe80::1".parse::<SshHost>(), host("fe80::1", 22));
        for wrong in ["", ":22", "h:", "h:x", "-oProxyCommand=x", "u@h", "a/b", "[::1"] {
            assert!(wrong.parse::<SshHost>().is_err(), "{wrong}");
        }
    }
}
