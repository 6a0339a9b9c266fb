//! What time it is, for a machine whose clock may start in 1970.

use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_support::boot;
use agent_support::host::Host;
use payload::channel::Known;

use crate::files;
use crate::state::Seen;

/// How long the agent waits for the clock to be synchronized before it goes on without.
pub const SYNC_WAIT: Duration = Duration::from_secs(300);

/// What is known of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Seconds since 1970 by the machine's clock.
    pub secs: u64,
    /// Whether it was synchronized in this boot.
    pub is_synchronized: bool,
    /// Build time of the running `/usr`; 0 if it does not say.
    pub build_time: u64,
}

impl Clock {
    /// Reads the clock.
    pub fn read(host: &Host, build_time: u64) -> Self {
        let is_synchronized = host.path(files::SYNCHRONIZED_FILE).exists();
        Self { secs: boot::now(), is_synchronized, build_time }
    }

    /// Returns the idea of now with what was seen of a channel: the latest of all.
    pub fn now(&self, seen: Seen) -> u64 {
        self.secs.max(self.build_time).max(seen.issued)
    }

    /// Returns what a channel file is judged by.
    pub fn known(&self, seen: Seen) -> Known {
        Known {
            now: self.now(seen),
            synchronized: self.is_synchronized.then_some(self.secs),
            sequence: seen.sequence,
        }
    }
}

/// Waits until the clock is synchronized, for at most `wait`. Returns whether it is.
pub fn wait_for_sync(host: &Host, wait: Duration) -> bool {
    let start = Instant::now();
    loop {
        if host.path(files::SYNCHRONIZED_FILE).exists() {
            return true;
        }
        if wait <= start.elapsed() {
            return false;
        }
        sleep(Duration::from_secs(1).min(wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn now_is_the_latest_of_clock_build_time_and_newest_issue() {
        let clock = |secs, build_time| Clock { secs, is_synchronized: false, build_time };
        let seen = Seen { sequence: 3, issued: 50 };
        assert_eq!(clock(100, 0).now(seen), 100);
        assert_eq!(clock(10, 70).now(seen), 70);
        assert_eq!(clock(10, 20).now(seen), 50);
        let expected = Known { now: 50, synchronized: None, sequence: 3 };
        assert_eq!(clock(10, 20).known(seen), expected);
        let clock = Clock { is_synchronized: true, ..clock(10, 20) };
        assert_eq!(clock.known(seen), Known { synchronized: Some(10), ..expected });
    }

    #[test]
    fn waiting_ends_with_the_file_or_the_time() {
        let tree = Tree::new();
        assert!(!wait_for_sync(&tree.host, Duration::from_millis(1)));
        tree.file(files::SYNCHRONIZED_FILE, "");
        assert!(wait_for_sync(&tree.host, Duration::ZERO));
        assert!(Clock::read(&tree.host, 0).is_synchronized);
    }
}
