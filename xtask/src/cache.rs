//! The user's cache: packages and indexes by their hash, shared by all checkouts.
//!
//! A file has its final name only after its hash was checked. What was checked is remembered with the file's
//! inode and times, so that a build with nothing changed does not hash hundreds of megabytes again.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::durable;
use crate::hash;
use crate::lock::Row;
use crate::release::sources::ARCHITECTURE as SOURCE;

/// What a look into the cache found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The file is there and its hash is right.
    Good(PathBuf),
    /// There is none.
    Missing,
    /// There was one with other bytes; it is deleted.
    Bad {
        /// Hash of the deleted file.
        found: String,
    },
}

/// The folder of packages.
#[derive(Clone, Debug)]
pub struct Packages {
    dir: PathBuf,
}

impl Packages {
    /// Opens the folder below the cache, and makes it.
    pub fn open(cache: &Path) -> anyhow::Result<Self> {
        let dir = cache.join("packages");
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(Self { dir })
    }

    /// Returns where a checked package lies.
    pub fn path(&self, row: &Row) -> PathBuf {
        // Files of source packages have all kinds of ends.
        let end = if row.architecture == SOURCE { SOURCE } else { "deb" };
        self.dir.join(format!("{}.{end}", row.sha256))
    }

    /// Returns where a download of it grows.
    pub fn part(&self, row: &Row) -> PathBuf {
        self.dir.join(format!("{}.part", row.sha256))
    }

    /// Looks for a package, checks its hash and deletes it when that is wrong.
    pub fn find(&self, row: &Row, seen: &Seen) -> anyhow::Result<Found> {
        let path = self.path(row);
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
            Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
        };
        if seen.contains(&row.sha256, &meta) {
            return Ok(Found::Good(path));
        }
        let (found, size) = hash::of_file(&path)?;
        if found == row.sha256 && size == row.size {
            return Ok(Found::Good(path));
        }
        durable::remove_if_there(&path)?;
        Ok(Found::Bad { found })
    }

    /// Returns the memory of what was checked.
    pub fn seen(&self) -> Seen {
        // A memory that is missing or broken only costs time.
        let text = fs::read_to_string(self.dir.join("checked")).unwrap_or_default();
        let entries = text.lines().filter_map(|line| line.split_once(' '));
        Seen { marks: entries.map(|(sha256, mark)| (sha256.to_owned(), mark.to_owned())).collect() }
    }

    /// Remembers files that were just checked.
    pub fn remember(&self, mut seen: Seen, paths: &BTreeMap<String, PathBuf>) -> anyhow::Result<()> {
        let before = seen.marks.clone();
        for (sha256, path) in paths {
            let meta = fs::symlink_metadata(path).with_context(|| format!("reading {}", path.display()))?;
            seen.marks.insert(sha256.clone(), mark(&meta));
        }
        if seen.marks == before {
            return Ok(());
        }
        let text: String = seen.marks.iter().map(|(sha256, mark)| format!("{sha256} {mark}\n")).collect();
        durable::write(&self.dir.join("checked"), text.as_bytes())
    }
}

/// Files whose hash was checked, by hash, with what would change if somebody wrote to them.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    marks: BTreeMap<String, String>,
}

impl Seen {
    fn contains(&self, sha256: &str, meta: &Metadata) -> bool {
        self.marks.get(sha256).is_some_and(|known| *known == mark(meta))
    }
}

fn mark(meta: &Metadata) -> String {
    format!(
        "{} {} {}.{:09} {}.{:09}",
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec()
    )
}

/// A download that grows under another name than its final one; no second process writes to it meanwhile.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    /// Opens or makes the file. Returns none while another process has it.
    pub fn open(path: PathBuf) -> anyhow::Result<Option<Self>> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(err)) => {
                return Err(err).with_context(|| format!("locking {}", path.display()));
            }
        }
        // The one who had it may have given it its final name, or deleted it, since it was opened.
        let same = fs::symlink_metadata(&path)
            .is_ok_and(|now| file.metadata().is_ok_and(|was| was.ino() == now.ino()));
        Ok(same.then_some(Self { path, file }))
    }

    /// Returns the file, positioned anywhere; writing appends.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Appends bytes; on failure says which file and what to do about a full disk.
    pub fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).map_err(|err| full_disk(err, &self.path))
    }

    /// Throws away what was downloaded.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.file.set_len(0).with_context(|| format!("emptying {}", self.path.display()))
    }

    /// Gives the file its final name. The caller has checked the hash.
    pub fn finish(self, to: &Path) -> anyhow::Result<()> {
        self.file.sync_all().map_err(|err| full_disk(err, &self.path))?;
        fs::rename(&self.path, to).with_context(|| format!("renaming to {}", to.display()))
    }

    /// Deletes the file.
    pub fn discard(self) -> anyhow::Result<()> {
        durable::remove_if_there(&self.path)
    }
}

fn full_disk(err: io::Error, path: &Path) -> anyhow::Error {
    let full = matches!(err.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let dir = path.parent().unwrap_or(path).display().to_string();
    let err = anyhow::Error::new(err);
    let err = if full {
        err.context(format!("no space is left in {dir}: free some, or set XDG_CACHE_HOME"))
    } else {
        err
    };
    err.context(format!("writing {}", path.display()))
}

/// Returns the bytes of a file known by its hash from `indexes/` of the cache, or gets and keeps them.
pub fn index(
    cache: &Path,
    sha256: &str,
    get: impl FnOnce() -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    let path = cache.join("indexes").join(sha256);
    match fs::read(&path) {
        Ok(bytes) if hash::of_bytes(&bytes) == sha256 => return Ok(bytes),
        Ok(_) => durable::remove_if_there(&path)?,
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
    }
    let bytes = get()?;
    durable::write(&path, &bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
