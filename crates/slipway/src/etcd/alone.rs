//! Makes a data folder that of a cluster of one member, by starting etcd on it once, on loopback.
//!
//! The members that come later get a copy of everything only if this one's log begins behind a state that it wrote
//! itself: in the log of a restored backup the v3 changes are missing, and whoever read that log would miss them for
//! ever, without a word. So etcd is made to write its state, and without one nothing is handed out.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::settings::Settings;
use super::{backup, ctl};

/// How long etcd may read its log.
const START: Duration = Duration::from_secs(600);
const END: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// A process that does not outlive what goes wrong here.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs etcd on the folder once; afterwards the only member is asked by others at `peer_url`.
pub fn make(data_dir: &Path, peer_url: &str) -> anyhow::Result<()> {
    let states = backup::states(data_dir)?;
    let (client, peer) = (free_url()?, free_url()?);
    let mut command = Command::new("etcd");
    command
        .args(["--force-new-cluster", "--enable-v2=true", "--snapshot-count=1", "--log-level=error"])
        .args(["--name=alone", &format!("--initial-cluster=alone={peer}")])
        .args([format!("--listen-client-urls={client}"), format!("--advertise-client-urls={client}")])
        .args([format!("--listen-peer-urls={peer}"), format!("--initial-advertise-peer-urls={peer}")])
        .arg("--data-dir")
        .arg(data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // What the unit's etcd is told is not for this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ETCD_")) {
        command.env_remove(name);
    }
    let mut etcd = Running(command.spawn().context("starting etcd")?);
    let settings = Settings {
        endpoint: client,
        data_dir: data_dir.to_owned(),
        wal_dir: None,
        quota: 0,
        tls: Vec::new(),
        pace: Vec::new(),
    };
    wait_healthy(&mut etcd, &settings)?;
    let members = ctl::members(&settings)?;
    let [member] = &members[..] else {
        bail!("etcd still has {} members after it was made alone", members.len())
    };
    ctl::update_member(&settings, member, peer_url)?;
    kill_process(Pid::from_child(&etcd.0), Signal::TERM).context("ending etcd")?;
    wait_end(&mut etcd)?;
    let written = backup::states(data_dir)?;
    ensure!(!written.is_subset(&states), "etcd wrote no state of its own: members that join would miss keys");
    Ok(())
}

fn wait_healthy(etcd: &mut Running, settings: &Settings) -> anyhow::Result<()> {
    let start = Instant::now();
    while !ctl::healthy(settings).is_ok_and(|urls| !urls.is_empty()) {
        if let Some(status) = etcd.0.try_wait().context("waiting for etcd")? {
            bail!("etcd ended ({status}); its words are above");
        }
        ensure!(start.elapsed() < START, "etcd did not become healthy within {} s", START.as_secs());
        sleep(POLL);
    }
    Ok(())
}

fn wait_end(etcd: &mut Running) -> anyhow::Result<()> {
    let start = Instant::now();
    while etcd.0.try_wait().context("waiting for etcd")?.is_none() {
        ensure!(start.elapsed() < END, "etcd did not end within {} s", END.as_secs());
        sleep(POLL);
    }
    Ok(())
}

/// A loopback address where nobody listens.
fn free_url() -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(format!("http://{}", listener.local_addr().context("looking for a free port")?))
}
