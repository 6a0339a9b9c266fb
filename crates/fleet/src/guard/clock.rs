//! The clock that agent and guard share: time since boot, with the time for which the machine was suspended.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns the time since boot. Nobody can set this clock, all processes see the same, and a lease that ran on while
/// the machine was suspended is seen to have done so.
pub fn boot_time() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let secs = u64::try_from(now.tv_sec).expect("time since boot is not negative");
    let nanos = u32::try_from(now.tv_nsec).expect("a part of a second is below a billion");
    Duration::new(secs, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_forward() {
        let before = boot_time();
        std::thread::sleep(Duration::from_millis(2));
        assert!(boot_time() >= before + Duration::from_millis(2));
    }
}
