//! Pauses between tries that fail: each about twice as long as the one before, never two followers' alike.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first pause, before it is varied.
const FIRST: Duration = Duration::from_millis(100);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(5);

/// The pauses of one follower.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    vary: RandomState,
    turn: u64,
}

impl Pauses {
    pub(super) fn new() -> Self {
        // Random for each value of this type, which is all that is needed to keep a thousand machines apart.
        Self { next: FIRST, vary: RandomState::new(), turn: 0 }
    }

    /// The next pause: between half of its length and all of it.
    pub(super) fn next(&mut self) -> Duration {
        let length = self.next;
        self.next = (length * 2).min(LONGEST);
        self.turn += 1;
        let [part, ..] = self.vary.hash_one(self.turn).to_le_bytes();
        length / 2 + length / 2 * u32::from(part) / 255
    }

    /// It worked: the next failure is a first one.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew_after_success() {
        let mut pauses = Pauses::new();
        let mut wanted = FIRST;
        for _ in 0..10 {
            let pause = pauses.next();
            assert!(pause >= wanted / 2 && pause <= wanted, "{pause:?} of {wanted:?}");
            wanted = (wanted * 2).min(LONGEST);
        }
        pauses.reset();
        assert!(pauses.next() <= FIRST);
    }

    #[test]
    fn followers_do_not_pause_alike() {
        let mut one = Pauses::new();
        let mut other = Pauses::new();
        let differs = (0..20).any(|_| one.next() != other.next());
        assert!(differs);
    }
}
