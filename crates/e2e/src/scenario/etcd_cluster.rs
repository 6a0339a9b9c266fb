//! Machines of one cloud-config and one discovery token: the cluster that they form, with fleet's units on it; the loss
//! of its leader, of a machine's network, and the blank machine that comes in the place of one that is lost for good.

pub mod fleet;
pub mod node;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use etcd_lab::Discovery;
use serde_json::Value;
use vm::Network;
use vm::machine::HOST;

use super::identity;
use crate::guest::Guest;
use crate::lab::Lab;
use crate::standin::discovery;
use node::{Member, Node};

/// Machines of the cluster.
const SIZE: u8 = 3;
const TOKEN: &str = "6fb9eec1d1bc4a0f9d2ba09c6fb9eec1";
/// From power-on to the logins of all machines, which share the host's cores.
const BOOT: Duration = Duration::from_secs(600);
/// From the logins to a cluster of healthy members.
const FORM: Duration = Duration::from_secs(600);
/// From the loss of a leader to the next one.
const ELECT: Duration = Duration::from_secs(180);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(3);
/// Written to the whole cluster, without the leader's etcd, and without its machine: a v2 and a v3 key of each name.
const KEYS: [&str; 3] = ["/whole", "/etcd-stopped", "/machine-lost"];

/// What all three start with. The pace is that of machines that are emulated and share two cores.
const CONFIG: &str = "#cloud-config
coreos:
  etcd2:
    discovery: DISCOVERY
    initial_advertise_peer_urls: http://$private_ipv4:2380
    listen_peer_urls: http://$private_ipv4:2380
    advertise_client_urls: http://$private_ipv4:2379
    listen_client_urls: http://$private_ipv4:2379,http://127.0.0.1:2379
    heartbeat_interval: 500
    election_timeout: 5000
  units:
    - name: etcd.service
      command: start
";
/// The unit of the private network, the last in a list of units. It sorts before the image's, which asks for a lease
/// on every interface, and names no gateway.
const PRIVATE_NETWORK: &str = "    - name: 10-private.network
      content: |
        [Match]
        MACAddress=CARDS

        [Network]
        Address=$private_ipv4/24
        LinkLocalAddressing=no
";

/// The scenario.
pub fn one_token(lab: &Lab) -> anyhow::Result<()> {
    let discovery = discovery::start(lab)?;
    discovery.open(TOKEN, SIZE.into())?;
    let network = lab.network()?;
    let config = config(&discovery.url(HOST, TOKEN));
    let nodes = (1..=SIZE).map(|number| Node::new(lab, &network, number, address(number), &config));
    let mut nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    let outcome = live(lab, &discovery, &network, &mut nodes);
    if outcome.is_err() {
        nodes.iter().for_each(|node| lab.say(&node.last_words()));
    }
    outcome
}

