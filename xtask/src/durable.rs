//! Files appear under their final names whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::SeekFrom;

/// Writes `bytes` beside `path`, syncs, and renames; leaves a file alone that has these bytes already.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    // Syncing to a busy disk can take seconds.
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let dir = path.parent().with_context(|| format!("{} has no folder", path.display()))?;
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .with_context(|| format!("creating a temporary file in {}", dir.display()))?;
    file.write_all(bytes).with_context(|| format!("writing {}", path.display()))?;
    file.as_file().sync_all().with_context(|| format!("syncing {}", path.display()))?;
    file.persist(path).with_context(|| format!("renaming to {}", path.display()))?;
    Ok(())
}

/// Gives a finished file its second name without copying where the file system allows it.
pub fn link_or_copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let dir = to.parent().with_context(|| format!("{} has no folder", to.display()))?;
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let temporary = dir.join(format!(".tmp-{}-{}", std::process::id(), file_name(to)));
    remove_if_there(&temporary)?;
    if fs::hard_link(from, &temporary).is_err() {
        // Another file system: a copy that keeps holes, so that a sparse image stays sparse.
        copy_sparse(from, &temporary)
            .with_context(|| format!("copying {} to {}", from.display(), temporary.display()))?;
    }
    fs::rename(&temporary, to).with_context(|| format!("renaming to {}", to.display()))
}

/// Copies what is written of a file and leaves its holes.
pub fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let len = source.metadata()?.len();
    let target = File::create(to)?;
    target.set_len(len)?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while let Some((start, end)) = next_data(&source, at, len)? {
        at = start;
        while at < end {
            let want = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            let n = source.read_at(&mut buffer[..want], at)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            target.write_all_at(&buffer[..n], at)?;
            at += u64::try_from(n).map_err(io::Error::other)?;
        }
    }
    target.sync_all()
}

/// The next part that is written, at or after `at`; a file system without holes has one part.
pub fn next_data(file: &File, at: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= len {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(rustix::io::Errno::NXIO) => return Ok(None),
        Err(err) => return Err(err.into()),
    };
    Ok(Some((start, rustix::fs::seek(file, SeekFrom::Hole(start))?)))
}

/// Removes a file or folder left by an interrupted run.
pub fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(err) => Err(err),
    };
    result.with_context(|| format!("removing {}", path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_copy_has_the_bytes_and_the_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let file = File::create(&from).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"first", 3).unwrap();
        file.write_all_at(b"second", (32 << 20) + 7).unwrap();
        copy_sparse(&from, &to).unwrap();
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
        assert!(fs::metadata(&to).unwrap().blocks() <= fs::metadata(&from).unwrap().blocks());
    }

    #[test]
    fn the_same_bytes_are_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"a").unwrap();
        let first = fs::metadata(&path).unwrap().ino();
        write(&path, b"a").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), first);
        write(&path, b"b").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"b");
    }
}
