//! What the machines are told: one cloud-config for all, and a name and an address for each.

use std::net::Ipv4Addr;

use anyhow::ensure;
use cloud_config::metadata::Metadata;
use cloud_config::read::read;
use cloud_config::substitute::Unknown;
use serde_json::json;
use vm::machine::{HOST, Mac};

/// The channel of the cluster's update server.
pub const CHANNEL: &str = "stable";
/// The discovery token. There is one cluster, and its discovery service forgets everything with it.
pub const TOKEN: &str = "5b1a9c3e7d2f4086a1c4e8b20d6f9357";

/// The base that every machine has on its `oem` partition. Words in capitals are replaced.
const BASE: &str = r#"#cloud-config
# Made by `cargo xtask cluster up`; what it hands in as user data goes on top.
coreos:
  update:
    server: "SERVER"
    group: CHANNEL
    reboot_strategy: etcd-lock
  etcd2:
    discovery: "DISCOVERY"
    initial_advertise_peer_urls: http://$private_ipv4:2380
    listen_peer_urls: http://$private_ipv4:2380
    advertise_client_urls: http://$private_ipv4:2379
    listen_client_urls: http://$private_ipv4:2379,http://127.0.0.1:2379
PACE  fleet:
    # Towards the host all machines have one address.
    public_ip: $private_ipv4
FLEET_PACE  units:
    - name: etcd.service
      command: start
    - name: fleet.service
      command: start
    # It sorts before the image's, which asks for a lease on every interface, and names no gateway.
    - name: 10-private.network
      content: |
        [Match]
        MACAddress=CARDS

        [Network]
        Address=$private_ipv4/24
        LinkLocalAddressing=no
write_files:
  - path: /etc/slipway/update.conf.d/30-cluster.conf
    content: |
      POLL_INTERVAL=10s
  # The clock is the host's. Without this the update agent waits for a time server, which may not be reached from here.
  - path: /run/systemd/timesync/synchronized
    content: ""
"#;
/// Emulated machines that share a few cores answer late; the values have to be the same on all.
const PACE: &str = "    heartbeat_interval: 500
    election_timeout: 5000
";
const FLEET_PACE: &str = "    agent_ttl: 60s
    etcd_request_timeout: 20s
";

/// Whether the machines' instructions are run by the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// They are.
    Usual,
    /// They are emulated.
    Emulated,
}

/// Returns the name of a machine.
pub fn name(number: u8) -> String {
    format!("m{number}")
}

/// Returns its address on the private network.
pub fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 7, 0, number)
}

/// Returns the address of its card on the private network.
pub fn card(number: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0xaa, 0, number])
}

/// Returns the cloud-config that is the base of `size` machines. `discovery` is the token's URL as machines reach it,
/// `updates` the port of the update server on the host's loopback.
pub fn base(size: u8, discovery: &str, updates: u16, pace: Pace) -> String {
    let cards: Vec<String> = (1..=size).map(|number| card(number).to_string()).collect();
    let (etcd, fleet) = match pace {
        Pace::Usual => ("", ""),
        Pace::Emulated => (PACE, FLEET_PACE),
    };
    // The longer word first: the shorter one is in it.
    BASE.replace("FLEET_PACE", fleet)
        .replace("PACE", etcd)
        .replace("SERVER", &format!("http://{HOST}:{updates}"))
        .replace("CHANNEL", CHANNEL)
        .replace("DISCOVERY", discovery)
        .replace("CARDS", &cards.join(" "))
}

/// Returns what the machine is handed in beside it.
pub fn metadata(number: u8) -> String {
    json!({ "hostname": name(number), "private_ipv4": address(number) }).to_string()
}

/// Says whether machines would take what a user hands in, and all findings.
pub fn check(name_of_file: &str, user_data: &[u8]) -> (anyhow::Result<()>, Vec<String>) {
    let known = match Metadata::parse(metadata(1).as_bytes()) {
        Ok(known) => known,
        Err(err) => return (Err(err), Vec::new()),
    };
    let (said, findings) = read(user_data, &known.addresses, Unknown::Refuse);
    let lines = findings.iter().map(|finding| finding.line(name_of_file)).collect();
    let right = || {
        ensure!(
            said.is_some(),
            "{name_of_file} has errors and would change nothing: correct them first; of addresses the machines know \
             $private_ipv4 alone"
        );
        Ok(())
    };
    (right(), lines)
}

