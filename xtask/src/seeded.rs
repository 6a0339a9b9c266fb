//! Samples that are the same for the same seed, so that what one checked can be checked again.

pub use write_log::Random;

use crate::manifest::Manifest;

/// The seed that a sample has unless another is asked for: the first digits of the image's commit.
pub fn of_commit(manifest: &Manifest) -> u64 {
    manifest.commit.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(1)
}
