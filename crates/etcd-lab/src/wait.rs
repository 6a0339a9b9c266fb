//! Waiting for what must happen, with a deadline that a busy machine keeps too.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// When a test gives up. Nothing is this slow unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);

/// Asks `probe` again and again until it has something; `what` is for the failure.
#[track_caller]
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited {} s in vain: {what}", DEADLINE.as_secs());
        sleep(PAUSE);
    }
}
