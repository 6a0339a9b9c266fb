//! The raw image: unpacked with its holes, and the `/usr` in it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::Release;
use crate::ctx::Ctx;
use crate::hash;

/// Bytes that are looked at together.
const CHUNK: usize = 1 << 20;

/// Unpacks the image, and compares its length and sum with the manifest's.
pub fn unpack(ctx: &Ctx, release: &Release, to: &Path) -> anyhow::Result<()> {
    let expected = release.artifact("raw")?;
    let path = release.file(&release.names.raw())?;
    let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let unpacked = zstd::stream::read::Decoder::new(ctx.cancel.stream(file)).and_then(|packed| {
        let out = File::create(to)?;
        // More than that is wrong whatever follows.
        sparse(packed.take(expected.size.saturating_add(1)), &out)
    });
    let (sha256, len) = unpacked.with_context(|| format!("unpacking {}", path.display()))?;
    anyhow::ensure!(
        (&sha256, len) == (&expected.sha256, expected.size),
        "{}: {len} bytes with SHA-256 {sha256}, the manifest says {} with {}",
        path.display(),
        expected.size,
        expected.sha256
    );
    Ok(())
}

/// Copies and leaves holes for zeros. Returns sum and length.
fn sparse(mut from: impl Read, to: &File) -> std::io::Result<(String, u64)> {
    let (mut sum, mut at, mut chunk) = (Sha256::new(), 0_u64, vec![0; CHUNK]);
    let zeros = vec![0; CHUNK];
    loop {
        let mut n = 0;
        while n < chunk.len() {
            match from.read(&mut chunk[n..])? {
                0 => break,
                more => n += more,
            }
        }
        if n == 0 {
            to.set_len(at)?;
            return Ok((hash::hex(&sum.finalize()), at));
        }
        sum.update(&chunk[..n]);
        if chunk[..n] != zeros[..n] {
            to.write_all_at(&chunk[..n], at)?;
        }
        at += u64::try_from(n).map_err(std::io::Error::other)?;
    }
}

/// Copies the `/usr` image out of slot A of the raw image, and compares its sum with the manifest's.
pub fn usr(release: &Release, raw: &Path, to: &Path) -> anyhow::Result<()> {
    let usr = release.artifact("usr")?;
    let label = format!("usr_{}", release.manifest.version);
    let partition = release.manifest.partitions.iter().find(|row| row.label == label);
    let partition = partition.with_context(|| format!("the manifest has no partition `{label}`"))?;
    anyhow::ensure!(usr.size <= partition.size, "`/usr` is larger than partition `{label}`");
    let mut disk = File::open(raw).with_context(|| format!("opening {}", raw.display()))?;
    std::io::Seek::seek(&mut disk, std::io::SeekFrom::Start(partition.offset))?;
    let out = File::create(to).with_context(|| format!("creating {}", to.display()))?;
    let (sha256, _) =
        sparse(disk.take(usr.size), &out).with_context(|| format!("reading partition `{label}`"))?;
    anyhow::ensure!(
        sha256 == usr.sha256,
        "partition `{label}` holds another `/usr`: SHA-256 {sha256}, the manifest says {}",
        usr.sha256
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_become_holes_and_bytes_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut bytes = vec![0; 3 * CHUNK + 5];
        bytes[CHUNK + 7] = 1;
        bytes[3 * CHUNK + 4] = 2;
        let (sha256, len) = sparse(bytes.as_slice(), &File::create(&path).unwrap()).unwrap();
        assert_eq!((sha256, len), (hash::of_bytes(&bytes), u64::try_from(bytes.len()).unwrap()));
        assert!(std::fs::read(&path).unwrap() == bytes);
    }
}
