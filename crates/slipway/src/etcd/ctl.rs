//! `etcdctl`: one function each for what this agent asks of it.

use std::path::Path;
use std::process::{Command, Stdio};

use agent_support::tools::{check, run};
use anyhow::Context;

use super::member::{Member, parse_health, parse_list};
use super::settings::Settings;

/// Longer than etcd itself waits for a majority.
const TIMEOUT: &str = "20s";

/// Returns the members. etcd answers only with a majority.
pub fn members(settings: &Settings) -> anyhow::Result<Vec<Member>> {
    parse_list(&run(command(settings).args(["member", "list", "--write-out=json"]))?)
}

/// Returns the client URLs of all healthy members.
pub fn healthy(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let mut command = command(settings);
    command.args(["endpoint", "health", "--cluster", "--write-out=json"]).stdin(Stdio::null());
    let out = command.output().context("running etcdctl")?;
    // It fails when one member is ill, and says which all the same.
    parse_health(&String::from_utf8_lossy(&out.stdout)).or_else(|err| {
        check(out, "etcdctl")?;
        Err(err)
    })
}

/// Removes a member.
pub fn remove_member(settings: &Settings, member: &Member) -> anyhow::Result<()> {
    run(command(settings).args(["member", "remove", &member.hex()])).map(drop)
}

/// Tells the cluster where a member is asked by the others.
pub fn update_member(settings: &Settings, member: &Member, peer_url: &str) -> anyhow::Result<()> {
    let urls = format!("--peer-urls={peer_url}");
    run(command(settings).args(["member", "update", &member.hex(), &urls])).map(drop)
}

/// Adds a member that will start at these URLs.
pub fn add_member(settings: &Settings, name: &str, peer_urls: &[String]) -> anyhow::Result<()> {
    let urls = format!("--peer-urls={}", peer_urls.join(","));
    run(command(settings).args(["member", "add", name, &urls])).map(drop)
}

/// Returns what `etcdctl alarm list` prints, as JSON.
pub fn alarms(settings: &Settings) -> anyhow::Result<String> {
    run(command(settings).args(["alarm", "list", "--write-out=json"]))
}

/// Returns what `etcdctl endpoint status` prints of this member, as JSON.
pub fn status(settings: &Settings) -> anyhow::Result<String> {
    run(command(settings).args(["endpoint", "status", "--write-out=json"]))
}

/// Saves the v3 keys into a new file.
pub fn save_snapshot(settings: &Settings, file: &Path) -> anyhow::Result<()> {
    let mut command = command(settings);
    // The time that a large database takes is not that of an answer.
    command.arg("--command-timeout=10m").args(["snapshot", "save"]).arg(file);
    run(&mut command).map(drop)
}

/// Checks a file of [`save_snapshot`] and returns what `etcdctl snapshot status` prints, as JSON.
pub fn snapshot_status(file: &Path) -> anyhow::Result<String> {
    run(Command::new("etcdctl").args(["snapshot", "status", "--write-out=json"]).arg(file))
}

/// Copies the v2 keys of a data folder, whose member may run and whose log may be elsewhere, into a new folder. Every
/// record's checksum is checked.
pub fn copy_v2(data_dir: &Path, wal_dir: Option<&Path>, to: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "2").env_remove("ETCDCTL_ENDPOINTS");
    command.args(["backup", "--data-dir"]).arg(data_dir).arg("--backup-dir").arg(to);
    if let Some(wal_dir) = wal_dir {
        command.arg("--wal-dir").arg(wal_dir);
    }
    run(&mut command).map(drop)
}

fn command(settings: &Settings) -> Command {
    let mut command = Command::new("etcdctl");
    // It refuses to be told twice.
    command.env_remove("ETCDCTL_ENDPOINTS").env_remove("ETCDCTL_API");
    command.envs(settings.tls.iter().map(|(name, value)| (name, value)));
    command.arg(format!("--endpoints={}", settings.endpoint));
    command.arg(format!("--command-timeout={TIMEOUT}")).arg("--dial-timeout=5s");
    command
}
