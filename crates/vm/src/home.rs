//! The folder of one virtual machine: disk, firmware variables, SSH key, and who is using it.
//!
//! | file | content |
//! | --- | --- |
//! | `lock` | locked (flock) while a process uses the folder; the lock ends with the process |
//! | `state.json` | how to reach the running machine |
//! | `disk`, `vars.fd` | what survives a power cycle |
//! | `disk.base` | the disk as it was before its writes were recorded |
//! | `writes.log` | the writes of a recorded machine |
//! | `base.json` | the image behind a copy-on-write disk |
//! | `id`, `id.pub`, `passwd` | key pair of this machine, and a name for the caller's user number |
//! | `fw_cfg` | the entries of the firmware configuration, a file each, of the last run |
//! | `console.log`, `console.sock`, `qmp.sock`, `qemu.log` | of the last run |

use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::machine::DiskFormat;
use crate::{Sandbox, disk, ssh};

/// Of [`State`]; another version is treated as stale.
const STATE_VERSION: u32 = 1;
/// Length of the footer of Virtual PC's format, in bytes.
const FOOTER_LEN: u64 = 512;
/// Firmware variables of a new machine, below the tools tree.
const VARS_TEMPLATE: &str = "usr/share/OVMF/OVMF_VARS_4M.fd";

/// Why a machine's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file failed.
    #[error("using `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the host said.
        #[source]
        source: std::io::Error,
    },
    /// Another process runs a machine there.
    #[error("a machine is running in `{0}` already: end it first")]
    Running(PathBuf),
    /// The disk was not made.
    #[error("making the machine's disk")]
    Disk(#[from] disk::Error),
}

/// How to reach a running machine, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of this structure.
    pub version: u32,
    /// Name of the machine.
    pub name: String,
    /// Process number of QEMU's sandbox.
    pub pid: u32,
    /// Port on 127.0.0.1 that leads to the guest's SSH.
    pub ssh_port: u16,
    /// Private key for user `core`.
    pub key: PathBuf,
    /// QEMU's control socket.
    pub qmp: PathBuf,
    /// The tools tree that runs it.
    pub tools: PathBuf,
}

/// The image that a copy-on-write disk was made from, as stored in `base.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    path: PathBuf,
    len: u64,
    modified_ns: i128,
}

/// A machine's folder, used by nobody else as long as this lives.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    sandbox: Sandbox,
    public_key: String,
    _lock: File,
}

