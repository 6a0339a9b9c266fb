//! Files that are whole or absent, also after a power cut.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Suffix of files being written; never `.efi` or `.json`, so that no reader takes a half-made one.
pub const PARTIAL_SUFFIX: &str = ".partial";

/// Writes `bytes` to `path` through a temporary file beside it: write, sync, read back, rename, sync the folder.
///
/// Makes missing folders.
/// On FAT a rename over an existing file is two changes of the directory, so the ESP is written this way only when
/// nothing else is possible, after a repair: a left-over temporary file, which this truncates, could share its
/// clusters. Readers treat a missing or unreadable record as "not known", never as an error.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let dir = path.parent().with_context(|| format!("writing {}: it has no folder", path.display()))?;
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let partial = partial_path(path);
    write_synced(&partial, bytes).with_context(|| format!("writing {}", partial.display()))?;
    let back = fs::read(&partial).with_context(|| format!("reading back {}", partial.display()))?;
    anyhow::ensure!(back == bytes, "reading back {}: it differs from what was written", partial.display());
    fs::rename(&partial, path)
        .with_context(|| format!("renaming {} to {}", partial.display(), path.display()))?;
    sync_dir(dir)
}

/// Writes `from` to `path` like [`write`], with `check` in the place of comparing what reads back.
pub fn write_checked(
    path: &Path,
    from: &mut impl Read,
    check: impl FnOnce(&mut dyn Read) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let partial = partial_path(path);
    let copy = |from: &mut _| -> std::io::Result<File> {
        let mut to = File::create(&partial)?;
        std::io::copy(from, &mut to)?;
        to.sync_all()?;
        File::open(&partial)
    };
    let mut back = copy(from).with_context(|| format!("writing {}", partial.display()))?;
    check(&mut back).with_context(|| format!("reading back {}", partial.display()))?;
    rename(&partial, path)
}

/// Renames `from` to `to` in one folder and syncs the folder.
pub fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::rename(from, to).with_context(|| format!("renaming {} to {}", from.display(), to.display()))?;
    sync_dir(to.parent().with_context(|| format!("renaming to {}: it has no folder", to.display()))?)
}

/// Removes `path` and syncs its folder; a missing file is fine. Returns whether there was one.
pub fn remove(path: &Path) -> anyhow::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => {
            sync_dir(
                path.parent().with_context(|| format!("removing {}: it has no folder", path.display()))?,
            )?;
            Ok(true)
        }
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err).with_context(|| format!("removing {}", path.display())),
    }
}

/// Removes `path`, a folder with all that is in it, and syncs its folder; a missing one is fine.
pub fn remove_all(path: &Path) -> anyhow::Result<()> {
    if !path.is_dir() {
        return remove(path).map(drop);
    }
    fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()))?;
    sync_dir(path.parent().with_context(|| format!("removing {}: it has no folder", path.display()))?)
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL_SUFFIX);
    PathBuf::from(name)
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(|| format!("syncing {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_no_partial_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let names: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["b.json"]);
    }

    #[test]
    fn removing_a_missing_file_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!remove(&dir.path().join("none")).unwrap());
    }
}
