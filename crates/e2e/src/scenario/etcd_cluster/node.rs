//! A machine of the cluster: where it is, and what its etcd says when it is asked on the machine itself.

use std::net::Ipv4Addr;
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use vm::Network;
use vm::machine::Mac;

use crate::guest::Guest;
use crate::lab::Lab;
use crate::scenario::etcd::parse;

/// Asks etcd's v3 API; machines that share two cores answer late.
const CTL: &str = "etcdctl --dial-timeout=30s --command-timeout=60s";
/// Asks etcd's v2 API.
const CURL: &str = "curl -sS --max-time 90";
const KEYS: &str = "http://127.0.0.1:2379/v2/keys";
/// Enough for an etcd: three of them run at once.
const MEMORY_MIB: u32 = 1024;

/// A machine.
#[derive(Debug)]
pub struct Node {
    /// Its power and shell.
    pub guest: Rc<Guest>,
    /// Its address on the private network.
    pub address: Ipv4Addr,
    mac: Mac,
}

/// A member, as the cluster lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Member {
    /// Where members ask it.
    #[serde(rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// Its name; none before its first start.
    #[serde(default)]
    pub name: String,
    /// Its number.
    #[serde(rename = "ID")]
    pub id: u64,
}

/// Returns the address of the `number`-th machine's card on the private network.
pub fn mac(number: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0xaa, 0, number])
}

impl Node {
    /// Makes the `number`-th machine, which becomes what `config` says. It is not started.
    pub fn new(
        lab: &Lab,
        network: &Rc<Network>,
        number: u8,
        address: Ipv4Addr,
        config: &str,
    ) -> anyhow::Result<Self> {
        let guest = lab.guest(&format!("m{number}"))?;
        guest.join(network, mac(number));
        let metadata = json!({ "private_ipv4": address }).to_string();
        guest.configure(|machine| {
            machine.memory_mib = MEMORY_MIB;
            machine.credentials.insert("slipway.cloud-config".to_owned(), config.into());
            machine.credentials.insert("slipway.metadata".to_owned(), metadata.into());
        });
        Ok(Self { guest, address, mac: mac(number) })
    }

    /// Returns the machine's id.
    pub fn machine_id(&self) -> anyhow::Result<String> {
        self.guest.sh("cat /etc/machine-id")
    }

    /// Sets its card on the private network `up` or `down`; the machine is still reached from here.
    pub fn set_link(&self, state: &str) -> anyhow::Result<()> {
        let mac = self.mac;
        let script = format!(
            "for card in /sys/class/net/*; do if grep -q {mac} $card/address; then ip link set ${{card##*/}} {state}; \
             exit; fi; done; exit 1"
        );
        self.guest.root(&script).map(drop)
    }

    /// Returns where other members ask it.
    pub fn peer_url(&self) -> String {
        format!("http://{}:2380", self.address)
    }

    /// Returns the members that it knows, in the order of their addresses; each of them is healthy.
    pub fn healthy_members(&self) -> anyhow::Result<Vec<Member>> {
        #[derive(Deserialize)]
        struct List {
            members: Vec<Member>,
        }
        self.guest.sh(&format!("{CTL} endpoint health --cluster"))?;
        let text = self.guest.sh(&format!("{CTL} member list --write-out=json"))?;
        let List { mut members } =
            serde_json::from_str(&text).with_context(|| format!("parsing `{text}`"))?;
        members.sort();
        Ok(members)
    }

    /// Returns the number of the member that it holds for the leader.
    pub fn leader(&self) -> anyhow::Result<u64> {
        let status = parse(&self.guest.sh(&format!("{CTL} endpoint status --write-out=json"))?)?;
        status[0]["Status"]["leader"].as_u64().with_context(|| format!("{} knows no leader", self.address))
    }

    /// Writes a key of v3.
    pub fn put(&self, key: &str, value: &str) -> anyhow::Result<()> {
        self.guest.sh(&format!("{CTL} put {key} {value}")).map(drop)
    }

    /// Returns the value of a key of v3.
    pub fn get(&self, key: &str) -> anyhow::Result<String> {
        self.guest.sh(&format!("{CTL} get --print-value-only {key}"))
    }

    /// Writes a key of v2 and returns its node.
    pub fn put_v2(&self, key: &str, value: &str) -> anyhow::Result<Value> {
        self.node(&format!("-X PUT -d value={value} '{KEYS}{key}'"))
    }

    /// Returns the node of a key of v2, as the majority has it.
    pub fn get_v2(&self, key: &str) -> anyhow::Result<Value> {
        self.node(&format!("'{KEYS}{key}?quorum=true'"))
    }

    /// Returns what became of a key of v2 at an index; waits until this member is there.
    pub fn get_v2_at(&self, key: &str, index: u64) -> anyhow::Result<Value> {
        self.node(&format!("'{KEYS}{key}?wait=true&waitIndex={index}'"))
    }

    fn node(&self, request: &str) -> anyhow::Result<Value> {
        let mut answer = parse(&self.guest.sh(&format!("{CURL} {request}"))?)?;
        let node = answer["node"].take();
        ensure!(node.is_object(), "etcd on {} says {answer}", self.address);
        Ok(node)
    }

    /// Returns what its etcd, its fleet and its cloud-config's program logged last, for a report.
    pub fn last_words(&self) -> String {
        let line = "sudo journalctl -b --no-pager -q -n 40 -u etcd.service -u 'slipway-cloudinit*'; \
                    sudo journalctl -b --no-pager -q -n 40 -u fleet.service -u fleet-guard.service; \
                    fleetctl list-machines; fleetctl list-units; ip -brief address";
        let said = self.guest.sh(line).unwrap_or_else(|err| format!("{err:#}"));
        format!("--- etcd and fleet of {}\n{said}", self.address)
    }
}