impl Home {
    /// Takes the folder `dir`, making it and its SSH key where they do not exist.
    ///
    /// # Errors
    /// When another process uses it, or a file in it cannot be made.
    pub fn claim(sandbox: &Sandbox, dir: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        let dir = &std::path::absolute(dir).map_err(io)?;
        let lock = File::create(dir.join("lock")).map_err(io)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Running(dir.clone()),
            TryLockError::Error(source) => io(source),
        })?;
        let public = dir.join("id.pub");
        let public_key = if public.exists() && dir.join("id").exists() {
            std::fs::read_to_string(&public).map_err(io)?
        } else {
            ssh::make_key(sandbox, dir).map_err(io)?
        };
        Ok(Self { dir: dir.clone(), sandbox: sandbox.clone(), public_key, _lock: lock })
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the sandbox of the tools tree, with nothing of this machine bound.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Returns the line for `authorized_keys`.
    pub fn public_key(&self) -> &str {
        self.public_key.trim_end()
    }

    /// Returns the disk's file, whether it exists or not.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk")
    }

    /// Returns the layout of the disk's file.
    ///
    /// # Errors
    /// When there is no disk.
    pub fn disk_format(&self) -> Result<DiskFormat, Error> {
        let path = self.disk();
        let read = File::open(&path).and_then(|file| {
            let (mut first, mut footer) = ([0; 4], [0; 8]);
            file.read_exact_at(&mut first, 0)?;
            // A disk that is shorter than the footer has none.
            if let Some(at) = file.metadata()?.len().checked_sub(FOOTER_LEN) {
                file.read_exact_at(&mut footer, at)?;
            }
            Ok((first, footer))
        });
        let (first, footer) = read.map_err(|source| Error::Io { path, source })?;
        Ok(match (&first, &footer) {
            (b"QFI\xfb", _) => DiskFormat::Qcow2,
            (b"KDMV", _) => DiskFormat::Vmdk,
            (_, b"conectix") => DiskFormat::Vpc,
            _ => DiskFormat::Raw,
        })
    }

    /// Gives the machine a new disk that shows `image` and stores only what differs, `size` bytes long, and new
    /// firmware variables.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new_overlay(&self, image: &Path, size: u64) -> Result<(), Error> {
        let path = self.dir.join("base.json");
        let written = base_of(image).and_then(|base| std::fs::write(&path, serde_json::to_vec(&base)?));
        written.map_err(|source| Error::Io { path, source })?;
        disk::overlay(&self.sandbox, image, &self.dir, size)?;
        self.new_vars()
    }

    /// Says whether there is a copy-on-write disk made from `image` as it is now. Any other content of the image
    /// would be mixed with what the disk stores.
    pub fn has_overlay_of(&self, image: &Path) -> bool {
        // What cannot be read is no disk that could be used.
        let stored = std::fs::read(self.dir.join("base.json")).ok();
        let stored = stored.and_then(|text| serde_json::from_slice::<Base>(&text).ok());
        self.disk().exists() && stored.is_some_and(|stored| base_of(image).is_ok_and(|base| base == stored))
    }

    /// Gives the machine a new raw disk with the bytes of `image`, `size` bytes long, and new firmware variables.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new_raw_copy(&self, image: &Path, size: u64) -> Result<(), Error> {
        disk::raw_copy(image, &self.dir, size)?;
        self.new_vars()
    }

    /// Sets the machine's raw disk aside as [`Home::base`] and gives it a disk that shows the same bytes and
    /// stores only what differs, so that the state before a recording stays. The firmware variables stay too.
    ///
    /// # Errors
    /// When the disk is none, or a file cannot be made.
    pub fn set_base_aside(&self) -> Result<(), Error> {
        let (disk, base) = (self.disk(), self.base());
        let moved = std::fs::rename(&disk, &base).and_then(|()| std::fs::metadata(&base));
        let size = moved.map_err(|source| Error::Io { path: disk, source })?.len();
        Ok(disk::overlay(&self.sandbox, &base, &self.dir, size)?)
    }

    /// Returns the file of the disk as it was when it was set aside, whether it exists or not.
    pub fn base(&self) -> PathBuf {
        self.dir.join("disk.base")
    }

    /// Gives the machine the firmware variables of a new board.
    ///
    /// # Errors
    /// When the template is missing or the copy fails.
    pub fn new_vars(&self) -> Result<(), Error> {
        let template = self.sandbox.tree().join(VARS_TEMPLATE);
        let read = std::fs::read(&template).map_err(|source| Error::Io { path: template, source })?;
        let path = self.dir.join("vars.fd");
        std::fs::write(&path, read).map_err(|source| Error::Io { path, source })
    }

    /// Connects to a socket in the folder, however long the folder's name is.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(&self, socket: &str) -> std::io::Result<UnixStream> {
        connect_in(&self.dir, socket)
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(self) -> Result<(), Error> {
        std::fs::remove_dir_all(&self.dir).map_err(|source| Error::Io { path: self.dir.clone(), source })
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<(), Error> {
        let path = self.dir.join("state.json");
        let text = serde_json::to_vec_pretty(state).map_err(std::io::Error::from);
        let written = text.and_then(|text| std::fs::write(&path, text));
        written.map_err(|source| Error::Io { path, source })
    }
}

impl State {
    pub(crate) fn new(name: &str, pid: u32, ssh_port: u16, dir: &Path, tools: &Path) -> Self {
        let (name, key, qmp) = (name.to_owned(), dir.join("id"), dir.join("qmp.sock"));
        Self { version: STATE_VERSION, name, pid, ssh_port, key, qmp, tools: tools.to_owned() }
    }
}

fn base_of(image: &Path) -> std::io::Result<Base> {
    use std::os::unix::fs::MetadataExt;
    let path = std::path::absolute(image)?;
    let meta = std::fs::metadata(&path)?;
    let modified_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    Ok(Base { path, len: meta.len(), modified_ns })
}