fn live(
    lab: &Lab,
    discovery: &Discovery,
    network: &Rc<Network>,
    nodes: &mut Vec<Node>,
) -> anyhow::Result<()> {
    let [whole, etcd_stopped, machine_lost] = KEYS;
    boot(nodes)?;
    lab.say("all machines let core log in");
    lab.check("machine id, host key, disk GUID and UUID of root are each machine's own", || {
        identity::all_differ(&nodes.iter().map(|node| &*node.guest).collect::<Vec<_>>())
    })?;
    lab.check("each machine told the discovery service where it is", || {
        until(lab, FORM, || told(discovery, nodes))
    })?;
    let mut members = Vec::new();
    lab.check("all are healthy members, and each names the same three", || {
        members = until(lab, FORM, || agreed(nodes))?;
        Ok(())
    })?;
    lab.check("what is written on one is there on all", || {
        write(&nodes[0], &nodes[1], whole)?;
        nodes.iter().try_for_each(|node| read(node, whole).map(drop))
    })?;
    lab.check("fleet has three machines, each says", || fleet::joined(lab, nodes))?;
    let mut runs = Vec::new();
    lab.check("units that conflict run apart, a global one everywhere, an exclusive one once", || {
        fleet::start(nodes)?;
        fleet::settled(lab, nodes)?;
        runs = fleet::runs(nodes)?;
        Ok(())
    })?;
    let leader = leader(lab, &nodes.iter().collect::<Vec<_>>())?;
    let stopped = place(nodes, &members, leader)?;
    let mut written = Value::Null;
    lab.check("the leader's etcd is stopped: the others elect one, and writes go on", || {
        nodes[stopped].guest.root("systemctl stop etcd.service")?;
        let others: Vec<&Node> = nodes.iter().filter(|node| node.address != nodes[stopped].address).collect();
        written = go_on(lab, &others, leader, etcd_stopped)?;
        Ok(())
    })?;
    lab.check("started again, it is caught up: a GET at an index returns the same on all", || {
        nodes[stopped].guest.root("systemctl start etcd.service")?;
        let same = until(lab, FORM, || agreed(nodes))?;
        ensure!(same == members, "the members were {members:?} and are {same:?}");
        nodes.iter().try_for_each(|node| has_at_its_index(node, etcd_stopped, &written))
    })?;
    lab.check("no unit was touched meanwhile", || {
        let now = fleet::runs(nodes)?;
        ensure!(now == runs, "the runs were {runs:?} and are {now:?}");
        Ok(())
    })?;
    lab.check("`fleetctl drain` moves a machine's units away", || fleet::drained(lab, nodes))?;
    let cut = fleet::alone(lab, nodes)?;
    lab.check(
        "a machine is cut off: its exclusive unit stops there and starts elsewhere, others run on",
        || {
            let others: Vec<&Node> = nodes.iter().filter(|node| node.address != nodes[cut].address).collect();
            fleet::cut_off(lab, &nodes[cut], &others)
        },
    )?;
    lab.check("back again, it stops what runs elsewhere, and is a healthy member", || {
        nodes[cut].set_link("up")?;
        until(lab, FORM, || agreed(nodes))?;
        fleet::joined(lab, nodes)?;
        fleet::settled(lab, nodes).map(drop)
    })?;
    let leader = self::leader(lab, &nodes.iter().collect::<Vec<_>>())?;
    let lost = nodes.remove(place(nodes, &members, leader)?);
    lab.check("the leader's machine loses its power: the others elect one, and writes go on", || {
        lost.guest.power_cut();
        go_on(lab, &nodes.iter().collect::<Vec<_>>(), leader, machine_lost).map(drop)
    })?;
    let old = members.iter().find(|member| member.id == leader).context("the leader is no member")?;
    let mut fragment = String::new();
    lab.check("`slipway etcd replace` prints a cloud-config that is right", || {
        fragment = nodes[0].guest.root(&format!(
            "slipway etcd replace {} > /run/new.yml; slipway-cloudinit validate /run/new.yml >&2; cat /run/new.yml",
            old.name
        ))?;
        Ok(())
    })?;
    let new = Node::new(lab, network, SIZE + 1, lost.address, &with_fleet(&fragment))?;
    nodes.push(new);
    boot(&nodes[nodes.len() - 1..])?;
    lab.check("a blank machine with it is a healthy member in the place of the lost one", || {
        let now = until(lab, FORM, || agreed(nodes))?;
        let names = |members: &[Member]| -> Vec<_> {
            members.iter().map(|member| (member.name.clone(), member.peer_urls.clone())).collect()
        };
        ensure!(names(&now) == names(&members), "the members were {members:?} and are {now:?}");
        ensure!(now.iter().all(|member| member.id != old.id), "the lost member is there: {now:?}");
        Ok(())
    })?;
    lab.check("it has the data", || {
        for key in KEYS {
            read(&nodes[nodes.len() - 1], key)?;
        }
        Ok(())
    })?;
    lab.check("it has the global unit, and the lost machine's units run", || {
        fleet::joined(lab, nodes)?;
        fleet::settled(lab, nodes).map(drop)
    })
}

/// What all three start with.
pub fn config(discovery: &str) -> String {
    with_fleet(&CONFIG.replace("DISCOVERY", discovery))
}

/// Returns the private address of the `number`-th machine.
pub fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 7, 0, number)
}

/// Adds fleet, and the unit of the private network, to a cloud-config of etcd that ends with a list of units.
fn with_fleet(config: &str) -> String {
    let addresses: Vec<Ipv4Addr> = (1..=SIZE).map(address).collect();
    let config = config.replacen("\n  units:", &format!("\n{}  units:", fleet::config(&addresses)), 1);
    let cards: Vec<String> = (1..=SIZE + 1).map(|number| node::mac(number).to_string()).collect();
    let network = PRIVATE_NETWORK.replace("CARDS", &cards.join(" "));
    format!("{}\n{}{network}", config.trim_end(), fleet::UNIT)
}

/// Powers all on, and waits for all.
pub fn boot(nodes: &[Node]) -> anyhow::Result<()> {
    nodes.iter().try_for_each(|node| node.guest.power_on())?;
    nodes.iter().try_for_each(|node| node.guest.wait_boot(BOOT))
}

/// The status page that the machine serves has all these words.
pub fn page_says(guest: &Guest, words: &[&str]) -> anyhow::Result<()> {
    let page = guest.sh("curl -sSf --max-time 60 http://127.0.0.1:7780/")?;
    let missing: Vec<_> = words.iter().filter(|word| !page.contains(**word)).collect();
    ensure!(missing.is_empty(), "the page lacks {missing:?}:\n{page}");
    Ok(())
}

