//! How long the checks may go on: all of them end, with a text, before the time of boot-complete.target is over.
//!
//! The start has until the deadline of `settled.rs`; what it leaves of that is what checks may wait.
//! Each check looks at least once, so a start that settles late is judged all the same; such a look has what is
//! left of [`LAST_LOOKS`] after the deadline.

use std::time::{Duration, Instant};

/// For the last looks after the deadline, 570 s; the target has 600 s.
const LAST_LOOKS: Duration = Duration::from_secs(25);
/// The least that one look gets.
const LOOK_MIN: Duration = Duration::from_secs(1);

/// The time that the checks of one run have together.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    deadline: Option<Instant>,
}

impl Budget {
    /// Makes the budget of a run that nobody cuts off: a person asked.
    pub fn unlimited() -> Self {
        Self { deadline: None }
    }

    /// Makes the budget of a run in which no check waits beyond `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline: Some(deadline) }
    }

    /// Returns how long a check that would wait for `own` may be repeated from now.
    pub fn patience(self, own: Duration) -> Duration {
        let left = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        patience(own, left)
    }

    /// Returns how long one look that would take up to `own` may take from now.
    pub fn look(self, own: Duration) -> Duration {
        let left = self.deadline.map(|at| (at + LAST_LOOKS).saturating_duration_since(Instant::now()));
        look(own, left)
    }
}

/// `left` is the time to the deadline; `None` if there is none.
fn patience(own: Duration, left: Option<Duration>) -> Duration {
    left.map_or(own, |left| own.min(left))
}

/// `left` is the time to the end of the last looks; `None` if there is none.
fn look(own: Duration, left: Option<Duration>) -> Duration {
    left.map_or(own, |left| own.min(left.max(LOOK_MIN)))
}

#[cfg(test)]
mod tests {
    use super::super::CHECKS;
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_check_waits_no_longer_than_to_the_deadline() {
        assert_eq!(patience(secs(60), Some(secs(500))), secs(60));
        assert_eq!(patience(secs(60), Some(secs(7))), secs(7));
        assert_eq!(patience(secs(60), Some(secs(0))), secs(0));
        assert_eq!(patience(secs(60), None), secs(60));
    }

    #[test]
    fn a_look_gets_what_is_left_and_never_nothing() {
        assert_eq!(look(secs(10), Some(secs(500))), secs(10));
        assert_eq!(look(secs(10), Some(secs(4))), secs(4));
        assert_eq!(look(secs(10), Some(secs(0))), LOOK_MIN);
        assert_eq!(look(secs(60), None), secs(60));
    }

    #[test]
    fn all_checks_that_fail_for_as_long_as_they_may_end_by_the_deadline() {
        for settled in 0..=secs(570).as_secs() {
            let given = secs(570 - settled);
            let mut left = given;
            for check in &CHECKS {
                left -= patience(check.patience, Some(left));
            }
            let waited: Duration = CHECKS.iter().map(|check| check.patience).sum();
            assert_eq!(given - left, waited.min(given));
        }
    }

    #[test]
    fn the_last_looks_end_before_the_targets_time() {
        let dropin = include_str!(
            "../../../../overlays/slipway/usr/lib/systemd/system/boot-complete.target.d/10-slipway.conf"
        );
        assert!(dropin.contains("JobTimeoutSec=10min"), "{dropin}");
        assert!(secs(super::super::settled::DEADLINE_SECS) + LAST_LOOKS < secs(600));
    }
}