/// Returns the machines that run now among the folders in `runs`, with their folders, in the order of names.
/// A folder whose process has gone is stale and passed over.
pub fn running(runs: &Path) -> Vec<(PathBuf, State)> {
    let Ok(entries) = std::fs::read_dir(runs) else { return Vec::new() };
    let mut found: Vec<_> = entries.filter_map(|entry| live_state(&entry.ok()?.path())).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn live_state(dir: &Path) -> Option<(PathBuf, State)> {
    // What cannot be read or parsed is not a running machine of this version.
    let lock = File::open(dir.join("lock")).ok()?;
    if !matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let text = std::fs::read(dir.join("state.json")).ok()?;
    let state: State = serde_json::from_slice(&text).ok()?;
    (state.version == STATE_VERSION).then(|| (dir.to_owned(), state))
}

/// Connects to `dir/socket` through an open folder: the name of a Unix socket is limited to 107 bytes.
pub(crate) fn connect_in(dir: &Path, socket: &str) -> std::io::Result<UnixStream> {
    use std::os::fd::AsRawFd;
    let folder = File::open(dir)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{socket}", folder.as_raw_fd()))
}

/// Listens at `dir/socket`, in the same way.
pub(crate) fn listen_in(dir: &Path, socket: &str) -> std::io::Result<UnixListener> {
    use std::os::fd::AsRawFd;
    let folder = File::open(dir)?;
    UnixListener::bind(format!("/proc/self/fd/{}/{socket}", folder.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home_without_tools(dir: &Path) -> Result<Home, Error> {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("id"), "").unwrap();
        std::fs::write(dir.join("id.pub"), "ssh-ed25519 AAAA slipway-vm\n").unwrap();
        Home::claim(&Sandbox::new("/nonexistent"), dir)
    }

    #[test]
    fn a_folder_in_use_is_refused_and_free_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_without_tools(dir.path()).unwrap();
        assert!(matches!(home_without_tools(dir.path()), Err(Error::Running(_))));
        drop(home);
        home_without_tools(dir.path()).unwrap();
    }

    #[test]
    fn only_the_folder_of_a_living_process_counts_as_running() {
        let runs = tempfile::tempdir().unwrap();
        let homes = ["a", "b"].map(|name| home_without_tools(&runs.path().join(name)).unwrap());
        for home in &homes {
            home.write_state(&State::new("x", 1, 2222, home.dir(), Path::new("/t"))).unwrap();
        }
        let [a, b] = homes;
        drop(b);
        let names: Vec<_> = running(runs.path()).into_iter().map(|(dir, _)| dir).collect();
        assert_eq!(names, [a.dir()]);
    }

    #[test]
    fn the_format_of_a_disk_is_seen_from_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_without_tools(dir.path()).unwrap();
        let format = |bytes: Vec<u8>| {
            std::fs::write(home.disk(), bytes).unwrap();
            home.disk_format().unwrap()
        };
        let mut fixed = vec![0; 2048];
        fixed[1536..1544].copy_from_slice(b"conectix");
        assert_eq!(format(fixed), DiskFormat::Vpc);
        assert_eq!(format(b"KDMV and so on".to_vec()), DiskFormat::Vmdk);
        assert_eq!(format([&b"QFI\xfb"[..], &[0; 600]].concat()), DiskFormat::Qcow2);
        assert_eq!(format(vec![0; 512]), DiskFormat::Raw);
        std::fs::write(home.disk(), "x").unwrap();
        assert!(home.disk_format().is_err());
    }

    #[test]
    fn a_disk_of_an_image_that_was_rebuilt_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_without_tools(&dir.path().join("home")).unwrap();
        let image = dir.path().join("image");
        std::fs::write(&image, "one").unwrap();
        assert!(!home.has_overlay_of(&image));
        std::fs::write(home.disk(), "").unwrap();
        let base = serde_json::to_vec(&base_of(&image).unwrap()).unwrap();
        std::fs::write(home.dir().join("base.json"), base).unwrap();
        assert!(home.has_overlay_of(&image));
        std::fs::write(&image, "three").unwrap();
        assert!(!home.has_overlay_of(&image));
    }

    #[test]
    fn connects_below_a_folder_with_a_long_name() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(120));
        std::fs::create_dir(&long).unwrap();
        assert!(UnixStream::connect(long.join("s")).is_err());
        assert_eq!(connect_in(&long, "s").unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
