//! A discovery service: one etcd on the host's loopback, which serves the v2 keys of tokens.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use etcd_lab::{Client, Programs};

use crate::lab::Lab;
use crate::site::HOST;

/// From the start of the process to its first answer.
const READY: Duration = Duration::from_secs(60);
/// Between two looks at whether it answers.
const LOOK: Duration = Duration::from_millis(200);

/// A running service. It ends when this value goes.
#[derive(Debug)]
pub struct Discovery {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Discovery {
    /// Starts the service with a folder of the scenario, and waits until it answers.
    pub fn start(lab: &Lab, programs: &Programs) -> anyhow::Result<Self> {
        let dir = lab.folder("discovery")?;
        // Both are held until both are known, so they differ.
        let held = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let [client, peer] = held.map(|listener| anyhow::Ok(listener?.local_addr()?.port()));
        let (port, peer) = (client.context("finding a port")?, peer.context("finding a port")?);
        let [client, peer] = [port, peer].map(|port| format!("http://{}:{port}", Ipv4Addr::LOCALHOST));
        let log = dir.join("log");
        let out = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let child = Command::new(&programs.etcd)
            .args(["--enable-v2=true", "--name=discovery", "--unsafe-no-fsync", "--data-dir"])
            .arg(dir.join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("discovery={peer}")])
            .stdin(Stdio::null())
            .stdout(out.try_clone().context("sharing the log")?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("starting {}", programs.etcd.display()))?;
        let mut service = Self { child, port, log };
        service.wait_ready(READY * lab.setup.patience)?;
        Ok(service)
    }

    /// Returns its port on the host's loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a token, as the guest reaches it.
    pub fn url(&self, token: &str) -> String {
        format!("http://{HOST}:{}/v2/keys/{token}", self.port())
    }

    /// Makes a token for a cluster of so many members.
    pub fn open(&self, token: &str, size: usize) -> anyhow::Result<()> {
        let path = format!("/v2/keys/{token}/_config/size");
        let answer = self.client().put(&path, &format!("value={size}")).context("making a token")?;
        ensure!(answer.is_success(), "making a token: {} {}", answer.status, answer.body);
        Ok(())
    }

    /// Returns what members told, sorted: `NAME=URL` of each.
    pub fn members(&self, token: &str) -> anyhow::Result<Vec<String>> {
        let answer = self.client().get(&format!("/v2/keys/{token}")).context("reading a token")?;
        ensure!(answer.is_success(), "reading a token: {} {}", answer.status, answer.body);
        let nodes = answer.json();
        // There are none before the first member came.
        let nodes = nodes["node"]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let values = nodes.iter().map(|node| node["value"].as_str().map(str::to_owned));
        let mut values: Vec<_> = values.collect::<Option<_>>().context("a member has no value")?;
        values.sort();
        Ok(values)
    }

    fn client(&self) -> Client {
        Client::new(&format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port))
    }

    fn wait_ready(&mut self, timeout: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + timeout;
        loop {
            // Nobody listens at first.
            if self.client().get("/health").is_ok_and(|answer| answer.json()["health"] == "true") {
                return Ok(());
            }
            let ended = self.child.try_wait().context("looking at the discovery service")?;
            ensure!(
                ended.is_none() && Instant::now() < end,
                "the discovery service did not become ready: {}",
                self.last_words()
            );
            sleep(LOOK);
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_else(|err| err.to_string());
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
