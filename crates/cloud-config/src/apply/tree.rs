//! Files below one root folder, never through a link: what is written is whole under its name or not there.
//!
//! A path is walked folder by folder, each opened in the one before without following links, so nobody who owns
//! a folder on the way can lead a write elsewhere, not even while it happens.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

/// Permissions of folders that are made on the way.
const FOLDER_MODE: u32 = 0o755;
const FOLDER_FLAGS: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
/// Longer files are nothing that a plan compares or reads.
const READ_MAX: u64 = 64 << 20;

/// Whether to change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Say what would change.
    Look,
    /// Change it.
    Do,
}

/// What a step made of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing was there; it is as wanted now, or would be.
    Made,
    /// It was something else; it is as wanted now, or would be.
    Changed,
    /// It was as wanted before.
    Unchanged,
}

impl Change {
    fn of(found: &Found) -> Self {
        if *found == Found::Nothing { Self::Made } else { Self::Changed }
    }
}

/// Owner by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or a folder on the way is missing or a link.
    Nothing,
    /// A file.
    File(FoundFile),
    /// A link, and where it leads.
    Link(String),
    /// A folder or a special file.
    Other,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Content.
    pub bytes: Vec<u8>,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub ids: Ids,
}

/// A root folder.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    fd: OwnedFd,
    may_chown: bool,
}

