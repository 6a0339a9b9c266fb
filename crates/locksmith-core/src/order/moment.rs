//! Points in time that come from outside: nothing here reads a clock.

use std::time::Duration;

/// Time since the machine's boot, suspend included, of a clock that nobody sets. Notices and pauses are counted by it,
/// windows and the age of slots by the wall clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// Returns the moment `wait` after this one.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// Returns the time since `earlier`; none if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
