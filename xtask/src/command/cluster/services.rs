//! What the machines of a cluster share on this machine: their network, discovery, and an update server.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use etcd_lab::Discovery;
use file_server::Server;
use vm::machine::HOST;
use vm::{Network, Sandbox};

use super::config::{self, Pace, TOKEN};
use super::place::Place;
use super::plan::Plan;

/// From the start of the discovery service to its first answer.
const READY: Duration = Duration::from_secs(60);

/// All of them. They end when this value goes.
#[derive(Debug)]
pub struct Services {
    /// Network of the machines.
    pub network: Network,
    /// URL of the update server on this machine.
    pub updates: String,
    /// The cloud-config that leads machines to all of it.
    pub base: String,
    _discovery: Discovery,
    _server: Server,
}

impl Services {
    /// Starts all of them. Processes end with the calling thread.
    pub fn start(place: &Place, plan: &Plan) -> anyhow::Result<Self> {
        let network = Network::start(place.fresh("net")?).context("starting the private network")?;
        let discovery = discovery(&Sandbox::new(&plan.tools), &plan.etcd, &place.fresh("discovery")?)?;
        discovery.open(TOKEN, plan.size.into()).context("asking the discovery service")?;
        let server = update_server(place)?;
        let pace = if plan.emulated { Pace::Emulated } else { Pace::Usual };
        let base = config::base(plan.size, &discovery.url(HOST, TOKEN), server.address().port(), pace);
        Ok(Self { network, updates: server.url(), base, _discovery: discovery, _server: server })
    }
}

/// Starts the image's etcd in a sandbox, so that it ends with this process whatever ends that.
fn discovery(sandbox: &Sandbox, programs: &Path, dir: &Path) -> anyhow::Result<Discovery> {
    let mut etcd = sandbox.clone().ro_bind(programs).bind(dir).command(programs.join("loader"));
    // The image's own C library, whatever this machine has.
    etcd.arg("--library-path").arg(programs).arg(programs.join("etcd"));
    Discovery::start(etcd, dir, READY).context("starting the discovery service")
}

/// Serves the folder of updates, with a line a request in its log.
fn update_server(place: &Place) -> anyhow::Result<Server> {
    let (dir, path) = (place.updates(), place.updates_log());
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = Mutex::new(log.with_context(|| format!("creating {}", path.display()))?);
    let note = move |line: &str| {
        // A full disk must not keep a machine from its update.
        let _ = writeln!(log.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Server::start(&dir, address, note).context("starting the update server")
}
