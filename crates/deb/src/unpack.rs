//! Putting a package's files into a folder, without owners and without leaving the folder.
//!
//! This is not an installation: no script runs, nothing is configured, no owner is set. `/bin`, `/sbin`,
//! `/lib*` go below `usr`, whatever the package says.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use thiserror::Error;

use crate::package::{self, Kind, Member, PackageError};

/// Top-level folders that are links into `usr` on a system with merged folders.
pub const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Most links followed on the way to one file, as in Linux.
const HOPS_MAX: usize = 40;

/// Why a package could not be unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// The package itself.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A device or pipe, which no ordinary user could make.
    #[error("`{0}` is a device or a pipe")]
    Special(String),
    /// A path whose links go in circles, or through a file.
    #[error("the way to `{0}` has a loop or a file in it")]
    Way(String),
    /// A file that is there already.
    #[error("`{0}` is in another package as well")]
    Exists(String),
    /// The file system said no.
    #[error("writing `{path}`")]
    Write {
        /// Relative to the folder.
        path: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Unpacks a package below `root`, which must exist. Members for whose path (already below `usr` where that
/// applies) `keep` says no are left out. Permissions are kept, set-id bits are dropped, and the owner
/// can always read, and enter folders.
pub fn unpack(reader: impl Read, root: &Path, keep: impl Fn(&str) -> bool) -> Result<(), UnpackError> {
    let mut buffer = vec![0; 1 << 17];
    package::each_member(reader, |mut member, content| {
        member.path = merged(&member.path);
        if member.path.is_empty() || MERGED.contains(&member.path.as_str()) || !keep(&member.path) {
            return Ok(());
        }
        place(root, &member, content, &mut buffer)
    })
}

/// Returns where a path lies on a system with merged folders.
pub fn merged(path: &str) -> String {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if MERGED.contains(&first) && !rest.is_empty() { format!("usr/{path}") } else { path.to_owned() }
}

fn place(root: &Path, member: &Member, content: &mut dyn Read, buffer: &mut [u8]) -> Result<(), UnpackError> {
    let failed = |source| UnpackError::Write { path: member.path.clone(), source };
    let path = locate(root, &member.path)?;
    match &member.kind {
        Kind::Dir => match fs::create_dir(&path) {
            Ok(()) => {
                let mode = member.mode & 0o777 | 0o700;
                fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed)
            }
            // Folders belong to many packages; a link to one will do as well.
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists && resolve(root, &member.path).is_ok() => {
                Ok(())
            }
            Err(err) => Err(failed(err)),
        },
        Kind::File { .. } => write_file(&path, member, content, buffer),
        Kind::Symlink { target } => match symlink(target, &path) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                // Two packages may agree on a link.
                let same = fs::read_link(&path).is_ok_and(|found| found == Path::new(target));
                if same { Ok(()) } else { Err(UnpackError::Exists(member.path.clone())) }
            }
            made => made.map_err(failed),
        },
        Kind::Hardlink { target } => {
            let target = locate(root, &merged(target))?;
            fs::hard_link(target, &path).map_err(failed)
        }
        Kind::Special => Err(UnpackError::Special(member.path.clone())),
    }
}

fn write_file(
    path: &Path,
    member: &Member,
    content: &mut dyn Read,
    buffer: &mut [u8],
) -> Result<(), UnpackError> {
    let failed = |source| UnpackError::Write { path: member.path.clone(), source };
    let mode = member.mode & 0o777 | 0o400;
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
            return Err(UnpackError::Exists(member.path.clone()));
        }
        Err(err) => return Err(failed(err)),
    };
    loop {
        let n = content.read(buffer).map_err(PackageError::Read)?;
        if n == 0 {
            break;
        }
        file.write_all(&buffer[..n]).map_err(failed)?;
    }
    finish_file(&file, mode, member.mtime).map_err(failed)
}

fn finish_file(file: &File, mode: u32, mtime: u64) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))?;
    match UNIX_EPOCH.checked_add(Duration::from_secs(mtime)) {
        Some(time) => file.set_modified(time),
        None => Ok(()),
    }
}

/// Returns where to make `path`: its folder resolved and made if need be, its last part as it is.
fn locate(root: &Path, path: &str) -> Result<PathBuf, UnpackError> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    Ok(resolve(root, dir)?.join(name))
}

/// Returns a folder below `root`, following links as if `root` were `/` and making what is missing.
fn resolve(root: &Path, path: &str) -> Result<PathBuf, UnpackError> {
    let mut pending: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut hops = 0;
    while let Some(part) = pending.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => {}
        }
        let here = root.join(done.join("/")).join(&part);
        let failed = |source| UnpackError::Write { path: path.to_owned(), source };
        match fs::symlink_metadata(&here) {
            Ok(found) if found.is_dir() => done.push(part),
            Ok(found) if found.is_symlink() && hops < HOPS_MAX => {
                hops += 1;
                let target = fs::read_link(&here).map_err(failed)?;
                let target = target.to_str().ok_or_else(|| UnpackError::Way(path.to_owned()))?;
                if target.starts_with('/') {
                    done.clear();
                }
                pending.extend(target.split('/').rev().map(str::to_owned));
            }
            Ok(_) => return Err(UnpackError::Way(path.to_owned())),
            Err(err) if err.kind() == io::ErrorKind::NotFound => match fs::create_dir(&here) {
                // Another thread may have been faster.
                Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(failed(err)),
                _ => pending.push(part),
            },
            Err(err) => return Err(failed(err)),
        }
    }
    Ok(root.join(done.join("/")))
}

