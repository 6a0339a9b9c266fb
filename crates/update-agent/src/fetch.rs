//! Getting a payload: the head, then everything but `/usr`, each verified before the next is asked for.

pub mod assemble;
mod head;
pub mod spool;

use anyhow::Context;
use payload::{Digest, Extent};

use crate::source::Source;

pub use head::{Head, head};

/// Reads a part of the payload that is small enough for memory; the caller has checked its length.
pub(crate) fn read_part(source: &mut dyn Source, part: Extent, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    source.read_ranges(&[part], &mut |_, chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })
}

/// Refuses padding that is not zero; `at` is where it begins in the payload.
pub(crate) fn check_padding(bytes: &[u8], at: u64) -> anyhow::Result<()> {
    match bytes.iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(idx) => {
            let at = at + u64::try_from(idx)?;
            anyhow::bail!("padding: expected zero at byte {at} of the payload, found {}", bytes[idx])
        }
    }
}

/// Refuses a section whose SHA-256 is not that of the manifest.
pub(crate) fn check_sha256(section: &str, bytes: &[u8], expected: Digest) -> anyhow::Result<()> {
    let found = Digest::of(bytes);
    anyhow::ensure!(found == expected, "section `{section}`: expected SHA-256 {expected}, found {found}");
    Ok(())
}

/// Returns a length as an index.
pub(crate) fn to_usize(len: u64) -> anyhow::Result<usize> {
    usize::try_from(len).context("a length does not fit this machine")
}

pub(crate) fn to_u64(len: usize) -> u64 {
    u64::try_from(len).expect("usize has at most 64 bits")
}
