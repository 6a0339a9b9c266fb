//! etcd without any configuration: one member that serves the v2 keys and the v3 API.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::guest::Guest;
use crate::lab::Lab;

const KEYS: &str = "http://127.0.0.1:2379/v2/keys";

/// Loses what was written behind a backup, keys of both kinds, and nothing else.
const RESTORED: &str = "
etcdctl put /three lost >/dev/null
curl -s -X PUT -d value=lost http://127.0.0.1:2379/v2/keys/message >/dev/null
systemctl stop etcd.service
! systemctl is-active --quiet slipway-etcd-backup.timer
slipway etcd restore $(ls /var/lib/slipway/etcd/backups) >/dev/null
systemctl start etcd.service
test $(stat -c '%a %U' /var/lib/etcd/default | tr ' ' :) = 700:etcd
test $(etcdctl get --print-value-only /three) = ok
curl -s http://127.0.0.1:2379/v2/keys/message | grep -q '\"value\":\"three\"'
etcdctl endpoint health >/dev/null";

/// The scenario.
pub fn run(lab: &Lab, guest: &Guest) -> anyhow::Result<()> {
    lab.check("`systemctl start etcd` is all it needs", || {
        guest.root("systemctl start etcd.service && systemctl is-active etcd.service").map(drop)
    })?;
    lab.check("v2 puts and gets", || {
        let put = keys(guest, "-X PUT -d value=one", "/message")?;
        ensure!(put["action"] == "set" && put["node"]["value"] == "one", "{put}");
        let got = keys(guest, "", "/message")?;
        ensure!(got["node"]["value"] == "one", "{got}");
        Ok(())
    })?;
    lab.check("v2 wait returns with the change", || {
        let script = format!(
            "curl -s --max-time 60 '{KEYS}/message?wait=true' > /tmp/waited & \
             sleep 3; curl -s -X PUT -d value=two {KEYS}/message >/dev/null; wait; cat /tmp/waited"
        );
        let waited = parse(&guest.root(&script)?)?;
        ensure!(waited["action"] == "set" && waited["node"]["value"] == "two", "{waited}");
        Ok(())
    })?;
    lab.check("v2 compare-and-swap compares", || {
        let good = keys(guest, "-X PUT -d value=three", "/message?prevValue=two")?;
        ensure!(good["action"] == "compareAndSwap", "{good}");
        let bad = keys(guest, "-X PUT -d value=four", "/message?prevValue=two")?;
        ensure!(bad["errorCode"] == 101, "{bad}");
        Ok(())
    })?;
    lab.check("v3 puts and gets", || {
        let text = guest.sh("etcdctl put /three ok && etcdctl get --print-value-only /three")?;
        ensure!(text == "OK\nok", "{text}");
        Ok(())
    })?;
    lab.check("it is watched and backed up while it runs, and restored on a machine of its own", || {
        guest.root("systemctl is-active slipway-etcd-backup.timer slipway-etcd-check.timer")?;
        guest.root("systemctl start slipway-etcd-check.service slipway-etcd-backup.service")?;
        guest.root(RESTORED).map(drop)
    })?;
    lab.check("its data survives a restart of the service", || {
        let text = guest.root("systemctl restart etcd.service && etcdctl get --print-value-only /three")?;
        ensure!(text == "ok", "{text}");
        Ok(())
    })
}

fn keys(guest: &Guest, options: &str, path: &str) -> anyhow::Result<Value> {
    parse(&guest.sh(&format!("curl -s --max-time 60 {options} '{KEYS}{path}'"))?)
}

/// Reads what etcd answered.
pub fn parse(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).with_context(|| format!("parsing etcd's answer `{text}`"))
}