#[cfg(test)]
mod tests {
    use tar::EntryType::{Char, Directory, Link, Regular, Symlink};

    use super::*;
    use crate::package::tests::{Entry, deb_of};

    fn unpacked(entries: &[Entry<'_>]) -> (tempfile::TempDir, Result<(), UnpackError>) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let res = unpack(&deb_of(entries)[..], &root, |_| true);
        (dir, res)
    }

    #[test]
    fn keeps_modes_and_times_without_set_id_bits() {
        let (dir, res) = unpacked(&[
            ("./usr/", Directory, "", 0o2755, b""),
            ("./usr/bin/", Directory, "", 0o555, b""),
            ("./usr/bin/su", Regular, "", 0o4755, b"su"),
            ("./usr/bin/su2", Link, "./usr/bin/su", 0o4755, b""),
            ("./etc/secret", Regular, "", 0o200, b""),
        ]);
        res.unwrap();
        let mode = |path: &str| {
            fs::metadata(dir.path().join("root").join(path)).unwrap().permissions().mode() & 0o7777
        };
        assert_eq!(mode("usr") & 0o7000, 0);
        assert_eq!(mode("usr/bin"), 0o755);
        assert_eq!(mode("usr/bin/su"), 0o755);
        assert_eq!(mode("etc/secret"), 0o600);
        assert_eq!(fs::read(dir.path().join("root/usr/bin/su2")).unwrap(), b"su");
        let time = fs::metadata(dir.path().join("root/usr/bin/su")).unwrap().modified().unwrap();
        assert_eq!(time, UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn merges_top_level_folders_into_usr() {
        let (dir, res) = unpacked(&[
            ("./lib", Symlink, "usr/lib", 0o777, b""),
            ("./bin/", Directory, "", 0o755, b""),
            ("./bin/dash", Regular, "", 0o755, b"x"),
            ("./lib64/ld.so", Symlink, "/lib/ld.so", 0o777, b""),
            ("./libexec/x", Regular, "", 0o644, b""),
        ]);
        res.unwrap();
        let root = dir.path().join("root");
        assert!(root.join("usr/bin/dash").is_file());
        assert!(root.join("usr/lib64/ld.so").is_symlink());
        assert!(root.join("libexec/x").is_file());
        assert!(!root.join("bin").exists() && !root.join("lib").exists());
    }

    #[test]
    fn links_never_lead_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        for target in [outside.to_str().unwrap(), "../outside", "../../../../outside", "/outside"] {
            let root = dir.path().join("root");
            fs::create_dir(&root).unwrap();
            let deb = deb_of(&[("./a", Symlink, target, 0o777, b""), ("./a/b", Regular, "", 0o644, b"x")]);
            unpack(&deb[..], &root, |_| true).unwrap();
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{target}");
            fs::remove_dir_all(&root).unwrap();
        }
    }

    #[test]
    fn writes_through_links_between_folders() {
        let (dir, res) = unpacked(&[
            ("./usr/share/a/", Directory, "", 0o755, b""),
            ("./usr/share/b", Symlink, "/usr/share/a", 0o777, b""),
            ("./usr/share/b/", Directory, "", 0o755, b""),
            ("./usr/share/b/file", Regular, "", 0o644, b""),
        ]);
        res.unwrap();
        assert!(dir.path().join("root/usr/share/a/file").is_file());
    }

    #[test]
    fn rejects_loops_devices_and_second_owners() {
        let (_dir, res) = unpacked(&[("./a", Symlink, "a", 0o777, b""), ("./a/b", Regular, "", 0o644, b"")]);
        assert!(matches!(res, Err(UnpackError::Way(_))));
        let (_dir, res) = unpacked(&[("./a", Regular, "", 0o644, b""), ("./a/b", Regular, "", 0o644, b"")]);
        assert!(matches!(res, Err(UnpackError::Way(_))));
        let (_dir, res) = unpacked(&[("./a", Char, "", 0o666, b"")]);
        assert!(matches!(res, Err(UnpackError::Special(_))));
        let (_dir, res) = unpacked(&[("./a", Regular, "", 0o644, b""), ("./a", Regular, "", 0o644, b"")]);
        assert!(matches!(res, Err(UnpackError::Exists(_))));
        let (_dir, res) = unpacked(&[("./a", Symlink, "b", 0o777, b""), ("./a", Regular, "", 0o644, b"")]);
        assert!(matches!(res, Err(UnpackError::Exists(_))));
    }

    #[test]
    fn leaves_out_what_is_not_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let deb =
            deb_of(&[("./usr/share/doc/a/b", Regular, "", 0o644, b""), ("./usr/c", Regular, "", 0o644, b"")]);
        unpack(&deb[..], dir.path(), |path| !path.starts_with("usr/share/doc/")).unwrap();
        assert!(dir.path().join("usr/c").exists() && !dir.path().join("usr/share").exists());
    }
}
