//! Until when the lease surely lives: the file that the agent writes and the guard reads.

use std::path::Path;
use std::time::Duration;

use super::{Error, boot_time};
use crate::systemd::FileError;
use crate::systemd::{read_file, write_file};

/// The margin where the TTL allows it.
const MARGIN_MAX: Duration = Duration::from_secs(10);

/// Returns how long before the end of a lease with this TTL exclusive units are stopped: ten seconds, and at most a
/// third of the TTL.
pub fn margin(ttl: Duration) -> Duration {
    MARGIN_MAX.min(ttl / 3)
}

/// A moment on the clock of [`boot_time`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Until(Duration);

impl Until {
    /// This moment.
    pub fn at(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Until when a lease surely lives that was renewed for `ttl` by a request sent at `sent`: the store began to
    /// count then or later. The margin is left for what is to stop.
    pub fn after_renewal(sent: Duration, ttl: Duration) -> Self {
        Self(sent + ttl.saturating_sub(margin(ttl)))
    }

    /// The time that is left at `now`.
    pub fn left(self, now: Duration) -> Duration {
        self.0.saturating_sub(now)
    }

    /// Writes it to the file at `path`, whole or not at all.
    pub fn write(self, path: &Path) -> Result<(), FileError> {
        write_file(path, &format!("{}\n", self.0.as_millis()))
    }

    /// Reads the file at `path`: a line with milliseconds since boot.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let no_time = |reason: String| Error::NoTime { path: path.to_owned(), reason };
        let text = read_file(path)?.ok_or_else(|| no_time("there is no such file".to_owned()))?;
        let millis = text.strip_suffix('\n').and_then(|line| line.parse().ok());
        millis.map(Duration::from_millis).map(Self).ok_or_else(|| no_time(format!("it has {text:?}")))
    }
}

/// The time that is left now by the file at `path`.
pub(super) fn left(path: &Path) -> Result<Duration, Error> {
    Ok(Until::read(path)?.left(boot_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_ten_seconds_and_at_most_a_third() {
        assert_eq!(margin(Duration::from_secs(30)), Duration::from_secs(10));
        assert_eq!(margin(Duration::from_secs(300)), Duration::from_secs(10));
        assert_eq!(margin(Duration::from_secs(6)), Duration::from_secs(2));
    }

    #[test]
    fn a_lease_is_relied_upon_from_the_sending_of_its_renewal() {
        let until = Until::after_renewal(Duration::from_secs(100), Duration::from_secs(30));
        assert_eq!(until, Until::at(Duration::from_secs(120)));
        assert_eq!(until.left(Duration::from_secs(119)), Duration::from_secs(1));
        assert_eq!(until.left(Duration::from_secs(121)), Duration::ZERO);
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet/guard");
        let until = Until::at(Duration::from_millis(123_456));
        until.write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "123456\n");
        assert_eq!(Until::read(&path).unwrap(), until);
    }
}
