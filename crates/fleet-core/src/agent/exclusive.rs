//! Until when a machine may run its exclusive units.

use std::time::Duration;

use crate::moment::Moment;

/// Returns how long before the end of its lease a machine stops its exclusive units: what stopping takes, and what the
/// engine waits beyond the end. 10 s, at most a third of the time to live.
pub fn margin(ttl: Duration) -> Duration {
    Duration::from_secs(10).min(ttl / 3)
}

/// Returns until when exclusive units may run, by a keep-alive that was answered: it was *sent* at `sent`, because the
/// store counts from some moment after that and before the answer.
pub fn until(sent: Moment, ttl: Duration) -> Moment {
    sent.after(ttl.saturating_sub(margin(ttl)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margin_is_a_third_of_a_short_lease() {
        assert_eq!(margin(Duration::from_secs(30)), Duration::from_secs(10));
        assert_eq!(margin(Duration::from_secs(120)), Duration::from_secs(10));
        assert_eq!(margin(Duration::from_secs(6)), Duration::from_secs(2));
    }

    #[test]
    fn units_stop_a_margin_before_the_lease_ends() {
        assert_eq!(until(Moment(1_000), Duration::from_secs(30)), Moment(21_000));
    }
}
