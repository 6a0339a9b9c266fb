//! The agent as a part, and what keeps it on the board.

use std::sync::Arc;

use etcd_rpc::Client;

use super::board::Board;
use super::stop::Stop;
use crate::agent::{Agent, Error, Settings, Standing};
use crate::http::Metrics;
use crate::journal::Journal;
use crate::systemd::{Bus, Dbus};

/// What the part is made of.
#[derive(Debug, Clone)]
pub struct Working {
    /// What the agent is told.
    pub settings: Settings,
    /// The store.
    pub client: Client,
    /// What is counted.
    pub metrics: Metrics,
    /// How the part is.
    pub board: Board,
    /// Where it is said.
    pub journal: Journal,
}

impl Working {
    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// When there is no agent.
    pub async fn run(self, stop: Stop) -> Result<(), Error> {
        let Self { settings, client, metrics, board, journal } = self;
        let manager = Arc::new(Dbus::new(Bus::System));
        let agent = Agent::new(settings, client, manager, &metrics, journal)?;
        let mut standing = agent.standing();
        let show = async {
            loop {
                let trouble = match &*standing.borrow_and_update() {
                    Standing::Joining { why } => why.clone(),
                    Standing::Twin { why } => Some(why.clone()),
                    Standing::Member(_) => None,
                };
                board.note("agent", |condition| condition.trouble = trouble);
                if standing.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = agent.run(stop.told()) => Ok(()),
            () = show => Ok(()),
        }
    }
}
