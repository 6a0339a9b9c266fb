//! A cluster takes an update machine by machine, and a bad one stops with the first machine that tries it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use vm::machine::HOST;

use super::etcd_cluster::node::Node;
use super::etcd_cluster::{self, fleet, until};
use super::next::runs;
use crate::guest::BOOT;
use crate::image::Image;
use crate::lab::Lab;
use crate::site::Site;
use crate::standin::discovery;
use crate::variant::{Change, Variant};

/// Machines of the cluster.
const SIZE: u8 = 3;
const TOKEN: &str = "5ad0c1f0b25a4e1a9b7f5ad0c1f0b25a";
/// From the offer of a version to the last machine that runs it: three updates, three reboots, one after another.
const ROLL: Duration = Duration::from_secs(2400);
/// From the offer of a bad version to the machine that has tried it and is back.
const FALL: Duration = Duration::from_secs(1800);
/// Until every machine knows of a failure.
const TOLD: Duration = Duration::from_secs(300);
/// Of all machines, the part of the cloud-config that makes them ask before they reboot.
const UPDATE: &str = "  update:\n    reboot-strategy: etcd-lock\n";
/// A writer on each machine, which notes what etcd has acknowledged and when. Its own etcd may be away.
const WRITER: &str = r#"[Service]
StateDirectory=writer
Restart=always
RestartSec=5
ExecStart=/usr/bin/bash -c 'n=$(wc -l < /var/lib/writer/written || echo 0); id=$(cat /etc/machine-id); while sleep 1; do n=$((n+1)); if curl -sf --max-time 20 -X PUT -d value=$n http://127.0.0.1:2379/v2/keys/writer/$id/$n >/dev/null; then echo $n $(date +%%s) >> /var/lib/writer/written; fi; done'
[X-Fleet]
Global=true
"#;

/// E01 and the coordination of F02: version 1 everywhere, then 2, then one that no kernel survives.
pub fn one_after_another(lab: &Lab) -> anyhow::Result<()> {
    let (second, third) = match lab.next_images::<2>()? {
        [second, third] => (second, third),
    };
    let discovery = discovery::start(lab)?;
    discovery.open(TOKEN, SIZE.into())?;
    let network = lab.network()?;
    let site = Site::start(lab)?;
    let config = etcd_cluster::config(&discovery.url(HOST, TOKEN)).replacen(
        "\n  units:",
        &format!("\n{UPDATE}  units:"),
        1,
    );
    let nodes = (1..=SIZE)
        .map(|number| Node::new(lab, &network, number, etcd_cluster::address(number), &config))
        .collect::<Result<Vec<_>, _>>()?;
    let outcome = live(lab, &site, &nodes, second, third);
    if outcome.is_err() {
        nodes.iter().for_each(|node| lab.say(&last_words(node)));
    }
    outcome
}

fn live(lab: &Lab, site: &Site, nodes: &[Node], second: &Image, third: &Image) -> anyhow::Result<()> {
    etcd_cluster::boot(nodes)?;
    lab.check("three machines with fleet's units, and a slot that is free", || {
        until(lab, BOOT, || etcd_cluster::agreed(nodes))?;
        fleet::joined(lab, nodes)?;
        fleet::start(nodes)?;
        fleet::run_everywhere(&nodes[0], "writer.service", WRITER)?;
        fleet::settled(lab, nodes)?;
        nodes.iter().try_for_each(is_free)
    })?;
    nodes.iter().try_for_each(|node| site.tell(&node.guest, "etcd-lock"))?;
    site.offer(second, 1)?;
    lab.check("all take the version without a command", || {
        until(lab, ROLL, || nodes.iter().try_for_each(|node| has_arrived(node, second)))
    })?;
    lab.check("no two were away at once", || apart(nodes))?;
    lab.check("etcd lost nothing that it acknowledged, and took writes while each was away", || {
        until(lab, BOOT, || etcd_cluster::agreed(nodes))?;
        nothing_lost(nodes)
    })?;
    lab.check("every unit of fleet runs where it may, and the slot is free", || {
        fleet::joined(lab, nodes)?;
        fleet::settled(lab, nodes)?;
        until(lab, TOLD, || nodes.iter().try_for_each(is_free))
    })?;

    let bad = Variant {
        image: third,
        version: third.version.clone(),
        change: Change::Arguments("rdinit=/nowhere"),
    };
    let before = nodes.iter().map(|node| node.guest.resets()).collect::<Result<Vec<_>, _>>()?;
    site.offer_variant(&bad, 2)?;
    lab.check("a bad version is refused by all, after one has tried it", || {
        until(lab, FALL, || nodes.iter().try_for_each(|node| refuses(node, &bad)))?;
        let after = nodes.iter().map(|node| node.guest.resets()).collect::<Result<Vec<_>, _>>()?;
        let tried = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        ensure!(tried == 1, "{tried} machines were reset: {before:?} became {after:?}");
        nodes.iter().try_for_each(|node| runs(&node.guest, second))
    })?;
    lab.check("locks are free, units run, and the group says what happened", || {
        until(lab, TOLD, || nodes.iter().try_for_each(is_free))?;
        fleet::joined(lab, nodes)?;
        fleet::settled(lab, nodes)?;
        let said = nodes[0].guest.sh("locksmithctl versions")?;
        ensure!(said.contains(&bad.version.to_string()) && said.contains("failed"), "it says:\n{said}");
        Ok(())
    })?;
    lab.check("so does the status page of a machine that was told to serve it", || {
        nodes[0].guest.root("systemctl start slipway-cluster.service")?;
        let failed = format!("version {} failed on ", bad.version);
        until(lab, TOLD, || etcd_cluster::page_says(&nodes[0].guest, &[&failed, "etcd has its quorum"]))
    })
}

