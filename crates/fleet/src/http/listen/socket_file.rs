//! A unix socket that fleetd makes itself, where systemd gives none.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use super::ListenerError;

/// A socket's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    /// Where it is; its folder must be there.
    pub path: PathBuf,
    /// Who may connect, such as `0o660`.
    pub mode: u32,
    /// The number of its group; without, that of the process.
    pub group: Option<u32>,
}

/// A socket's file that was made, and is removed with this.
#[derive(Debug)]
pub(super) struct Bound {
    path: PathBuf,
    /// Device and inode: a file that somebody else put there since stays.
    identity: (u64, u64),
}

impl SocketFile {
    /// Returns the number of a group in the text of `/etc/group`, if it is there.
    pub fn group_in(text: &str, name: &str) -> Option<u32> {
        let mut fields = text.lines().map(|line| line.split(':'));
        let mut group = fields.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
        // The second field is a password that nobody has.
        group.nth(1)?.parse().ok()
    }

    /// Makes the socket under another name and moves it into place when mode and group are set, so that nobody
    /// connects before, and a file that an ended process left is replaced in one step.
    pub(super) async fn bind(&self) -> Result<(UnixListener, Bound), ListenerError> {
        let failed = |err| ListenerError::SocketFile { path: self.path.clone(), err };
        match UnixStream::connect(&self.path).await {
            Ok(_) => return Err(ListenerError::Served(self.path.clone())),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) if err.kind() == io::ErrorKind::ConnectionRefused && is_socket(&self.path) => {}
            Err(err) => return Err(failed(err)),
        }
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        match fs::remove_file(&fresh) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(failed(err)),
            _ => {}
        }
        let socket = UnixListener::bind(&fresh).map_err(failed)?;
        let bound = self.place(&fresh).map_err(|err| {
            // The error that led here is the one to tell.
            let _ = fs::remove_file(&fresh);
            failed(err)
        })?;
        Ok((socket, bound))
    }

    fn place(&self, fresh: &Path) -> io::Result<Bound> {
        // The group first: until the mode is set, only the owner may connect.
        std::os::unix::fs::chown(fresh, None, self.group)?;
        fs::set_permissions(fresh, fs::Permissions::from_mode(self.mode))?;
        let metadata = fs::symlink_metadata(fresh)?;
        fs::rename(fresh, &self.path)?;
        Ok(Bound { path: self.path.clone(), identity: (metadata.dev(), metadata.ino()) })
    }
}

impl Bound {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if same {
            // A file that is left is replaced by the next one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &tempfile::TempDir) -> SocketFile {
        SocketFile { path: dir.path().join("fleet.sock"), mode: 0o660, group: None }
    }

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let text = "root:x:0:\nfleeting:x:1:\nfleet:x:253:core,fleet\nbroken\nodd:x:many:\n";
        let number = |name: &str| SocketFile::group_in(text, name);
        assert_eq!([number("fleet"), number("root")], [Some(253), Some(0)]);
        assert_eq!([number("flee"), number("broken"), number("odd"), number("core")], [None; 4]);
    }

    #[tokio::test]
    async fn only_owner_and_group_may_connect() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        let group = fs::metadata(dir.path()).unwrap().gid();
        let (_socket, _bound) = SocketFile { group: Some(group), ..file.clone() }.bind().await.unwrap();
        let metadata = fs::metadata(&file.path).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.gid()), (0o660, group));
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["fleet.sock"]);
    }

    #[tokio::test]
    async fn what_an_ended_process_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        drop(std::os::unix::net::UnixListener::bind(&file.path).unwrap());
        assert!(file.path.exists());
        let (_socket, _bound) = file.bind().await.unwrap();
        UnixStream::connect(&file.path).await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_that_is_served_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        let _served = std::os::unix::net::UnixListener::bind(&file.path).unwrap();
        assert!(matches!(file.bind().await, Err(ListenerError::Served(_))));
        UnixStream::connect(&file.path).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        fs::write(&file.path, "precious").unwrap();
        assert!(matches!(file.bind().await, Err(ListenerError::SocketFile { .. })));
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = SocketFile { path: dir.path().join("none/fleet.sock"), mode: 0o660, group: None };
        let err = file.bind().await.unwrap_err().to_string();
        assert!(err.starts_with("making the socket ") && err.contains("none/fleet.sock"), "{err}");
    }

    #[tokio::test]
    async fn the_file_goes_with_the_listener_unless_it_is_anothers() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        let (socket, bound) = file.bind().await.unwrap();
        drop((socket, bound));
        assert!(!file.path.exists());
        let (socket, bound) = file.bind().await.unwrap();
        // Two files at once have two inodes.
        let _other = std::os::unix::net::UnixListener::bind(dir.path().join("other")).unwrap();
        fs::rename(dir.path().join("other"), &file.path).unwrap();
        drop((socket, bound));
        assert!(file.path.exists());
    }
}
