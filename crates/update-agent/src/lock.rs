//! One worker at a time: an advisory lock that the kernel takes back when its holder dies.

use std::fs::{self, File, OpenOptions};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_support::host::Host;
use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use crate::files;

/// How long a command waits for the lock before it gives up.
pub const COMMAND_WAIT: Duration = Duration::from_secs(2);
/// How long the state may take to be changed by another.
const STATE_WAIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock for working on an update; waits for at most `wait`.
pub fn work(host: &Host, wait: Duration) -> anyhow::Result<Lock> {
    let lock = take(host, files::LOCK_FILE, wait)?;
    lock.context(
        "another slipway-update is at work: `slipway-update watch` shows it; try again when it is done",
    )
}

/// Takes the lock for changing the state.
pub fn state(host: &Host) -> anyhow::Result<Lock> {
    let lock = take(host, files::STATE_LOCK_FILE, STATE_WAIT)?;
    lock.context("another slipway-update holds the state: try again")
}

/// Returns whether somebody works on an update now.
pub fn is_working(host: &Host) -> bool {
    // Whoever may not open the file cannot tell; then the status file is believed.
    match File::open(host.path(files::LOCK_FILE)) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockShared).is_err(),
        Err(err) => err.kind() != std::io::ErrorKind::NotFound,
    }
}

fn take(host: &Host, path: &str, wait: Duration) -> anyhow::Result<Option<Lock>> {
    let path = host.path(path);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    let start = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(Lock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) if start.elapsed() < wait => sleep(POLL),
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(err) => return Err(err).with_context(|| format!("locking {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn only_one_works_at_a_time_and_a_dropped_lock_is_free() {
        let tree = Tree::new();
        assert!(!is_working(&tree.host));
        let lock = work(&tree.host, Duration::ZERO).unwrap();
        assert!(is_working(&tree.host));
        let err = work(&tree.host, Duration::from_millis(60)).unwrap_err().to_string();
        assert!(err.contains("slipway-update watch"), "{err}");
        state(&tree.host).unwrap();
        drop(lock);
        assert!(!is_working(&tree.host));
        work(&tree.host, Duration::ZERO).unwrap();
    }
}
