//! Files appear under their final names whole or not at all.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// Writes `bytes` beside `path`, syncs, and renames.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
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

/// Copies a file and leaves out blocks of zeros.
pub fn copy_sparse(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut source = File::open(from)?;
    let mut target = File::create(to)?;
    let mut buffer = vec![0; 1 << 20];
    let mut len = 0;
    loop {
        let n = source.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        len += u64::try_from(n).unwrap_or(u64::MAX);
        if buffer[..n].iter().all(|byte| *byte == 0) {
            target.seek(SeekFrom::Current(i64::try_from(n).unwrap_or(i64::MAX)))?;
        } else {
            target.write_all(&buffer[..n])?;
        }
    }
    target.set_len(len)?;
    target.sync_all()
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
