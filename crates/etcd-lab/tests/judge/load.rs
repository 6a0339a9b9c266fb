//! Clients that write all the time, and remember what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use etcd_lab::{Client, until};

/// A writer at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Load {
    /// Creates one key after another below `/load`, asking the members in turn.
    pub fn start(clients: Vec<Client>) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let thread = thread::spawn(move || {
            let mut keys = BTreeSet::new();
            for (n, client) in clients.iter().cycle().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                // One that is refused or unanswered has an unknown outcome, and the next key is another.
                let key = format!("/v2/keys/load/{n}");
                if client
                    .put(&format!("{key}?prevExist=false"), "value=v")
                    .is_ok_and(|answer| answer.status == 201)
                {
                    keys.insert(key);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
            keys
        });
        Self { stop, acknowledged, thread }
    }

    /// Waits until some more writes were acknowledged.
    #[track_caller]
    pub fn wait_for_more(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        until("writes go on", || (before + 20 < self.acknowledged.load(Ordering::Relaxed)).then_some(()));
    }

    /// Ends the writing, and checks that `client` reads back, with a quorum, everything that was acknowledged.
    #[track_caller]
    pub fn finish(self, client: &Client) {
        self.stop.store(true, Ordering::Relaxed);
        let acknowledged = self.thread.join().unwrap();
        let listing = until("a read with a quorum", || {
            client.get("/v2/keys/load?quorum=true").ok().filter(|answer| answer.status == 200)
        });
        let listing = listing.json();
        let nodes = listing["node"]["nodes"].as_array().unwrap();
        let found: BTreeSet<String> =
            nodes.iter().map(|node| format!("/v2/keys{}", node["key"].as_str().unwrap())).collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(
            lost.is_empty(),
            "{} of {} acknowledged writes are lost: {lost:?}",
            lost.len(),
            acknowledged.len()
        );
        assert!(!acknowledged.is_empty());
    }
}