/// Asks again and again until there is an answer; the last refusal is the error.
pub fn until<T>(
    lab: &Lab,
    timeout: Duration,
    mut probe: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let timeout = timeout * lab.setup.patience;
    let end = Instant::now() + timeout;
    loop {
        match probe() {
            Ok(found) => return Ok(found),
            Err(err) if end <= Instant::now() => {
                return Err(err).with_context(|| format!("waiting for {} s", timeout.as_secs()));
            }
            // It may come yet.
            Err(_) => sleep(LOOK),
        }
    }
}

fn told(discovery: &Discovery, nodes: &[Node]) -> anyhow::Result<()> {
    let told = discovery.members(TOKEN)?;
    let urls: BTreeSet<&str> =
        told.iter().filter_map(|row| row.split_once('=')).map(|(_, url)| url).collect();
    let expected: Vec<String> = nodes.iter().map(Node::peer_url).collect();
    ensure!(
        told.len() == expected.len() && expected.iter().all(|url| urls.contains(url.as_str())),
        "the service was told {told:?} instead of {expected:?}"
    );
    Ok(())
}

/// Returns the members; they are the machines given, all healthy, and each machine says so.
pub fn agreed(nodes: &[Node]) -> anyhow::Result<Vec<Member>> {
    let lists = nodes.iter().map(Node::healthy_members).collect::<Result<BTreeSet<_>, _>>()?;
    ensure!(lists.len() == 1, "members differ on who is one: {lists:?}");
    let members = lists.into_iter().next().context("nobody was asked")?;
    let urls: BTreeSet<String> = members.iter().flat_map(|member| member.peer_urls.clone()).collect();
    let expected: BTreeSet<String> = nodes.iter().map(Node::peer_url).collect();
    let is_started = members.iter().all(|member| !member.name.is_empty());
    ensure!(members.len() == nodes.len() && urls == expected && is_started, "the members are {members:?}");
    Ok(members)
}

/// Returns the number of the member that all `nodes` hold for the leader.
fn leader(lab: &Lab, nodes: &[&Node]) -> anyhow::Result<u64> {
    let named = || {
        let named = nodes.iter().map(|node| node.leader()).collect::<Result<BTreeSet<_>, _>>()?;
        ensure!(named.len() == 1, "members differ on who leads: {named:x?}");
        named.into_iter().next().context("nobody was asked")
    };
    until(lab, ELECT, named)
}

/// Returns the place of a member's machine.
fn place(nodes: &[Node], members: &[Member], id: u64) -> anyhow::Result<usize> {
    let member = members.iter().find(|member| member.id == id);
    let urls = &member.with_context(|| format!("{id:x} is not among {members:?}"))?.peer_urls;
    let place = nodes.iter().position(|node| urls.contains(&node.peer_url()));
    place.with_context(|| format!("no machine is at {urls:?}"))
}

/// Waits for a leader after `old`, writes, and returns the v2 node.
fn go_on(lab: &Lab, nodes: &[&Node], old: u64, key: &str) -> anyhow::Result<Value> {
    until(lab, ELECT, || {
        let new = leader(lab, nodes)?;
        ensure!(new != old, "{old:x} is still the leader");
        Ok(())
    })?;
    let [one, other] = nodes else { anyhow::bail!("{} machines are left, not two", nodes.len()) };
    write(one, other, key)
}

/// Writes a v2 key on one machine and a v3 key on another, and returns the v2 node.
fn write(v2: &Node, v3: &Node, key: &str) -> anyhow::Result<Value> {
    v3.put(key, "v3")?;
    v2.put_v2(key, "v2")
}

/// Reads both keys with their values, and returns the v2 node.
fn read(node: &Node, key: &str) -> anyhow::Result<Value> {
    let (v3, v2) = (node.get(key)?, node.get_v2(key)?);
    ensure!(v3 == "v3" && v2["value"] == "v2", "{} has {v3} and {v2} at {key}", node.address);
    Ok(v2)
}

fn has_at_its_index(node: &Node, key: &str, expected: &Value) -> anyhow::Result<()> {
    let index = expected["modifiedIndex"].as_u64().with_context(|| format!("no index in {expected}"))?;
    for found in [read(node, key)?, node.get_v2_at(key, index)?] {
        ensure!(found == *expected, "{} has {found} instead of {expected}", node.address);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cloud_config_of_the_machines_is_right() {
        let config = config("http://10.0.2.2:1/v2/keys/t");
        assert!(config.contains("etcd-servers") && config.contains("fleet.service"), "{config}");
        assert_eq!(cloud_config::read::validate(config.as_bytes()), []);
    }
}