/// The semaphore of the group has its one slot, and nobody holds it.
fn is_free(node: &Node) -> anyhow::Result<()> {
    let status = json(node, "locksmithctl status --json")?;
    let is_free =
        status["available"] == 1 && status["max"] == 1 && status["holders"] == serde_json::json!([]);
    ensure!(is_free, "{} says {status}", node.address);
    Ok(())
}

fn has_arrived(node: &Node, image: &Image) -> anyhow::Result<()> {
    let status = json(node, "sudo slipway-update status --json")?;
    let version = image.version.to_string();
    let is_good = status["running_version"] == *version && status["good_version"] == *version;
    ensure!(is_good, "{} says {status}", node.address);
    Ok(())
}

/// The version failed here or elsewhere in the group, and does not wait.
fn refuses(node: &Node, variant: &Variant<'_>) -> anyhow::Result<()> {
    let status = json(node, "sudo slipway-update status --json")?;
    let version = variant.version.to_string();
    let failed = status["failed_versions"].as_array().context("no list of failed versions")?;
    let is_known = failed.iter().any(|failed| failed["version"] == *version && failed["forgiven"] == false);
    ensure!(is_known && status["waiting_version"].is_null(), "{} says {status}", node.address);
    Ok(())
}

/// Each machine was away from the last word of its first boot to the first of its second.
fn apart(nodes: &[Node]) -> anyhow::Result<()> {
    let mut spans = nodes.iter().map(away).collect::<Result<Vec<_>, _>>()?;
    spans.sort_unstable();
    let is_apart = spans.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    ensure!(is_apart, "machines were away, in microseconds since 1970: {spans:?}");
    Ok(())
}

/// From the end of a machine's last boot but one to the moment at which its last boot was complete.
fn away(node: &Node) -> anyhow::Result<(u64, u64)> {
    let boots = json(node, "sudo journalctl --list-boots --output=json")?;
    let boots = boots.as_array().context("no list of boots")?;
    let [.., before, _] = boots.as_slice() else {
        anyhow::bail!("{} has {} boots", node.address, boots.len())
    };
    let end = before["last_entry"].as_u64().context("a boot without an end")?;
    let complete = node.guest.root(
        "journalctl -b -q -o json -u boot-complete.target --no-pager | tail -n 1 | \
         sed 's/.*\"__REALTIME_TIMESTAMP\":\"\\([0-9]*\\)\".*/\\1/'",
    )?;
    Ok((end, complete.parse().with_context(|| format!("`{complete}` is no time"))?))
}

/// Every write that was acknowledged is there, and while each machine was away another's were.
fn nothing_lost(nodes: &[Node]) -> anyhow::Result<()> {
    let mut times = BTreeSet::new();
    for node in nodes {
        let id = node.machine_id()?;
        let lines = node.guest.root("cat /var/lib/writer/written")?;
        let written: Vec<(&str, u64)> = lines
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(n, time)| Ok((n, time.parse().with_context(|| format!("`{time}` is no time"))?)))
            .collect::<anyhow::Result<_>>()?;
        ensure!(!written.is_empty(), "{} wrote nothing", node.address);
        let kept = json(node, &format!("curl -s 'http://127.0.0.1:2379/v2/keys/writer/{id}?quorum=true'"))?;
        let kept: BTreeSet<&str> = kept["node"]["nodes"]
            .as_array()
            .context("no keys of the writer")?
            .iter()
            .filter_map(|node| node["value"].as_str())
            .collect();
        let lost: Vec<_> = written.iter().filter(|(n, _)| !kept.contains(n)).collect();
        ensure!(lost.is_empty(), "{} of {} writes of {} are lost", lost.len(), written.len(), node.address);
        times.extend(written.into_iter().map(|(_, time)| time));
    }
    for node in nodes {
        let (from, to) = away(node)?;
        let (from, to) = (from / 1_000_000, to / 1_000_000);
        ensure!(times.range(from..=to).next().is_some(), "no write while {} was away", node.address);
    }
    Ok(())
}

fn json(node: &Node, line: &str) -> anyhow::Result<Value> {
    let text = node.guest.sh(line)?;
    serde_json::from_str(&text).with_context(|| format!("`{line}` on {} printed `{text}`", node.address))
}

/// What decides about reboots logged last, for a report.
fn last_words(node: &Node) -> String {
    let line = "sudo journalctl --no-pager -q -n 60 -u locksmithd.service -u slipway-update.service; \
                locksmithctl status --json; locksmithctl machines; locksmithctl versions; \
                sudo slipway-update status";
    let said = node.guest.sh(line).unwrap_or_else(|err| format!("{err:#}"));
    format!("--- locksmith of {}\n{said}\n{}", node.address, node.last_words())
}
