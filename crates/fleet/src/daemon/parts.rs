//! The parts of the daemon, made of the settings: API, engine and agent, each of which ends and begins by itself.

use std::convert::Infallible;
use std::path::PathBuf;

use etcd_rpc::Client;
use fleet_core::model::MachineId;
use tokio::task::JoinSet;

use super::board::Board;
use super::deciding::Deciding;
use super::serving::Serving;
use super::stop::{self, Stopper};
use super::supervise::Supervisor;
use super::working::Working;
use super::{GUARD_FILE, store};
use crate::agent;
use crate::config::{Config, Role};
use crate::engine::{self, Engine};
use crate::http::{Listener, Metrics};
use crate::journal::Journal;
use crate::registry::{self, Keys, Service};
use crate::systemd::Places;

/// What the agent remembers over restarts, in the folder that outlives them.
const MEMORY_FILE: &str = "agent.json";
/// The service manager's units until the next boot.
const DROPINS: &str = "/run/systemd/system";

/// Why the parts cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client of the store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What outlives a change of the settings.
#[derive(Debug)]
pub struct Lasting {
    /// This machine.
    pub machine: MachineId,
    /// This boot.
    pub boot: String,
    /// The folder for what outlives a restart and not a boot.
    pub runtime: PathBuf,
    /// How the parts are.
    pub board: Board,
    /// What is counted.
    pub metrics: Metrics,
    /// Where it is said.
    pub journal: Journal,
}

/// All that can go wrong with settings went well.
#[derive(Debug)]
pub struct Whole {
    client: Client,
}

/// The parts while they run.
#[derive(Debug)]
pub struct Parts {
    stopper: Stopper,
    tasks: JoinSet<()>,
}

impl Whole {
    /// Tries what the settings name, without beginning anything.
    ///
    /// # Errors
    /// When files or endpoints cannot be used.
    pub fn of(config: &Config) -> Result<Self, Error> {
        Ok(Self { client: store::client(&config.etcd)? })
    }

    /// Begins.
    pub fn start(self, config: &Config, listeners: Vec<Listener>, lasting: &Lasting) -> Parts {
        let (stopper, stop) = stop::pair();
        let supervisor = Supervisor { board: lasting.board.clone(), journal: lasting.journal, stop };
        let mut tasks = JoinSet::new();
        let keys = Keys::new(&config.etcd.prefix);
        let limits = registry::Limits { page: config.token_limit };
        let machine = lasting.machine.clone();
        let client = self.client.clone();
        let (metrics, board) = (lasting.metrics.clone(), lasting.board.clone());
        let api = Serving {
            listeners,
            service: Service::new(client, keys.clone(), machine.clone(), limits, spans(config)),
            metrics: metrics.clone(),
            board: board.clone(),
            journal: lasting.journal,
        };
        tasks.spawn(supervisor.clone().keep("api", move |stop| endless(api.clone().run(stop))));
        if config.engine.role == Role::Candidate {
            let settings = engine::Settings {
                keys,
                machine,
                lease_ttl: config.engine.ttl,
                interval: config.engine.reconcile,
                spans: spans(config),
            };
            let (client, journal) = (self.client.clone(), lasting.journal);
            tasks.spawn(supervisor.clone().keep("engine", move |stop| {
                let engine = Engine::new(settings.clone(), client.clone());
                let (metrics, board) = (metrics.clone(), board.clone());
                endless(Deciding { engine, metrics, board, journal }.run(stop))
            }));
        }
        let working = Working {
            settings: agent_settings(config, lasting),
            client: self.client,
            metrics: lasting.metrics.clone(),
            board: lasting.board.clone(),
            journal: lasting.journal,
        };
        tasks.spawn(supervisor.keep("agent", move |stop| working.clone().run(stop)));
        Parts { stopper, tasks }
    }
}

impl Parts {
    /// Ends them, and waits until they have.
    pub async fn stop(&mut self) {
        self.stopper.stop();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A part that does not fail, as others do.
async fn endless(part: impl Future<Output = ()>) -> Result<(), Infallible> {
    part.await;
    Ok(())
}

/// The spans of time that engine and API go by.
fn spans(config: &Config) -> fleet_core::engine::Settings {
    fleet_core::engine::Settings {
        ttl: config.agent_ttl,
        grace: config.grace,
        mass_wait: config.engine.mass_loss_wait,
        ..fleet_core::engine::Settings::default()
    }
}

fn agent_settings(config: &Config, lasting: &Lasting) -> agent::Settings {
    agent::Settings {
        machine: lasting.machine.clone(),
        boot: lasting.boot.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        keys: Keys::new(&config.etcd.prefix),
        ttl: config.agent_ttl,
        grace: config.grace,
        public_ip: config.public_ip.map(|ip| ip.to_string()),
        metadata: config.metadata.clone(),
        places: Places { units: config.units_directory.clone(), dropins: DROPINS.into() },
        memory_file: lasting.runtime.join(MEMORY_FILE),
        guard_file: lasting.runtime.join(GUARD_FILE),
    }
}
