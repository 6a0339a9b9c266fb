//! fleet on the machines of the cluster: where its units run, and what becomes of them when machines go and come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::node::Node;
use super::until;
use crate::lab::Lab;

/// Asks fleet; machines that share two cores answer late.
const CTL: &str = "fleetctl --request-timeout=60";
/// From the power-on of all machines to a fleet of them.
const JOIN: Duration = Duration::from_secs(300);
/// From the loss of a machine to its units elsewhere: time to live, grace, and the start.
const MOVE: Duration = Duration::from_secs(300);
/// How long a command of fleetctl may take.
const COMMAND: Duration = Duration::from_secs(300);

/// Two of these are not on one machine.
const PAIR: [&str; 2] = ["app@1.service", "app@2.service"];
const APP: &str = "[Service]
ExecStart=/usr/bin/sleep infinity
[X-Fleet]
Conflicts=app@*.service
";
/// On every machine.
const EVERYWHERE: &str = "everywhere.service";
/// Never in two copies.
const ALONE: &str = "alone.service";
const ALL: [&str; 4] = [PAIR[0], PAIR[1], EVERYWHERE, ALONE];

/// A unit that runs on a machine.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    #[serde(rename = "machineID")]
    machine: String,
    systemd_sub_state: String,
}

/// A machine as fleet lists it.
#[derive(Debug, Deserialize)]
struct Machine {
    #[serde(rename = "primaryIP")]
    address: String,
}

/// The part of a machine's cloud-config that starts fleet with these members of etcd, the machine's own first: another
/// may answer while that one is away.
pub fn config(addresses: &[std::net::Ipv4Addr]) -> String {
    let own = "http://127.0.0.1:2379".to_owned();
    let others = addresses.iter().map(|address| format!("http://{address}:2379"));
    let servers: Vec<String> = std::iter::once(own).chain(others).collect();
    format!(
        "  fleet:\n    public-ip: $private_ipv4\n    etcd-servers: {}\n    etcd-request-timeout: 20\n",
        servers.join(",")
    )
}

/// The unit in the list of a machine's cloud-config.
pub const UNIT: &str = "    - name: fleet.service\n      command: start\n";

/// Waits until each machine lists all of them.
pub fn joined(lab: &Lab, nodes: &[Node]) -> anyhow::Result<()> {
    let expected: BTreeSet<String> = nodes.iter().map(|node| node.address.to_string()).collect();
    nodes.iter().try_for_each(|node| {
        until(lab, JOIN, || {
            let text = node.guest.sh(&format!("{CTL} list-machines --json"))?;
            let found: Vec<Machine> =
                serde_json::from_str(&text).with_context(|| format!("parsing `{text}`"))?;
            let found: BTreeSet<String> = found.into_iter().map(|machine| machine.address).collect();
            ensure!(found == expected, "{} lists {found:?}", node.address);
            Ok(())
        })
    })
}

/// Starts the units, and checks where they are.
pub fn start(nodes: &[Node]) -> anyhow::Result<()> {
    let [first, ..] = nodes else { anyhow::bail!("no machine is there") };
    let files =
        [("app@.service", APP.to_owned()), (EVERYWHERE, one("Global=true")), (ALONE, one("Exclusive=true"))];
    for (name, text) in files {
        write(first, name, &text)?;
    }
    // A global unit is not waited for.
    for names in [PAIR.join(" "), ALONE.to_owned(), EVERYWHERE.to_owned()] {
        fleetctl(first, &format!("start {names}"))?;
    }
    Ok(())
}

/// Starts a unit that runs everywhere, and does not wait for it.
pub fn run_everywhere(node: &Node, name: &str, text: &str) -> anyhow::Result<()> {
    write(node, name, text)?;
    fleetctl(node, &format!("start {name}")).map(drop)
}

/// Waits until all that is wanted runs where it may, as every machine's fleet and systemd say; returns where.
pub fn settled(lab: &Lab, nodes: &[Node]) -> anyhow::Result<BTreeMap<String, String>> {
    until(lab, MOVE, || {
        let places = running(&nodes[0])?;
        let of = |name: &str| -> Vec<&String> {
            places.iter().filter(|(unit, _)| unit == name).map(|(_, machine)| machine).collect()
        };
        ensure!(of(EVERYWHERE).len() == nodes.len(), "{EVERYWHERE} is on {:?}", of(EVERYWHERE));
        for name in PAIR.into_iter().chain([ALONE]) {
            ensure!(of(name).len() == 1, "{name} is on {:?}", of(name));
        }
        ensure!(of(PAIR[0]) != of(PAIR[1]), "both of {PAIR:?} are on {:?}", of(PAIR[0]));
        for node in nodes {
            let machine = node.machine_id()?;
            let wanted: BTreeSet<&str> =
                ALL.into_iter().filter(|name| of(name).contains(&&machine)).collect();
            let found = active(node)?;
            ensure!(found == wanted, "{} runs {found:?} instead of {wanted:?}", node.address);
        }
        Ok(places.iter().filter(|(unit, _)| unit != EVERYWHERE).cloned().collect())
    })
}