#[cfg(test)]
mod tests {
    use cloud_config::merge::merge;
    use cloud_config::model::Config;
    use cloud_config::read::{UserData, validate};

    use super::*;

    fn made(pace: Pace) -> String {
        base(3, &format!("http://{HOST}:4001/v2/keys/{TOKEN}"), 8080, pace)
    }

    /// What machine 2 makes of it.
    fn config(text: &str) -> Config {
        let metadata = Metadata::parse(metadata(2).as_bytes()).unwrap();
        assert_eq!(metadata.hostname.as_deref(), Some("m2"));
        match read(text.as_bytes(), &metadata.addresses, Unknown::Refuse) {
            (Some(UserData::Config(config)), findings) if findings.is_empty() => *config,
            (_, findings) => panic!("{findings:?}"),
        }
    }

    #[test]
    fn the_base_is_right_at_either_pace_and_for_any_size() {
        for pace in [Pace::Usual, Pace::Emulated] {
            for size in 1..=9 {
                let text = base(size, "http://10.0.2.2:4001/v2/keys/t", 8080, pace);
                assert_eq!(validate(text.as_bytes()), []);
            }
        }
    }

    #[test]
    fn user_data_may_use_the_private_address_and_must_be_right() {
        let text = |variable| format!("#cloud-config\nwrite_files: [{{path: /a, content: {variable}}}]\n");
        assert!(check("f", text("$private_ipv4").as_bytes()).0.is_ok());
        let (refused, findings) = check("f", text("$public_ipv4").as_bytes());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with("f has errors and would change nothing: "), "{refused}");
        assert!(findings[0].starts_with("f:2:"), "{findings:?}");
        let (taken, findings) = check("f", b"#cloud-config\nhostnmae: a\n");
        assert!(taken.is_ok());
        assert!(findings[0].starts_with("f:2:1: warning: "), "{findings:?}");
    }

    #[test]
    fn no_word_is_left_to_be_replaced() {
        for pace in [Pace::Usual, Pace::Emulated] {
            let text = made(pace);
            for word in ["SERVER", "CHANNEL", "DISCOVERY", "PACE", "CARDS"] {
                assert!(!text.contains(word), "{word} in\n{text}");
            }
        }
    }

    #[test]
    fn a_machine_is_told_where_it_is_and_where_all_else_is() {
        let config = config(&made(Pace::Emulated));
        let etcd = |key: &str| config.etcd.get(key).map(String::as_str);
        assert_eq!(etcd("DISCOVERY"), Some("http://10.0.2.2:4001/v2/keys/5b1a9c3e7d2f4086a1c4e8b20d6f9357"));
        assert_eq!(etcd("LISTEN_PEER_URLS"), Some("http://10.7.0.2:2380"));
        assert_eq!(etcd("ELECTION_TIMEOUT"), Some("5000"));
        let fleet = |key: &str| config.fleet.get(key).map(String::as_str);
        assert_eq!((fleet("PUBLIC_IP"), fleet("AGENT_TTL")), (Some("10.7.0.2"), Some("60s")));
        assert_eq!(config.update.server.as_deref(), Some("http://10.0.2.2:8080"));
        assert_eq!(config.update.group.as_deref(), Some(CHANNEL));
        let network = config.units.iter().find(|unit| unit.name == "10-private.network").unwrap();
        let text = network.content.as_deref().unwrap();
        assert!(
            text.contains("MACAddress=52:54:00:aa:00:01 52:54:00:aa:00:02 52:54:00:aa:00:03\n"),
            "{text}"
        );
        assert!(text.contains("Address=10.7.0.2/24\n"), "{text}");
    }

    #[test]
    fn what_the_user_says_goes_on_top_and_takes_nothing_away() {
        let user = "#cloud-config\ncoreos: {fleet: {metadata: disk=ssd}, units: [{name: a.service, command: start}]}\n";
        let merged = merge(config(&made(Pace::Usual)), config(user));
        let names: Vec<_> = merged.units.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!(names, ["etcd.service", "fleet.service", "10-private.network", "a.service"]);
        assert_eq!(merged.fleet.get("METADATA").map(String::as_str), Some("disk=ssd"));
        assert_eq!(merged.fleet.get("PUBLIC_IP").map(String::as_str), Some("10.7.0.2"));
        assert_eq!(merged.fleet.get("AGENT_TTL"), None, "the usual pace is fleet's own");
    }
}
