//! The server: accepts connections, limits what each may cost, and ends gracefully.

mod connection;
mod exchange;
mod limits;
mod observed;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{Listener, Metrics};
use crate::api::Api;
use crate::journal::{Journal, Level};
pub use limits::Limits;
use observed::Observed;

/// How long accepting rests after it failed, which it does where files run out.
const PAUSE: Duration = Duration::from_millis(500);

/// Serves an [`Api`].
pub struct Server<A>(Arc<Shared<A>>);

/// What all connections have.
struct Shared<A> {
    api: Arc<A>,
    metrics: Metrics,
    observed: Observed,
    journal: Journal,
    limits: Limits,
}

impl<A: Api> Server<A> {
    /// Makes a server; `/metrics` shows all that `metrics` has, and `journal` gets what no client is told.
    pub fn new(api: Arc<A>, metrics: Metrics, journal: Journal, limits: Limits) -> Self {
        let observed = Observed::new(&metrics);
        Self(Arc::new(Shared { api, metrics, observed, journal, limits }))
    }

    /// Serves until `stop` comes, then ends what is under way, for as long as the limits say. The listeners stay open
    /// for the next server; what comes in between waits.
    pub async fn serve(&self, listeners: &[Listener], stop: impl Future<Output = ()> + Send) {
        let (end, ending) = watch::channel(());
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(Arc::clone(&self.0), listener.clone(), ending.clone()));
        }
        drop(ending);
        stop.await;
        drop(end);
        while tasks.join_next().await.is_some() {}
    }
}

impl<A> fmt::Debug for Server<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// Accepts at one listener until the other end of `ending` is dropped. Each listener has slots of its own, so that
/// nobody on the network takes those of the unix socket.
async fn accept<A: Api>(shared: Arc<Shared<A>>, listener: Listener, ending: watch::Receiver<()>) {
    let slots = Arc::new(Semaphore::new(shared.limits.connections));
    let mut connections = JoinSet::new();
    let mut ended = ending.clone();
    loop {
        // Without a free slot nothing is accepted: the kernel lets clients wait.
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("nobody closes the semaphore");
            (listener.accept().await, slot)
        };
        tokio::select! {
            _ = ended.changed() => break,
            // Ends are collected as they come, so that the set does not grow.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (accepted, slot) = next => match accepted {
                Ok(accepted) => {
                    connections.spawn(connection::run(Arc::clone(&shared), accepted, slot, ending.clone()));
                }
                Err(err) => {
                    let text = format!("the API cannot accept clients at {listener}: {err}");
                    shared.journal.say(Level::Error, &text);
                    shared.observed.failed("accept");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(shared.limits.end_time, all).await.is_err() {
        connections.shutdown().await;
    }
}
