//! The disk of one machine: a copy-on-write overlay of an image, or a sparse copy that can be edited offline.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::SeekFrom as RawSeek;
use rustix::io::Errno;

use crate::Sandbox;
use crate::machine::DIR;

/// Copied at a time.
const CHUNK: usize = 1 << 20;

/// Why a disk was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("copying the disk image")]
    Copy(#[from] std::io::Error),
    /// qemu-img refused.
    #[error("qemu-img failed: {0}")]
    QemuImg(String),
    /// The wanted disk cannot hold the image.
    #[error("a disk of {wanted} bytes cannot hold an image of {image} bytes")]
    TooSmall {
        /// Size asked for, bytes.
        wanted: u64,
        /// Size of the image, bytes.
        image: u64,
    },
}

/// Makes the qcow2 file `disk` in `dir` that shows the raw image `base` and, behind it, zeros up to `size` bytes.
/// The base has to stay where and as it is.
///
/// # Errors
/// When the image is larger than `size` or qemu-img fails.
pub fn overlay(sandbox: &Sandbox, base: &Path, dir: &Path, size: u64) -> Result<(), Error> {
    check_size(base, size)?;
    let mut command = sandbox.clone().without_network().ro_bind(base).bind_at(dir, DIR).command("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(base);
    let out = command.arg(format!("{DIR}/disk")).arg(size.to_string()).output()?;
    if !out.status.success() {
        return Err(Error::QemuImg(String::from_utf8_lossy(&out.stderr).trim().to_owned()));
    }
    Ok(())
}

/// Makes the raw file `disk` in `dir`: the bytes of `base`, then zeros up to `size` bytes. Holes stay holes.
///
/// # Errors
/// When the image is larger than `size` or a file cannot be read or written.
pub fn raw_copy(base: &Path, dir: &Path, size: u64) -> Result<(), Error> {
    check_size(base, size)?;
    let mut from = File::open(base)?;
    let mut to = File::create(dir.join("disk"))?;
    copy_sparse(&mut from, &mut to)?;
    to.set_len(size)?;
    Ok(())
}

fn check_size(base: &Path, size: u64) -> Result<(), Error> {
    let image = std::fs::metadata(base)?.len();
    if size < image {
        return Err(Error::TooSmall { wanted: size, image });
    }
    Ok(())
}

fn copy_sparse(from: &mut File, to: &mut File) -> std::io::Result<()> {
    let mut at = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        let start = match rustix::fs::seek(&*from, RawSeek::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(()), // Only a hole is left.
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&*from, RawSeek::Hole(start))?;
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        let mut part = (&*from).take(end - start);
        loop {
            let count = part.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            to.write_all(&buffer[..count])?;
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_copy_has_the_bytes_the_size_and_the_holes() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        let mut file = File::create(&base).unwrap();
        file.set_len(64 << 20).unwrap();
        file.seek(SeekFrom::Start(32 << 20)).unwrap();
        file.write_all(&[7; 5000]).unwrap();
        raw_copy(&base, dir.path(), 128 << 20).unwrap();

        let mut copy = File::open(dir.path().join("disk")).unwrap();
        let meta = copy.metadata().unwrap();
        assert_eq!(meta.len(), 128 << 20);
        assert!(meta.blocks() * 512 < 4 << 20, "{} blocks for 5000 bytes", meta.blocks());
        copy.seek(SeekFrom::Start((32 << 20) - 1)).unwrap();
        let mut around = [1; 5002];
        copy.read_exact(&mut around).unwrap();
        assert_eq!((around[0], around[1], around[5000], around[5001]), (0, 7, 7, 0));
    }

    #[test]
    fn refuses_a_disk_smaller_than_the_image() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        std::fs::write(&base, [0; 1000]).unwrap();
        let error = raw_copy(&base, dir.path(), 999).unwrap_err();
        assert_eq!(error.to_string(), "a disk of 999 bytes cannot hold an image of 1000 bytes");
    }
}
