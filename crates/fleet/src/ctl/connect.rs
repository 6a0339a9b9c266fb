//! The way to fleetd that `--endpoint`, `--tunnel` and the files for TLS say, and that to the machines.

use super::endpoint::{Endpoint, SshHost};
use super::failure::Failure;
use super::flags::Global;
use super::host::{Reach, machine_id};
use super::out::Out;
use super::ssh::{HostKeys, Settings, known_hosts, shell_word, shown};
use super::tunnel::dial;
use crate::http::{Client, Place, TlsError, TlsFiles};

/// Why there is no way to fleetd.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TLS through a tunnel.
    #[error(
        "--tunnel takes no https endpoint, because SSH protects it already: give the socket of fleetd there, as in \
         --endpoint unix:///run/fleet.sock"
    )]
    TlsTunnel,
    /// TLS without all that it takes.
    #[error("an https endpoint takes --ca-file, --cert-file and --key-file")]
    TlsFiles,
    /// Files that cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Returns who is asked, and how machines are reached. Nothing is connected yet.
///
/// # Errors
/// When the flags do not fit each other, or what they name cannot be used.
pub fn open(global: &Global, out: Out) -> Result<(Client, Reach), Failure> {
    if !global.driver.eq_ignore_ascii_case("api") {
        let why = format!("--driver={} is gone: fleetd alone knows how units are stored", global.driver);
        return Err(Failure::Usage(why));
    }
    let endpoint: Endpoint = global.endpoint.parse()?;
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let ssh = Settings {
        user: global.ssh_username.clone(),
        timeout: global.ssh_timeout,
        known_hosts: known_hosts(global.known_hosts_file.as_deref(), home.as_deref())?,
        check: if global.strict_host_key_checking { HostKeys::Strict } else { HostKeys::Lax },
        tunnel: global.tunnel.as_deref().map(str::parse).transpose()?,
    };
    let client = match &ssh.tunnel {
        Some(host) => {
            let place = through(&ssh, host, &endpoint, out)?;
            // The first request waits for SSH as well.
            Client::new(place, global.request_timeout.saturating_add(global.ssh_timeout))
        }
        None => Client::new(direct(global, endpoint)?, global.request_timeout),
    };
    Ok((client, Reach { here: machine_id(&global.machine_id_file), ssh }))
}

fn direct(global: &Global, endpoint: Endpoint) -> Result<Place, ConnectError> {
    match endpoint {
        Endpoint::Unix(path) => Ok(Place::Unix(path)),
        Endpoint::Http(authority) => Ok(Place::Tcp(authority)),
        Endpoint::Https(authority) => {
            let (Some(ca), Some(certificate), Some(key)) =
                (&global.ca_file, &global.cert_file, &global.key_file)
            else {
                return Err(ConnectError::TlsFiles);
            };
            let files = TlsFiles { ca: ca.clone(), certificate: certificate.clone(), key: key.clone() };
            Ok(Place::tls(authority, &files)?)
        }
    }
}

fn through(ssh: &Settings, host: &SshHost, endpoint: &Endpoint, out: Out) -> Result<Place, Failure> {
    let (name, args) = match endpoint {
        Endpoint::Unix(path) => {
            let socket = path.display().to_string();
            let command = format!("fleetctl fd-forward {}", shell_word(&socket));
            (format!("{socket} on {}", host.host), ssh.to_tunnel(host, &command))
        }
        Endpoint::Http(authority) => {
            (format!("{authority} as {} sees it", host.host), ssh.through_tunnel(host, authority))
        }
        Endpoint::Https(_) => return Err(ConnectError::TlsTunnel.into()),
    };
    ssh.prepare()?;
    out.debug(|| format!("tunnel: ssh {}", shown(&args)));
    Ok(Place::Through(dial(name, args)))
}
