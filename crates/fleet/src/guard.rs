//! The guard: `fleetd guard`, the process that ends when this machine's lease can no longer be relied upon.
//!
//! Exclusive units are bound to its unit, so that systemd stops them when it ends, for whatever reason. It is a
//! process of its own and asks nobody: the agent writes until when the lease surely lives ([`write_until`]), the guard reads
//! that and looks at the clock. An agent that was killed, that hangs or that is cut off writes no later time.
//!
//! Its unit is of `Type=notify`: the guard says that it is ready when it has read a time that lies ahead, so that a
//! bound unit does not start without one.

mod clock;
mod until;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use clock::boot_time;
pub use until::{read_until, write_until};

use crate::systemd::FileError;

/// How long the guard sleeps at most. A sleep does not count the time for which the machine was suspended, so the
/// clock is looked at this soon after it woke up.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why the guard ended, other than that the time has passed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file, or it says nothing.
    #[error(
        "{} says no time ({reason}): units bound to the guard stop now; check that fleetd runs (`systemctl status \
         fleet`)", path.display()
    )]
    NoTime {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The time had passed when the guard began.
    #[error(
        "the lease of this machine is not sure to live any more: exclusive units start when fleetd has renewed it \
         (`journalctl -u fleet`)"
    )]
    Over,
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Runs until the time in the file at `path` has passed; calls `ready` when it has begun. The file is read anew all the
/// time, so that a renewal counts.
///
/// # Errors
/// When the file does not say a time, or the time had passed at the beginning: both end the guard at once.
pub async fn run(path: &Path, ready: impl FnOnce()) -> Result<(), Error> {
    if left(path)?.is_zero() {
        return Err(Error::Over);
    }
    ready();
    loop {
        let left = left(path)?;
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
}

/// The time that is left now by the file at `path`.
fn left(path: &Path) -> Result<Duration, Error> {
    Ok(read_until(path)?.since(boot_time()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard");
        (dir, path)
    }

    fn write_left(path: &Path, millis: u64) {
        write_until(path, boot_time().after(Duration::from_millis(millis))).unwrap();
    }

    #[tokio::test]
    async fn ends_when_the_time_has_passed_and_not_before() {
        let (_dir, path) = file();
        let begin = Instant::now();
        write_left(&path, 1000);
        run(&path, || ()).await.unwrap();
        let took = begin.elapsed();
        // The clock counts whole milliseconds.
        assert!(took >= Duration::from_millis(999), "{took:?}");
        assert!(took < Duration::from_secs(30), "{took:?}");
    }

    #[tokio::test]
    async fn a_renewal_keeps_it_alive() {
        let (_dir, path) = file();
        write_left(&path, 1000);
        let begin = Instant::now();
        let guard = tokio::spawn({
            let path = path.clone();
            async move { run(&path, || ()).await }
        });
        write_left(&path, 2000);
        guard.await.unwrap().unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(1999), "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn is_ready_when_the_time_lies_ahead_and_not_before() {
        let (_dir, path) = file();
        let mut is_ready = false;
        write_until(&path, boot_time()).unwrap();
        run(&path, || is_ready = true).await.unwrap_err();
        assert!(!is_ready);
        write_left(&path, 1000);
        run(&path, || is_ready = true).await.unwrap();
        assert!(is_ready);
    }

    #[tokio::test]
    async fn does_not_begin_when_the_time_has_passed() {
        let (_dir, path) = file();
        write_until(&path, boot_time()).unwrap();
        assert!(matches!(run(&path, || ()).await.unwrap_err(), Error::Over));
    }

    #[tokio::test]
    async fn a_file_that_is_missing_or_says_nothing_ends_it() {
        let (_dir, path) = file();
        assert!(run(&path, || ()).await.unwrap_err().to_string().contains("there is no such file"));
        for nothing in ["", "soon\n", "12", "-5\n", "99999999999999999999999\n"] {
            std::fs::write(&path, nothing).unwrap();
            let text = run(&path, || ()).await.unwrap_err().to_string();
            assert!(text.contains("says no time"), "{nothing:?}: {text}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_removed_ends_it() {
        let (_dir, path) = file();
        write_left(&path, 60_000);
        let guard = tokio::spawn({
            let path = path.clone();
            async move { run(&path, || ()).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::fs::remove_file(&path).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), guard).await.unwrap().unwrap();
        assert!(matches!(ended, Err(Error::NoTime { .. })));
    }
}
