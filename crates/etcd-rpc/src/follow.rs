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
    task: JoinHandle<()>,
}

impl Client {
    /// Begins to follow all keys that begin with `prefix`. Must be called within a tokio runtime.
    pub fn follow(&self, prefix: &str) -> Follower {
        let (tell, events) = mpsc::channel(EVENTS_AHEAD);
        let task = tokio::spawn(task::run(self.clone(), prefix.to_owned(), tell));
        Follower { events, task }
    }
}

impl Follower {
    /// Waits for the next event. May be dropped and called again (`select!`): no event is lost.
    ///
    /// # Panics
    /// When the runtime of [`Client::follow`] has ended.
    pub async fn next(&mut self) -> Event {
        self.events.recv().await.expect("the task that follows ends only with its runtime")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}
