//! Following a prefix: a list, then every change after it, over lost connections and compactions.

mod course;
mod pauses;
mod task;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::error::Error;
use crate::keys::KeyValue;

/// How many events wait for a caller that is busy; then etcd keeps them.
const EVENTS_AHEAD: usize = 16;

/// What a [`Follower`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// All keys of the prefix. The first event of all that is not [`Event::Away`], and again whenever changes may have
    /// been missed: it replaces everything that was known.
    Listing {
        /// The keys in their order.
        kvs: Vec<KeyValue>,
        /// The revision at which this was so.
        revision: i64,
    },
    /// What changed since the event before, in the order in which it happened; one revision's changes are never
    /// divided. Empty after [`Event::Away`] if the connection is back and nothing was missed.
    Changes {
        /// The changes.
        changes: Vec<Change>,
        /// The prefix is known as of this revision.
        revision: i64,
    },
    /// The store cannot be heard, or said that it will not tell. The follower tries again by itself, with growing
    /// pauses, and says so again only when the kind of the error becomes another one. The next event that is not this
    /// one means that the store is back.
    Away(Error),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key was written.
    Put(KeyValue),
    /// The key was deleted, or its lease ended.
    Delete {
        /// The key.
        key: String,
        /// The revision that deleted it.
        revision: i64,
    },
}

/// Follows a prefix until it is dropped.
///
/// From one [`Event::Listing`] to the next, no change is left out, none is told twice, and revisions only grow.
#[derive(Debug)]
pub struct Follower {
    events: mpsc::Receiver<Event>,
    /// Without it the runtime has ended.
    task: Option<JoinHandle<()>>,
}

impl Client {
    /// Begins to follow all keys that begin with `prefix`. Must be called within a tokio runtime.
    pub fn follow(&self, prefix: &str) -> Follower {
        let (tell, events) = mpsc::channel(EVENTS_AHEAD);
        let task = tokio::spawn(task::run(self.clone(), prefix.to_owned(), tell));
        Follower { events, task: Some(task) }
    }
}

impl Follower {
    /// Waits for the next event. May be dropped and called again (`select!`): no event is lost. When the runtime of
    /// [`Client::follow`] ends no more of them come, which is waited for until whoever waits is ended too.
    pub async fn next(&mut self) -> Event {
        if let Some(event) = self.events.recv().await {
            return event;
        }
        if let Some(task) = self.task.take()
            && let Err(err) = task.await
            && let Ok(panic) = err.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
        std::future::pending().await
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime::Runtime;
    use tokio::time::timeout;

    use crate::{Client, Config};

    /// Tasks of a runtime that ends are ended one after the other: one may still wait for another that is gone.
    #[test]
    fn a_follower_whose_runtime_has_ended_is_waited_for_in_silence() {
        let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let mut follower = {
            let _inside = first.enter();
            // Nobody listens there.
            let config = Config::new(["http://127.0.0.1:1"], Duration::from_secs(1));
            Client::new(config).unwrap().follow("/")
        };
        first.shutdown_background();
        second.block_on(async {
            // What it had to say before that may come first; after that nothing does.
            let silence = Duration::from_millis(200);
            while timeout(silence, follower.next()).await.is_ok() {}
            timeout(silence, follower.next()).await.unwrap_err();
        });
    }
}
