//! Health check: the SSH server listens, unless it is not meant to run.

use anyhow::Context;

use super::Look;
use super::last_good::LastGood;
use super::units_wanted::is_wanted;
use crate::tools;

/// TCP state "listening" in /proc/net/tcp (include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// Checks that a socket listens on every port that the SSH server is configured for.
pub fn check(look: &Look<'_>, _seen: &mut LastGood) -> anyhow::Result<()> {
    let socket_activated = is_wanted("ssh.socket")?;
    if !socket_activated && !is_wanted("ssh.service")? {
        return Ok(());
    }
    let ports = if socket_activated { vec![22] } else { configured_ports(&tools::sshd_config()?)? };
    let mut listening = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        listening.extend(listening_ports(&look.host.read(path)?.unwrap_or_default()));
    }
    judge(&ports, &listening)
}

fn judge(ports: &[u16], listening: &[u16]) -> anyhow::Result<()> {
    match ports.iter().find(|port| !listening.contains(port)) {
        None => Ok(()),
        Some(port) => anyhow::bail!("nothing listens on port {port}"),
    }
}

/// Returns the ports of the lines `listenaddress <address>:<port>[ rdomain <name>]`: an address with a port of its
/// own makes the setting `Port` say nothing.
fn configured_ports(config: &str) -> anyhow::Result<Vec<u16>> {
    let addresses = config.lines().filter_map(|line| line.strip_prefix("listenaddress "));
    let port = |address: &str| address.split_whitespace().next()?.rsplit_once(':')?.1.parse().ok();
    let ports: Option<Vec<u16>> = addresses.map(port).collect();
    let ports = ports.context("parsing the addresses of sshd -T")?;
    anyhow::ensure!(!ports.is_empty(), "sshd -T names no address");
    Ok(ports)
}

/// Parses the local ports of listening sockets (proc_net_tcp(5)): second field `<address>:<port in hex>`.
fn listening_ports(table: &str) -> Vec<u16> {
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        (state == LISTEN).then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok())?
    };
    table.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 2 1
";

    #[test]
    fn only_listening_sockets_count() {
        assert_eq!(listening_ports(TABLE), [22]);
    }

    #[test]
    fn every_configured_port_must_be_served() {
        let config = "port 80\nlistenaddress 0.0.0.0:22\nlistenaddress [::]:2222 rdomain red\n";
        let ports = configured_ports(config).unwrap();
        assert_eq!(ports, [22, 2222]);
        judge(&[22], &[22, 80]).unwrap();
        assert_eq!(judge(&ports, &[22]).unwrap_err().to_string(), "nothing listens on port 2222");
        assert!(configured_ports("").is_err());
        assert!(configured_ports("listenaddress [::]:ssh\n").is_err());
    }
}
