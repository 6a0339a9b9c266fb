//! The agent: makes this machine have the units that the registry wants it to have, and says how they are.
//!
//! What is to be done is decided by `fleet_core::agent`; this is the input and output around it. Three things run at the
//! same time: `session` keeps the machine's lease and key, `sight` follows what is wanted, and `runner` brings the two
//! and the service manager together. When the agent ends it leaves all as it is, units, lease and key: the next
//! process goes on from `/run/fleet/agent.json`.

mod address;
mod claims;
mod elsewhere;
mod facts;
mod local;
mod memory;
mod pause;
mod perform;
mod records;
mod reports;
mod runner;
mod said;
mod session;
mod settings;
mod sight;
mod standing;
mod wishes;

use std::sync::Arc;

use etcd_rpc::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::Metrics;
use crate::journal::Journal;
use crate::systemd::Manager;
use memory::MemoryFile;
use records::Records;
use runner::Runner;
use session::{Again, Session};

pub use settings::Settings;
pub use standing::{Membership, Standing};

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
#[error("beginning as an agent: {0}")]
pub struct Error(#[from] memory::Error);

/// An agent that has not begun.
#[derive(Debug)]
pub struct Agent<M> {
    settings: Arc<Settings>,
    client: Client,
    manager: Arc<M>,
    memory: Arc<MemoryFile>,
    standing: watch::Sender<Standing>,
    records: Records,
}

impl<M: Manager> Agent<M> {
    /// An agent that goes on from what the process before it remembered. It counts with `metrics` and says by `journal`
    /// what keeps it.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn new(
        settings: Settings,
        client: Client,
        manager: Arc<M>,
        metrics: &Metrics,
        journal: Journal,
    ) -> Result<Self, Error> {
        let memory = Arc::new(MemoryFile::open(settings.memory_file.clone(), &settings.boot)?);
        let (standing, _) = watch::channel(Standing::Joining { why: None });
        let records = Records::new(metrics, journal);
        Ok(Self { settings: Arc::new(settings), client, manager, memory, standing, records })
    }

    /// How the machine stands with the cluster, now and later.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Runs until `stop` is done. Nothing is stopped or given up then.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { settings, client, manager, memory, standing, records } = self;
        let again = Arc::new(Again::default());
        let stands = standing.subscribe();
        let session = Session::new(
            Arc::clone(&settings),
            client.clone(),
            Arc::clone(&memory),
            Arc::clone(&again),
            standing,
            records.clone(),
        );
        let runner = Runner::new(settings, client, manager, memory, again, stands, records);
        // Each in a task of its own, so that neither waits for what the other does; both end with the set.
        let mut both = JoinSet::new();
        both.spawn(session.run());
        both.spawn(runner.run());
        tokio::select! {
            () = stop => {}
            ended = both.join_next() => {
                // They end only by a panic, which is passed on.
                if let Some(Err(err)) = ended && let Ok(panic) = err.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}
