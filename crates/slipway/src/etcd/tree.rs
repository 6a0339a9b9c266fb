//! Folders of files that are made elsewhere and then take their place: copies without blocks of zeros, owners, syncing.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use anyhow::Context;

/// What is looked at for zeros at once: a block of the file system.
const BLOCK: usize = 4096;

/// Copies at most `len` bytes to a new file and leaves holes where there are only zeros: etcd makes its log 64 MB long
/// in advance.
pub fn copy_sparse(from: &Path, to: &Path, len: u64) -> anyhow::Result<()> {
    let copy = || -> std::io::Result<()> {
        let (mut input, mut output) = (File::open(from)?.take(len), File::create_new(to)?);
        let mut block = Vec::with_capacity(BLOCK);
        let mut total = 0;
        while input.by_ref().take(BLOCK.try_into().unwrap_or(u64::MAX)).read_to_end(&mut block)? != 0 {
            if block.iter().any(|byte| *byte != 0) {
                output.seek(SeekFrom::Start(total))?;
                output.write_all(&block)?;
            }
            total += u64::try_from(block.len()).unwrap_or(u64::MAX);
            block.clear();
        }
        output.set_len(total)?;
        output.set_permissions(fs::metadata(from)?.permissions())
    };
    copy().with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// Copies a folder with all that is in it to a new one, files as [`copy_sparse`] does.
pub fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    make_private(to)?;
    for (name, is_dir) in entries(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if is_dir { copy_all(&from, &to)? } else { copy_sparse(&from, &to, u64::MAX)? }
    }
    Ok(())
}

/// Makes a folder that nobody else may look into, and those above it.
pub fn make_private(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("making {}", dir.display()))
}

/// Writes all that is in a folder to the disk.
pub fn sync_all(dir: &Path) -> anyhow::Result<()> {
    for (name, is_dir) in entries(dir)? {
        let path = dir.join(&name);
        if is_dir {
            sync_all(&path)?;
        } else {
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.with_context(|| format!("syncing {}", path.display()))?;
        }
    }
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("syncing {}", dir.display()))
}

/// Returns the bytes on the disk that a folder takes with all that is in it; what vanishes meanwhile takes none.
pub fn used(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for (name, is_dir) in entries(dir)? {
        let path = dir.join(&name);
        bytes += match fs::metadata(&path) {
            Ok(_) if is_dir => used(&path)?,
            Ok(meta) => 512 * meta.blocks(),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => 0,
            Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
        };
    }
    Ok(bytes)
}

/// Gives a folder and all that is in it to another owner.
pub fn chown_all(dir: &Path, uid: u32, gid: u32) -> anyhow::Result<()> {
    for (name, is_dir) in entries(dir)? {
        let path = dir.join(&name);
        if is_dir {
            chown_all(&path, uid, gid)?;
        } else {
            chown(&path, Some(uid), Some(gid))
                .with_context(|| format!("changing the owner of {}", path.display()))?;
        }
    }
    chown(dir, Some(uid), Some(gid)).with_context(|| format!("changing the owner of {}", dir.display()))
}

fn entries(dir: &Path) -> anyhow::Result<Vec<(std::ffi::OsString, bool)>> {
    let list = || -> std::io::Result<Vec<_>> {
        fs::read_dir(dir)?
            .map(|entry| entry.and_then(|e| Ok((e.file_name(), e.file_type()?.is_dir()))))
            .collect()
    };
    list().with_context(|| format!("listing {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same_and_has_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let mut bytes = vec![0; 1 << 20];
        bytes[5000] = 1;
        bytes.extend([0; 77]);
        fs::create_dir_all(from.join("a")).unwrap();
        fs::write(from.join("a/log"), &bytes).unwrap();
        copy_all(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("a/log")).unwrap(), bytes);
        assert!((1..100_000).contains(&used(&to).unwrap()));
        assert_eq!(fs::metadata(&to).unwrap().mode() & 0o777, 0o700);
        sync_all(&to).unwrap();
        copy_sparse(&from.join("a/log"), &to.join("part"), 5001).unwrap();
        assert_eq!(fs::read(to.join("part")).unwrap(), bytes[..5001]);
        assert!(copy_sparse(&from.join("a/log"), &to.join("part"), 1).is_err(), "an existing file is kept");
    }
}