impl Tree {
    /// Opens a root folder.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let fd =
            fs::open(root, flags, Mode::empty()).with_context(|| format!("opening {}", root.display()))?;
        Ok(Self { root: root.to_owned(), fd, may_chown: rustix::process::geteuid().is_root() })
    }

    /// Returns where the root is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tells whether this is the running machine, whose programs can be told to do things.
    pub fn is_host(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns what is at a path. A link on the way is as if nothing were there.
    pub fn find(&self, path: &str) -> anyhow::Result<Found> {
        let reading = || format!("reading {path}");
        let Some((dir, name)) = self.folder_of(path, None).with_context(reading)? else {
            return Ok(Found::Nothing);
        };
        let stat = match fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            stat => stat.with_context(reading)?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = fs::readlinkat(&dir, &name, Vec::new()).with_context(reading)?;
                Ok(Found::Link(target.to_string_lossy().into_owned()))
            }
            FileType::RegularFile => {
                // Not blocking: between the two calls it may have become a pipe.
                let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::RDONLY;
                let fd = fs::openat(&dir, &name, flags, Mode::empty()).with_context(reading)?;
                let mut bytes = Vec::new();
                File::from(fd).take(READ_MAX).read_to_end(&mut bytes).with_context(reading)?;
                let ids = Ids { uid: stat.st_uid, gid: stat.st_gid };
                Ok(Found::File(FoundFile { bytes, mode: stat.st_mode & 0o7777, ids }))
            }
            _ => Ok(Found::Other),
        }
    }

    /// Makes a file what it should be, through a temporary file beside it. Without an owner it is root's, or of
    /// whoever runs this.
    pub fn write(
        &self,
        path: &str,
        bytes: &[u8],
        mode: u32,
        owner: Option<Ids>,
        mood: Mood,
    ) -> anyhow::Result<Change> {
        let owner = owner.filter(|_| self.may_chown);
        let wanted = owner.or(self.may_chown.then_some(Ids { uid: 0, gid: 0 }));
        let change = match self.find(path)? {
            Found::File(file)
                if file.bytes == bytes
                    && file.mode == mode
                    && wanted.is_none_or(|wanted| wanted == file.ids) =>
            {
                return Ok(Change::Unchanged);
            }
            Found::Other => bail!("writing {path}: a folder or a special file is there"),
            found => Change::of(&found),
        };
        if mood == Mood::Look {
            return Ok(change);
        }
        let writing = || format!("writing {path}");
        let (dir, name) = self.made_folder_of(path, None).with_context(writing)?;
        let partial = partial(&name)?;
        let made = || -> anyhow::Result<()> {
            let mut file = create(&dir, &partial)?;
            file.write_all(bytes)?;
            if let Some(Ids { uid, gid }) = wanted {
                fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
            }
            // After the owner: changing that takes set-id bits away.
            fs::fchmod(&file, Mode::from_raw_mode(mode))?;
            if !path.starts_with("/run/") {
                file.sync_all()?;
            }
            fs::renameat(&dir, &partial, &dir, &name)?;
            Ok(())
        };
        made().inspect_err(|_| discard(&dir, &partial)).with_context(writing)?;
        Ok(change)
    }

    /// Makes a link what it should be, in the place of a file or link there.
    pub fn link(&self, path: &str, target: &str, mood: Mood) -> anyhow::Result<Change> {
        let change = match self.find(path)? {
            Found::Link(there) if there == target => return Ok(Change::Unchanged),
            Found::Other => bail!("linking {path}: a folder or a special file is there"),
            found => Change::of(&found),
        };
        if mood == Mood::Look {
            return Ok(change);
        }
        let linking = || format!("linking {path}");
        let (dir, name) = self.made_folder_of(path, None).with_context(linking)?;
        let partial = partial(&name)?;
        discard(&dir, &partial);
        fs::symlinkat(target, &dir, &partial).with_context(linking)?;
        fs::renameat(&dir, &partial, &dir, &name)
            .inspect_err(|_| discard(&dir, &partial))
            .with_context(linking)?;
        Ok(change)
    }

    /// Removes a file or link; nothing there is fine.
    pub fn remove(&self, path: &str, mood: Mood) -> anyhow::Result<Change> {
        if self.find(path)? == Found::Nothing {
            return Ok(Change::Unchanged);
        }
        if mood == Mood::Do
            && let Some((dir, name)) = self.folder_of(path, None)?
        {
            fs::unlinkat(&dir, &name, AtFlags::empty()).with_context(|| format!("removing {path}"))?;
        }
        Ok(Change::Changed)
    }

    /// Makes a folder with these permissions and this owner; one that is there stays as it is.
    pub fn make_folder(&self, path: &str, mode: u32, owner: Option<Ids>) -> anyhow::Result<()> {
        let inside = format!("{path}/.");
        self.made_folder_of(&inside, Some((mode, owner))).with_context(|| format!("making {path}")).map(drop)
    }

    /// Waits until nobody else holds the lock at a path, and holds it as long as the result lives.
    pub fn lock(&self, path: &str) -> anyhow::Result<File> {
        let locking = || format!("locking {path}");
        let (dir, name) = self.made_folder_of(path, None).with_context(locking)?;
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
        let fd = fs::openat(&dir, &name, flags, Mode::from_raw_mode(0o600)).with_context(locking)?;
        let file = File::from(fd);
        file.lock().with_context(locking)?;
        Ok(file)
    }

    /// Returns the owner of a folder that is there.
    pub fn folder_owner(&self, path: &str) -> anyhow::Result<Option<Ids>> {
        let Some((dir, _)) = self.folder_of(&format!("{path}/."), None)? else { return Ok(None) };
        let stat = fs::fstat(&dir).with_context(|| format!("reading {path}"))?;
        Ok(Some(Ids { uid: stat.st_uid, gid: stat.st_gid }))
    }

    /// Returns the names of files in a folder, sorted; none of a missing folder.
    pub fn list(&self, path: &str) -> anyhow::Result<Vec<String>> {
        let Some((dir, _)) = self.folder_of(&format!("{path}/."), None)? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&dir).with_context(|| format!("reading {path}"))? {
            let entry = entry.with_context(|| format!("reading {path}"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn made_folder_of(
        &self,
        path: &str,
        last: Option<(u32, Option<Ids>)>,
    ) -> anyhow::Result<(OwnedFd, CString)> {
        let found = self.folder_of(path, Some(last.unwrap_or((FOLDER_MODE, None))))?;
        found.context("a folder on the way is gone again")
    }

    /// Opens the folder of a path. With permissions, folders on the way are made: the last one with these and
    /// this owner, those above for all to read.
    fn folder_of(
        &self,
        path: &str,
        make: Option<(u32, Option<Ids>)>,
    ) -> anyhow::Result<Option<(OwnedFd, CString)>> {
        let (folders, name) = path.rsplit_once('/').context("the path is not absolute")?;
        let parts: Vec<&str> = folders.split('/').filter(|part| !part.is_empty()).collect();
        if parts.contains(&"..") || name == ".." {
            bail!("the path has `..`");
        }
        let mut dir = self.fd.try_clone()?;
        for (idx, part) in parts.iter().enumerate() {
            let opened = fs::openat(&dir, *part, FOLDER_FLAGS, Mode::empty());
            dir = match (opened, make) {
                (Ok(opened), _) => opened,
                (Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP), None) => return Ok(None),
                (Err(Errno::NOENT), Some(last)) => {
                    let is_last = idx + 1 == parts.len();
                    let (mode, owner) = if is_last { last } else { (FOLDER_MODE, None) };
                    self.made_folder(&dir, part, mode, owner)?
                }
                (Err(err), _) => {
                    let folder: String = parts[..=idx].iter().flat_map(|part| ["/", part]).collect();
                    let is_link = matches!(err, Errno::LOOP | Errno::NOTDIR);
                    let why = if is_link { "is a link or no folder".to_owned() } else { err.to_string() };
                    bail!("{folder} {why}");
                }
            };
        }
        Ok(Some((dir, CString::new(name)?)))
    }

    fn made_folder(
        &self,
        dir: &OwnedFd,
        name: &str,
        mode: u32,
        owner: Option<Ids>,
    ) -> anyhow::Result<OwnedFd> {
        match fs::mkdirat(dir, name, Mode::from_raw_mode(mode & 0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(err) => bail!("making folder {name}: {err}"),
        }
        let made = fs::openat(dir, name, FOLDER_FLAGS, Mode::empty())?;
        if let Some(Ids { uid, gid }) = owner.filter(|_| self.may_chown) {
            fs::fchown(&made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        fs::fchmod(&made, Mode::from_raw_mode(mode))?;
        Ok(made)
    }
}

/// Returns the name of the temporary file.
fn partial(name: &CString) -> anyhow::Result<CString> {
    Ok(CString::new([b".", name.as_bytes(), b".cloudinit"].concat())?)
}

/// Makes the temporary file anew, readable for nobody else.
fn create(dir: &OwnedFd, partial: &CString) -> anyhow::Result<File> {
    discard(dir, partial);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
    Ok(File::from(fs::openat(dir, partial, flags, Mode::from_raw_mode(0o600))?))
}

/// Removes what an interrupted run left; whatever else is in the way shows when the file is made.
fn discard(dir: &OwnedFd, partial: &CString) {
    let _absent = fs::unlinkat(dir, partial, AtFlags::empty());
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        (dir, tree)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn writes_once_with_folders_for_all_to_read() {
        let (dir, tree) = tree();
        let write = |mood| tree.write("/a/b/c", b"x", 0o600, None, mood).unwrap();
        assert_eq!(write(Mood::Look), Change::Made);
        assert!(!dir.path().join("a").exists());
        assert_eq!([write(Mood::Do), write(Mood::Do)], [Change::Made, Change::Unchanged]);
        assert_eq!((mode(&dir.path().join("a/b")), mode(&dir.path().join("a/b/c"))), (0o755, 0o600));
        assert_eq!(tree.list("/a/b").unwrap(), ["c"]);
        assert_eq!(tree.write("/a/b/c", b"x", 0o644, None, Mood::Do).unwrap(), Change::Changed);
        assert_eq!(std::fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn follows_no_link_on_the_way_and_replaces_one_at_the_end() {
        let (dir, tree) = tree();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("etc")).unwrap();
        let err = tree.write("/etc/a", b"x", 0o644, None, Mood::Do).unwrap_err();
        assert_eq!(format!("{err:#}"), "writing /etc/a: /etc is a link or no folder");
        assert!(tree.link("/etc/a", "/b", Mood::Do).is_err());
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        assert_eq!(tree.find("/etc/secret").unwrap(), Found::Nothing);
        assert_eq!(tree.remove("/etc/secret", Mood::Do).unwrap(), Change::Unchanged);
        symlink(outside.path().join("secret"), dir.path().join("a")).unwrap();
        tree.write("/a", b"x", 0o644, None, Mood::Do).unwrap();
        assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"s");
        assert!(dir.path().join("a").symlink_metadata().unwrap().is_file());
        assert!(tree.write("/a/../b", b"x", 0o644, None, Mood::Do).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_planted_temporary_name_is_no_way_out() {
        let (dir, tree) = tree();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "v").unwrap();
        symlink(&victim, dir.path().join(".a.cloudinit")).unwrap();
        tree.write("/a", b"x", 0o644, None, Mood::Do).unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"v");
        std::fs::create_dir(dir.path().join(".b.cloudinit")).unwrap();
        assert!(tree.write("/b", b"x", 0o644, None, Mood::Do).is_err());
    }

    #[test]
    fn refuses_to_write_over_a_folder() {
        let (dir, tree) = tree();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        assert!(tree.write("/a", b"x", 0o644, None, Mood::Do).is_err());
        assert!(tree.link("/a", "/b", Mood::Do).is_err());
        assert!(tree.remove("/a", Mood::Do).is_err());
    }

    #[test]
    fn links_and_removes_once() {
        let (_dir, tree) = tree();
        let link = || tree.link("/a/l", "/dev/null", Mood::Do).unwrap();
        assert_eq!([link(), link()], [Change::Made, Change::Unchanged]);
        assert_eq!(tree.find("/a/l").unwrap(), Found::Link("/dev/null".to_owned()));
        let remove = |mood| tree.remove("/a/l", mood).unwrap();
        assert_eq!(
            [remove(Mood::Look), remove(Mood::Do), remove(Mood::Do)],
            [Change::Changed, Change::Changed, Change::Unchanged]
        );
    }
}
