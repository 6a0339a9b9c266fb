//! How far the cluster is: machines that are there and units that are active.

use std::collections::BTreeSet;

use etcd_rpc::{Change, Client, Event, Follower, KeyValue};
use fleet::registry::{Key, Keys, StateValue, from_json};
use tokio::time::timeout;

use super::{DEADLINE, PREFIX};

/// What is there.
#[derive(Default)]
pub struct Seen {
    /// Machines.
    pub machines: usize,
    /// Active units.
    pub active: usize,
}

/// Follows machines and reports.
pub struct Progress {
    keys: Keys,
    followers: [Follower; 2],
    machines: BTreeSet<String>,
    active: BTreeSet<String>,
}

impl Progress {
    /// Begins to follow.
    pub fn follow(client: &Client) -> Self {
        let keys = Keys::new(PREFIX);
        let followers = [client.follow(&keys.machines()), client.follow(&keys.states())];
        Self { keys, followers, machines: BTreeSet::new(), active: BTreeSet::new() }
    }

    /// Waits until something is so.
    pub async fn wait(&mut self, is_so: impl Fn(&Seen) -> bool, what: &str) {
        let waited = timeout(DEADLINE, async {
            while !is_so(&Seen { machines: self.machines.len(), active: self.active.len() }) {
                let [machines, states] = &mut self.followers;
                let event = tokio::select! {
                    event = machines.next() => event,
                    event = states.next() => event,
                };
                self.take(event);
            }
        });
        let waited = waited.await;
        assert!(
            waited.is_ok(),
            "in vain: {what}: {} machines, {} active",
            self.machines.len(),
            self.active.len()
        );
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Listing { kvs, .. } => kvs.iter().for_each(|kv| self.put(kv)),
            Event::Changes { changes, .. } => {
                for change in changes {
                    match change {
                        Change::Put(kv) => self.put(&kv),
                        Change::Delete { key, .. } => {
                            self.machines.remove(&key);
                            self.active.remove(&key);
                        }
                    }
                }
            }
            Event::Away(err) => eprintln!("{err}"),
        }
    }

    fn put(&mut self, kv: &KeyValue) {
        match self.keys.parse(&kv.key) {
            Some(Key::Machine(_)) => drop(self.machines.insert(kv.key.clone())),
            Some(Key::State(..)) => {
                let is_active =
                    from_json::<StateValue>(&kv.value).is_ok_and(|state| state.report.active == "active");
                if is_active {
                    self.active.insert(kv.key.clone())
                } else {
                    self.active.remove(&kv.key)
                };
            }
            _ => {}
        }
    }
}
