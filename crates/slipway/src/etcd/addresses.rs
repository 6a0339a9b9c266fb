//! `slipway etcd addresses`: where a member of a cluster listens that nobody told.
//!
//! etcd.service runs it before etcd, because the network is known then and not when the machine is configured, and
//! reads the file that it writes.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;

use agent_support::host::Host;
use anyhow::Context as _;

use super::settings::value;

/// What etcd.service reads; the folder is the unit's own.
const FILE: &str = "/run/etcd/addresses";
/// Each of these makes a member look for others by itself.
const DISCOVERY: [&str; 2] = ["ETCD_DISCOVERY", "ETCD_DISCOVERY_SRV"];

/// Writes the file: empty, if everything is told or etcd is alone.
pub fn run(host: &Host) -> anyhow::Result<()> {
    let words: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let added = missing(&words.join("\0"), default_address)?;
    let text: String = added.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    write(&host.path(FILE), &text)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Returns the settings that a member with discovery lacks: its addresses, on the default route's and the loopback,
/// never on all. `environment` is `NAME=value` words, each ended by a zero byte.
pub fn missing(
    environment: &str,
    address: impl FnOnce() -> Option<IpAddr>,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let has = |name: &str| value(environment, name).is_some();
    let clients = has("ETCD_LISTEN_CLIENT_URLS") || has("ETCD_ADVERTISE_CLIENT_URLS");
    let peers = has("ETCD_LISTEN_PEER_URLS") || has("ETCD_INITIAL_ADVERTISE_PEER_URLS");
    if !DISCOVERY.into_iter().any(has) || clients && peers {
        return Ok(vec![]);
    }
    let address = address().context(
        "etcd is to find others and this machine has no default route, so they could not reach it: set \
         ETCD_LISTEN_PEER_URLS and ETCD_INITIAL_ADVERTISE_PEER_URLS, and those of clients",
    )?;
    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let scheme = |certificate| if has(certificate) { "https" } else { "http" };
    let mut added = Vec::new();
    if !clients {
        let scheme = scheme("ETCD_CERT_FILE");
        let url = format!("{scheme}://{host}:2379");
        added.push(("ETCD_LISTEN_CLIENT_URLS", format!("{url},{scheme}://127.0.0.1:2379")));
        added.push(("ETCD_ADVERTISE_CLIENT_URLS", url));
    }
    if !peers {
        let url = format!("{}://{host}:2380", scheme("ETCD_PEER_CERT_FILE"));
        added.push(("ETCD_LISTEN_PEER_URLS", url.clone()));
        added.push(("ETCD_INITIAL_ADVERTISE_PEER_URLS", url));
    }
    Ok(added)
}

/// Returns the address that packets to everywhere would have. None is sent: connecting a datagram socket only
/// looks up the route. The destinations are those of documentation (RFC 5737 and 3849).
pub fn default_address() -> Option<IpAddr> {
    let routed = |own: &str, destination: &str| {
        let socket = UdpSocket::bind((own.parse::<IpAddr>().ok()?, 0)).ok()?;
        socket.connect((destination.parse::<IpAddr>().ok()?, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
    };
    // Without a route there is no address to name, which is no error here.
    routed("0.0.0.0", "203.0.113.1").or_else(|| routed("::", "2001:db8::1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(environment: &[&str], address: &str, expected: &[&str]) {
        let found = missing(&environment.join("\0"), || address.parse().ok()).unwrap();
        let found: Vec<_> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_member_with_discovery_is_on_the_default_routes_address_and_the_loopback() {
        check(
            &["ETCD_NAME=a", "ETCD_DISCOVERY=https://d/1"],
            "10.0.0.5",
            &[
                "ETCD_LISTEN_CLIENT_URLS=http://10.0.0.5:2379,http://127.0.0.1:2379",
                "ETCD_ADVERTISE_CLIENT_URLS=http://10.0.0.5:2379",
                "ETCD_LISTEN_PEER_URLS=http://10.0.0.5:2380",
                "ETCD_INITIAL_ADVERTISE_PEER_URLS=http://10.0.0.5:2380",
            ],
        );
    }

    #[test]
    fn what_is_told_stays_and_certificates_count() {
        check(
            &[
                "ETCD_DISCOVERY_SRV=example.org",
                "ETCD_LISTEN_CLIENT_URLS=http://a:1",
                "ETCD_PEER_CERT_FILE=/c",
            ],
            "fd00::5",
            &[
                "ETCD_LISTEN_PEER_URLS=https://[fd00::5]:2380",
                "ETCD_INITIAL_ADVERTISE_PEER_URLS=https://[fd00::5]:2380",
            ],
        );
    }

    #[test]
    fn a_member_that_is_alone_or_told_everything_needs_none() {
        check(&["ETCD_NAME=a"], "none", &[]);
        check(&["ETCD_INITIAL_CLUSTER=a=http://a:2380"], "none", &[]);
        let told = ["ETCD_ADVERTISE_CLIENT_URLS=http://a:1", "ETCD_LISTEN_PEER_URLS=http://a:2"];
        check(&[&["ETCD_DISCOVERY=https://d/1"][..], &told].concat(), "none", &[]);
    }

    #[test]
    fn without_a_route_it_is_an_error_and_not_an_address_that_nobody_reaches() {
        let err = missing("ETCD_DISCOVERY=https://d/1", || None).unwrap_err();
        assert!(err.to_string().contains("no default route"), "{err}");
    }
}
