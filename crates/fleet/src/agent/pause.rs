//! The pause before something that failed is tried again: it grows with each failure in a row.

use std::time::Duration;

/// A pause that doubles.
#[derive(Debug, Clone)]
pub struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pause {
    /// One that begins with `first` and does not grow over `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first.min(longest) }
    }

    /// Returns how long to wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.longest);
        pause
    }

    /// Says that it worked.
    pub fn worked(&mut self) {
        self.next = self.first.min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_longest_and_begins_again_after_success() {
        let mut pause = Pause::new(Duration::from_secs(1), Duration::from_secs(5));
        let pauses: Vec<u64> = (0..5).map(|_| pause.failed().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        pause.worked();
        assert_eq!(pause.failed(), Duration::from_secs(1));
    }
}
