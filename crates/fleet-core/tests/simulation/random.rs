//! Choices that depend on a seed only.

use write_log::Random;

/// Chooses histories.
#[derive(Debug, Clone)]
pub struct Rng(Random);

impl Rng {
    /// Seeds that are next to each other begin far apart. A history is known by its seed, so this stays as it is.
    pub fn new(seed: u64) -> Self {
        Self(Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635))
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high - low + 1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, of: u64) -> bool {
        self.0.below(100) < of
    }

    pub fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.0.below(u64::try_from(count).unwrap())).unwrap()
    }
}
