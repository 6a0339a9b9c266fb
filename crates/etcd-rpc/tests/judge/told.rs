//! A follower's caller: it keeps what it is told, and checks the promises of each event.

use std::collections::BTreeMap;

use etcd_lab::wait::DEADLINE;
use etcd_rpc::{Change, Client, Error, Event, Follower, KeyValue};
use tokio::time::timeout;

/// What a caller of a follower knows.
#[derive(Debug)]
pub(crate) struct Told {
    follower: Follower,
    /// The keys with their values.
    pub(crate) known: BTreeMap<String, Vec<u8>>,
    /// As of this revision.
    pub(crate) revision: i64,
    /// How many lists there were.
    pub(crate) n_listings: usize,
    /// Why the store was away.
    pub(crate) reasons: Vec<Error>,
    /// Every change with its revision, since the first list.
    pub(crate) changes: Vec<(i64, String)>,
    /// How many changes the longest event had.
    pub(crate) longest: usize,
}

impl Told {
    /// Follows a prefix, and waits for its first list.
    pub(crate) async fn follow(client: &Client, prefix: &str) -> Self {
        let follower = client.follow(prefix);
        let (known, reasons, changes) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut told = Self { follower, known, revision: 0, n_listings: 0, reasons, changes, longest: 0 };
        told.until("the first list", |told| told.n_listings == 1).await;
        told
    }

    /// Takes events until something is known.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            let event = timeout(DEADLINE, self.follower.next()).await;
            self.take(event.unwrap_or_else(|_| panic!("waited in vain: {what}; {self:?}")));
        }
    }

    /// Takes events until a key holds a value.
    pub(crate) async fn until_holds(&mut self, key: &str, value: &str) {
        let what = format!("{key} is {value}");
        self.until(&what, |told| told.known.get(key).is_some_and(|is| is == value.as_bytes())).await;
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Listing { kvs, revision } => {
                self.n_listings += 1;
                self.known = kvs.into_iter().map(|KeyValue { key, value, .. }| (key, value)).collect();
                self.revision = revision;
            }
            Event::Changes { changes, revision } => {
                assert!(revision >= self.revision, "{revision} after {}", self.revision);
                self.longest = self.longest.max(changes.len());
                for change in changes {
                    let (at, key, value) = match change {
                        Change::Put(kv) => (kv.mod_revision, kv.key, Some(kv.value)),
                        Change::Delete { key, revision } => (revision, key, None),
                    };
                    assert!(at > self.revision && at <= revision, "{key} of {at}, after {}", self.revision);
                    self.changes.push((at, key.clone()));
                    match value {
                        Some(value) => self.known.insert(key, value),
                        None => self.known.remove(&key),
                    };
                }
                self.revision = revision;
            }
            Event::Away(error) => self.reasons.push(error),
        }
    }
}
