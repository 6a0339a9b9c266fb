//! A folder of text files that appear whole or not at all, and are never written or read through links.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

/// Mode of the files: everybody may read a unit.
const FILE_MODE: u32 = 0o644;
/// Beginning of the names of files that are being written; no unit's name begins like this.
const PARTIAL: &str = ".partial-";
/// The largest file that is read. Values of the store are smaller.
const BYTES_MAX: u64 = 4 << 20;

/// A file that could not be read, written or removed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}: {source}: check that it lies in a folder of root's that is not full", path.display())]
pub struct FileError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// A folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, which is made when the first file is written.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where a file of this name is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file whole. Whatever had the name before is replaced, a link too, not what it leads to.
    pub fn write(&self, name: &str, text: &str) -> Result<(), FileError> {
        fs::create_dir_all(&self.path).map_err(|err| self.failed("making the folder of", name, err))?;
        self.put(name, text).map_err(|err| self.failed("writing", name, err))
    }

    /// Reads a file; `None` if there is none of this name, or a link or a folder has it.
    pub fn read(&self, name: &str) -> Result<Option<String>, FileError> {
        let opened = self.open().and_then(|dir| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            Ok(File::from(rustix::fs::openat(&dir, name, flags, Mode::empty())?))
        });
        let file = match opened {
            Ok(file) => file,
            Err(err) if is_absent(&err) => return Ok(None),
            Err(err) => return Err(self.failed("reading", name, err)),
        };
        if !file.metadata().is_ok_and(|meta| meta.is_file()) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|err| self.failed("reading", name, err))?;
        // A text that is not one differs from any unit's, and is replaced like one.
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Removes a file; a missing one is fine.
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        let removed = self.open().and_then(|dir| {
            rustix::fs::unlinkat(&dir, name, AtFlags::empty())?;
            Ok(rustix::fs::fsync(&dir)?)
        });
        match removed {
            Err(err) if !is_absent(&err) => Err(self.failed("removing", name, err)),
            _ => Ok(()),
        }
    }

    /// Removes the folder if it is empty; it is made again when it is needed.
    pub fn remove_empty(&self) {
        // A folder that is not empty, or not there, is as good.
        let _ = fs::remove_dir(&self.path);
    }

    /// Names of all files, sorted. What a writer left half done when it was killed is removed.
    pub fn names(&self) -> Result<Vec<String>, FileError> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(err) if is_absent(&err) => return Ok(names),
            Err(err) => return Err(self.failed("listing", "", err)),
        };
        for entry in entries {
            let name = entry.map_err(|err| self.failed("listing", "", err))?.file_name();
            if name.as_bytes().starts_with(PARTIAL.as_bytes()) {
                self.remove(&name.to_string_lossy())?;
            } else if let Some(name) = name.to_str() {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn put(&self, name: &str, text: &str) -> io::Result<()> {
        let dir = self.open()?;
        let partial = format!("{PARTIAL}{name}");
        // One that is left over is not written into: it could be a link.
        match rustix::fs::unlinkat(&dir, &partial, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(err) => return Err(err.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(FILE_MODE);
        let mut file = File::from(rustix::fs::openat(&dir, &partial, flags, mode)?);
        // The mode is as said, whatever the process masks.
        rustix::fs::fchmod(&file, mode)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        rustix::fs::renameat(&dir, &partial, &dir, name)?;
        Ok(rustix::fs::fsync(&dir)?)
    }

    fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.path, flags, Mode::empty())?)
    }

    fn failed(&self, doing: &'static str, name: &str, source: io::Error) -> FileError {
        FileError { doing, path: self.path.join(OsStr::new(name)), source }
    }
}

/// Writes the file at `path` whole, with the folders above it.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), FileError> {
    let (folder, name) = split(path)?;
    folder.write(name, text)
}

/// Reads the file at `path`, if there is one.
pub(crate) fn read_file(path: &Path) -> Result<Option<String>, FileError> {
    let (folder, name) = split(path)?;
    folder.read(name)
}

fn split(path: &Path) -> Result<(Folder, &str), FileError> {
    path.parent().zip(path.file_name().and_then(OsStr::to_str)).map_or_else(
        || {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
            Err(FileError { doing: "opening", path: path.to_owned(), source })
        },
        |(dir, name)| Ok((Folder::new(dir), name)),
    )
}

/// Whether an error says that there is no such file: a link in its place is none.
fn is_absent(err: &io::Error) -> bool {
    let is_link = err.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    is_link || err.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("units"));
        (dir, folder)
    }

    #[test]
    fn writes_a_file_that_everybody_may_read_and_leaves_no_other() {
        let (_dir, folder) = folder();
        folder.write("a.service", "one").unwrap();
        folder.write("a.service", "two").unwrap();
        assert_eq!(folder.read("a.service").unwrap().as_deref(), Some("two"));
        assert_eq!(folder.names().unwrap(), ["a.service"]);
        let mode = fs::metadata(folder.file("a.service")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let (dir, folder) = folder();
        folder.write("other.service", "").unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, folder.file("a.service")).unwrap();
        symlink(&victim, folder.file(".partial-a.service")).unwrap();
        assert_eq!(folder.read("a.service").unwrap(), None);
        folder.write("a.service", "mine").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(folder.read("a.service").unwrap().as_deref(), Some("mine"));
    }

    #[test]
    fn a_folder_that_is_a_link_is_not_written_into() {
        let (dir, folder) = folder();
        symlink(dir.path(), dir.path().join("units")).unwrap();
        let text = folder.write("a.service", "").unwrap_err().to_string();
        assert!(text.starts_with("writing ") && text.contains("a.service"), "{text}");
        assert!(!dir.path().join("a.service").exists());
    }

    #[test]
    fn what_a_killed_writer_left_is_removed() {
        let (_dir, folder) = folder();
        folder.write("a.service", "").unwrap();
        fs::write(folder.file(".partial-b.service"), "half").unwrap();
        assert_eq!(folder.names().unwrap(), ["a.service"]);
        assert!(!folder.file(".partial-b.service").exists());
    }

    #[test]
    fn removing_and_listing_what_is_not_there_is_fine() {
        let (_dir, folder) = folder();
        folder.remove("a.service").unwrap();
        assert!(folder.names().unwrap().is_empty());
        assert_eq!(folder.read("a.service").unwrap(), None);
    }
}
