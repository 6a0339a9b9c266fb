//! What other ways to update would fetch for the same two images: chunks by content, and a file per pair.

use std::collections::HashSet;
use std::io::Write as _;

use anyhow::Context as _;
use fastcdc::v2020::FastCDC;
use sha2::{Digest as _, Sha256};

use crate::log::Cancel;

/// Average length of a chunk as casync has it by default, with its bounds.
const CHUNK_AVG: usize = 64 << 10;
const CHUNK_MIN: usize = CHUNK_AVG / 4;
const CHUNK_MAX: usize = CHUNK_AVG * 4;
/// Bytes of a chunk in casync's index: its end and its hash.
const CHUNK_ROW_LEN: u64 = 40;
/// Level of zstd for a chunk, and of `zstd --patch-from` when none is given.
const LEVEL: i32 = 3;
/// Files of a pair are at most this long together, as a power of two: a match may be as far away as that.
const WINDOW_LOG: u32 = 29;
/// Bytes compressed between two looks at the cancel flag.
const STEP: usize = 1 << 22;

/// What chunks cost.
#[derive(Debug, Default)]
pub struct Chunks {
    /// Bytes of the index and of the compressed chunks that the old files do not have.
    pub bytes: u64,
    /// Files fetched: the index of each file, and each chunk.
    pub requests: u64,
}

/// Cuts old and new files at the same content, as casync does, and counts the chunks that no old one equals.
pub fn chunks(files: &[(Vec<u8>, Vec<u8>)], cancel: &Cancel) -> anyhow::Result<Chunks> {
    let cut = |bytes: &[u8]| FastCDC::new(bytes, CHUNK_MIN, CHUNK_AVG, CHUNK_MAX).collect::<Vec<_>>();
    let mut known: HashSet<[u8; 32]> = HashSet::new();
    for (old, _) in files {
        cancel.check()?;
        known.extend(cut(old).iter().map(|chunk| hash(&old[chunk.offset..][..chunk.length])));
    }
    let mut sum = Chunks::default();
    for (_, new) in files {
        cancel.check()?;
        sum.requests += 1;
        for chunk in cut(new) {
            let bytes = &new[chunk.offset..][..chunk.length];
            sum.bytes += CHUNK_ROW_LEN;
            if known.insert(hash(bytes)) {
                sum.requests += 1;
                sum.bytes += u64::try_from(zstd::bulk::compress(bytes, LEVEL)?.len())?;
            }
        }
    }
    Ok(sum)
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Returns the length of what `zstd --patch-from=OLD NEW` makes.
pub fn patch(old: &[u8], new: &[u8], cancel: &Cancel) -> anyhow::Result<u64> {
    let mut packer =
        zstd::Encoder::with_ref_prefix(Vec::new(), LEVEL, old).context("starting compression")?;
    packer.window_log(WINDOW_LOG)?;
    packer.long_distance_matching(true)?;
    packer.set_pledged_src_size(Some(u64::try_from(new.len())?))?;
    for step in new.chunks(STEP) {
        cancel.check()?;
        packer.write_all(step)?;
    }
    Ok(u64::try_from(packer.finish()?.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that do not compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last = [7; 32];
        while bytes.len() < len {
            last = hash(&last);
            bytes.extend(last);
        }
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn an_inserted_byte_costs_a_chunk_or_next_to_nothing() {
        let old = noise(2 << 20);
        let new = [&old[..1 << 20], b"x", &old[1 << 20..]].concat();
        let cancel = Cancel::on_signals().unwrap();
        let found = chunks(&[(old.clone(), new.clone())], &cancel).unwrap();
        assert!((2..5).contains(&found.requests), "{found:?}");
        assert!((10_000..600_000).contains(&found.bytes), "{found:?}");
        let patch = patch(&old, &new, &cancel).unwrap();
        assert!(patch < 1000, "{patch}");
    }

    #[test]
    fn equal_files_cost_an_index() {
        let old = noise(1 << 20);
        let found = chunks(&[(old.clone(), old)], &Cancel::on_signals().unwrap()).unwrap();
        assert_eq!(found.requests, 1);
        assert!(found.bytes < 65 * CHUNK_ROW_LEN, "{found:?}");
    }
}