/// What systemd calls the runs of all units on all machines: another start is another run.
pub fn runs(nodes: &[Node]) -> anyhow::Result<Vec<String>> {
    let line = format!("systemctl show --property=Id,InvocationID,NRestarts {}", ALL.join(" "));
    nodes.iter().map(|node| node.guest.sh(&line)).collect()
}

/// Drains the machine of a unit; the unit is elsewhere when the command has ended. Takes units again after that.
pub fn drained(lab: &Lab, nodes: &[Node]) -> anyhow::Result<()> {
    let before = settled(lab, nodes)?;
    let unit = PAIR[0];
    let machine = before.get(unit).with_context(|| format!("{unit} is nowhere"))?;
    let [asked, ..] = nodes else { anyhow::bail!("no machine is there") };
    fleetctl(asked, &format!("drain {machine} --timeout 240"))?;
    let units = running(asked)?;
    let left: Vec<_> = units.iter().filter(|(name, place)| place == machine && name != EVERYWHERE).collect();
    ensure!(left.is_empty(), "{left:?} are left");
    let after = settled(lab, nodes)?;
    ensure!(after.get(unit) != Some(machine), "{unit} is still there");
    fleetctl(asked, &format!("undrain {machine}")).map(drop)
}

/// Returns the place of the machine with the exclusive unit among the nodes.
pub fn alone(lab: &Lab, nodes: &[Node]) -> anyhow::Result<usize> {
    let places = settled(lab, nodes)?;
    let machine = places.get(ALONE).with_context(|| format!("{ALONE} is nowhere"))?;
    let ids = nodes.iter().map(Node::machine_id).collect::<Result<Vec<_>, _>>()?;
    ids.iter().position(|id| id == machine).with_context(|| format!("no machine is {machine}"))
}

/// A machine is cut off: its exclusive unit is stopped there before it starts elsewhere, its usual ones run on there and
/// elsewhere.
pub fn cut_off(lab: &Lab, cut: &Node, others: &[&Node]) -> anyhow::Result<()> {
    let mut usual = active(cut)?;
    ensure!(usual.remove(ALONE), "{ALONE} is not on {}", cut.address);
    cut.set_link("down")?;
    let new = until(lab, MOVE, || {
        for node in others {
            if active(node)?.contains(ALONE) {
                return Ok(node);
            }
        }
        anyhow::bail!("{ALONE} runs nowhere else")
    })?;
    let left = active(cut)?;
    ensure!(left == usual, "{} runs {left:?} instead of {usual:?}", cut.address);
    let (stopped, started) = (time(cut, ALONE, "Stopped")?, time(new, ALONE, "Started")?);
    ensure!(stopped < started, "{ALONE} stopped at {stopped} and was started elsewhere at {started}");
    until(lab, MOVE, || {
        let mut found = BTreeSet::new();
        for node in others {
            found.append(&mut active(node)?);
        }
        let missing: Vec<_> = ALL.into_iter().filter(|name| !found.contains(name)).collect();
        ensure!(missing.is_empty(), "{missing:?} run nowhere else");
        Ok(())
    })
}

/// When systemd last said a word such as `Stopped` of a unit, in seconds since 1970. A unit that is stopped is forgotten,
/// with its times; the journal has them.
fn time(node: &Node, name: &str, word: &str) -> anyhow::Result<u64> {
    let line = format!(
        "journalctl -b -q --no-pager -o short-unix -u {name} | grep -F ']: {word} {name}' | tail -n 1"
    );
    let text = node.guest.root(&line)?;
    let secs = text.split('.').next().unwrap_or_default();
    secs.parse().with_context(|| format!("on {}: `{text}` has no time", node.address))
}

/// Writes a unit's file where `core` is at home.
fn write(node: &Node, name: &str, text: &str) -> anyhow::Result<()> {
    node.guest.sh(&format!("cat > {name} <<'END'\n{text}END")).map(drop)
}

fn one(option: &str) -> String {
    format!("[Service]\nExecStart=/usr/bin/sleep infinity\n[X-Fleet]\n{option}\n")
}

/// The units that run, each with its machine.
fn running(node: &Node) -> anyhow::Result<Vec<(String, String)>> {
    let text = node.guest.sh(&format!("{CTL} list-units --json"))?;
    let rows: Vec<Row> = serde_json::from_str(&text).with_context(|| format!("parsing `{text}`"))?;
    let running = rows.into_iter().filter(|row| row.systemd_sub_state == "running");
    Ok(running.map(|row| (row.name, row.machine)).collect())
}

/// The units that systemd says are active.
fn active(node: &Node) -> anyhow::Result<BTreeSet<&'static str>> {
    let states = node.guest.sh(&format!("systemctl is-active {} || true", ALL.join(" ")))?;
    Ok(ALL
        .into_iter()
        .zip(states.lines())
        .filter(|(_, state)| *state == "active")
        .map(|(name, _)| name)
        .collect())
}

fn fleetctl(node: &Node, arguments: &str) -> anyhow::Result<String> {
    let out = node.guest.run(&format!("{CTL} {arguments}"), COMMAND)?;
    let said = || format!("`fleetctl {arguments}` ended with {}: {} {}", out.status, out.stdout, out.stderr);
    ensure!(out.status == 0, "{}", said());
    Ok(out.stdout)
}
