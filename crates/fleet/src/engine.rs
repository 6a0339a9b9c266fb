//! The engine: whoever holds the registry's `engine` key decides where units go.
//!
//! What is decided is in `fleet_core::engine`, whose head says what a runner must keep to; this is the runner. A term
//! begins with a lease and a key that nobody else holds, and ends with either: every write compares when the key was
//! created, so what a deposed engine sends is refused.
//!
//! A machine whose settings say `disable_engine` runs none.

mod batch;
mod counters;
mod election;
mod repair;
mod tellings;
mod term;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_rpc::Client;
use fleet_core::engine::Settings as Spans;
use fleet_core::model::MachineId;
use fleet_core::moment::Moment;

use crate::registry::Keys;

pub use counters::{Counters, Counts};

/// How long a lost or failed term waits before it tries again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often it is said that the store is away, for as long as it is.
const SAY_AGAIN: Duration = Duration::from_secs(600);

/// What an engine goes by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Keys of the registry.
    pub keys: Keys,
    /// Machine that it runs on.
    pub machine: MachineId,
    /// Time to live of its term's lease.
    pub lease_ttl: Duration,
    /// Longest time between two passes.
    pub interval: Duration,
    /// Spans of time that decisions go by.
    pub spans: Spans,
}

/// An engine.
#[derive(Debug, Clone)]
pub struct Engine {
    settings: Arc<Settings>,
    client: Client,
    counters: Arc<Counters>,
    started: Instant,
}

/// How a term ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// The engine is to stop: the term is over for everybody.
    Stopped,
    /// Why another term is to begin, by this engine or another one.
    Again(String),
    /// None has begun, and why: the store is away.
    None(String),
}

impl Engine {
    /// An engine that has not begun.
    pub fn new(settings: Settings, client: Client) -> Self {
        Self {
            settings: Arc::new(settings),
            client,
            counters: Arc::new(Counters::default()),
            started: Instant::now(),
        }
    }

    /// Returns what it has done, to be looked at while it runs.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Runs until `stop` is done, which ends a term of its own so that another engine takes over at once. `tell` gets
    /// a line about each term that begins or ends.
    pub async fn run(&self, stop: impl Future<Output = ()>, tell: impl Fn(&str) + Send + Sync) {
        tokio::pin!(stop);
        // When it was said that the store is away: a store that stays away is no news each second.
        let mut said: Option<tokio::time::Instant> = None;
        loop {
            let end = self.term(stop.as_mut(), &tell).await;
            self.counters.leads(false);
            match end {
                End::Stopped => return,
                End::Again(why) => {
                    said = None;
                    tell(&why);
                }
                End::None(why) => {
                    if said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
                        said = Some(tokio::time::Instant::now());
                        tell(&why);
                    }
                }
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// The engine's own clock.
    fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// What the engine's own clock shows at another time.
    fn at(&self, instant: Instant) -> Moment {
        let since = instant.saturating_duration_since(self.started);
        Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use etcd_rpc::Config;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_stays_away_is_told_of_every_ten_minutes() {
        let settings = Settings {
            keys: Keys::new("/fleet/v1/"),
            machine: MachineId("0123456789abcdef0123456789abcdef".to_owned()),
            lease_ttl: Duration::from_secs(10),
            interval: Duration::from_secs(30),
            spans: Spans::default(),
        };
        let client = Client::new(Config::new(["http://127.0.0.1:1"], Duration::from_secs(5))).unwrap();
        let told = Mutex::new(Vec::new());
        let stop = tokio::time::sleep(Duration::from_secs(25 * 60));
        Engine::new(settings, client).run(stop, |line| told.lock().unwrap().push(line.to_owned())).await;
        let told = told.into_inner().unwrap();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("waiting for the engine's key: "), "{told:?}");
    }
}
