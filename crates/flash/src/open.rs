//! Looks at what somebody names as a device, and opens it so that nobody else has it.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use disk_image::{Device, Extent, LogicalBlockSize};
use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate, major, minor};
use rustix::io::Errno;

use crate::machine::{self, Disk, Found};
use crate::refusal::{Refusal, of_file_len, refusals};
use crate::write::Target;

/// Memory that is read into past the caches starts at a multiple of this.
const MEMORY_ALIGNMENT: usize = 4096;
/// How long the lock of a device is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What was named.
#[derive(Clone, Debug)]
pub struct Named {
    /// The device's or file's own path, without links.
    pub path: PathBuf,
    /// Name to be typed: `sdb`, or that of the file.
    pub name: String,
    /// The disk, unless it is a regular file.
    pub disk: Option<Disk>,
    /// All that speaks against it.
    pub refusals: Vec<Refusal>,
}

impl Named {
    /// Returns the size of a logical block of the table that it gets; a regular file has the smallest.
    pub fn block_size(&self) -> LogicalBlockSize {
        self.disk.as_ref().map_or(LogicalBlockSize::Lb512, Disk::logical_block_size)
    }
}

/// Why a device cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not to be written.
    #[error("{0}")]
    Refused(Refusal),
    /// Whoever asks may not write it.
    #[error("only root may write to a disk: run the same with `sudo`")]
    NotAllowed(#[source] io::Error),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] io::Error),
}

/// Looks at what `path` leads to, where disks with logical blocks of `takes` bytes are taken; sysfs and procfs are those
/// below `root`. Opens nothing.
pub fn look(root: &Path, path: &Path, takes: &'static [u64]) -> io::Result<Named> {
    let path = std::fs::canonicalize(path)?;
    let meta = std::fs::metadata(&path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let named = |disk, refusals| Named { path: path.clone(), name: name.clone(), disk, refusals };
    if meta.file_type().is_block_device() {
        let number = (major(meta.rdev()), minor(meta.rdev()));
        return Ok(match machine::find(root, number)? {
            Found::Partition { disk } => named(None, vec![Refusal::Partition { disk }]),
            // The node may have another name than the kernel's.
            Found::Disk(disk) => {
                Named { name: disk.name.clone(), ..named(Some(disk.clone()), refusals(&disk, takes)) }
            }
        });
    }
    if !meta.is_file() {
        return Ok(named(None, vec![Refusal::NoDevice]));
    }
    let mut found = vec![];
    if path.starts_with("/dev") && !path.starts_with("/dev/shm") {
        found.push(Refusal::FileInDev);
    }
    let users = machine::users_of_file(root, &path)?;
    found.extend(users.into_iter().map(|by| Refusal::FileInUse { by }));
    found.extend(of_file_len(meta.len()));
    Ok(named(None, found))
}

/// A device that nobody else has.
#[derive(Debug)]
pub struct Opened {
    file: File,
    /// The same, past the kernel's caches; not every file system can.
    direct: Option<File>,
    len: u64,
}

impl Opened {
    /// Opens a device, or a regular file, for itself alone.
    pub fn open(named: &Named) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if named.disk.is_some() {
            // Without O_CREAT: refused while it, a part of it, or what is made of it is in use (open(2)).
            options.custom_flags(flags(OFlags::EXCL));
        }
        let mut file = options.open(&named.path).map_err(refused)?;
        lock(&file)?;
        let len = file.seek(SeekFrom::End(0))?;
        let again = format!("/proc/self/fd/{}", file.as_raw_fd());
        // Where it cannot be had, the kernel is asked to forget what it knows.
        let direct = OpenOptions::new().read(true).custom_flags(flags(OFlags::DIRECT)).open(again).ok();
        Ok(Self { file, direct, len })
    }

    /// Returns the length in bytes.
    pub fn device_len(&self) -> u64 {
        self.len
    }

    /// Whether it is that file.
    pub fn is_file(&self, other: &Metadata) -> io::Result<bool> {
        let meta = self.file.metadata()?;
        Ok((meta.dev(), meta.ino()) == (other.dev(), other.ino()))
    }
}

/// Keeps udev and systemd-repart away (<https://systemd.io/BLOCK_DEVICE_LOCKING/>). udev has the lock itself for as long
/// as it looks at what was plugged in.
fn lock(file: &File) -> Result<(), OpenError> {
    let end = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(OpenError::Refused(Refusal::Busy)),
            Err(TryLockError::Error(err)) => return Err(err.into()),
        }
    }
}

fn flags(flags: OFlags) -> i32 {
    i32::from_ne_bytes(flags.bits().to_ne_bytes())
}

fn refused(err: io::Error) -> OpenError {
    match Errno::from_io_error(&err) {
        Some(Errno::BUSY) => OpenError::Refused(Refusal::Busy),
        Some(Errno::ROFS) => OpenError::Refused(Refusal::ReadOnly),
        Some(Errno::NOMEDIUM) => OpenError::Refused(Refusal::NoMedium),
        Some(Errno::ACCESS | Errno::PERM) => OpenError::NotAllowed(err),
        _ => OpenError::Other(err),
    }
}

impl Read for Opened {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl Write for Opened {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Opened {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.file.seek(pos)
    }
}

impl Device for Opened {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Target for Opened {
    /// On a block device this is only done where the device itself makes zeros, never by writing them
    /// (`blkdev_fallocate` in the kernel's `block/fops.c`).
    fn punch(&mut self, extent: Extent) -> io::Result<bool> {
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Bridges that promise it and fail answer with all kinds of errors. What cannot be zeroed is written, and a
        // device that is gone says so then.
        Ok(fallocate(&self.file, mode, extent.offset, extent.len).is_ok())
    }

    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if let Some(direct) = &self.direct {
            let mut room = vec![0; buffer.len() + MEMORY_ALIGNMENT];
            let start = room.as_ptr().align_offset(MEMORY_ALIGNMENT);
            let aligned = &mut room[start..start + buffer.len()];
            match direct.read_exact_at(aligned, offset) {
                Ok(()) => {
                    buffer.copy_from_slice(aligned);
                    return Ok(());
                }
                // The place does not suit the file system below.
                Err(err) if Errno::from_io_error(&err) == Some(Errno::INVAL) => {}
                Err(err) => return Err(err),
            }
        }
        let len = u64::try_from(buffer.len()).map_err(io::Error::other)?;
        fadvise(&self.file, offset, NonZeroU64::new(len), Advice::DontNeed)?;
        self.file.read_exact_at(buffer, offset)
    }
}
