//! The clock that agent and guard share: time since boot, with the time for which the machine was suspended.

use fleet_core::moment::Moment;
use rustix::time::{ClockId, clock_gettime};

/// Returns the time since boot. Nobody can set this clock, all processes see the same, and a lease that ran on while
/// the machine was suspended is seen to have done so.
pub fn boot_time() -> Moment {
    let now = clock_gettime(ClockId::Boottime);
    let secs = u64::try_from(now.tv_sec).expect("time since boot is not negative");
    let nanos = u64::try_from(now.tv_nsec).expect("a part of a second is not negative");
    Moment(secs * 1_000 + nanos / 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn goes_forward() {
        let before = boot_time();
        std::thread::sleep(Duration::from_millis(5));
        assert!(boot_time().since(before) >= Duration::from_millis(4));
    }
}
