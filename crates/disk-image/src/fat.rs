//! FAT file systems inside a partition: made once, and edited while nobody has them mounted.
//!
//! Each call opens the file system, does one thing and closes it, so nothing is cached between calls. The
//! machine itself uses the kernel's driver; this is for images and disk files.

mod dots;
mod names;
mod rename;
mod repair;
mod serial;
mod slots;
mod store;
mod tables;
mod time;
mod volume;

use std::io::{self, Read, Seek, Write};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

use crate::LogicalBlockSize;
use crate::device::{Device, Extent, Window};

pub use names::{Name, read_folder};
pub use rename::{ChangeError, put_whole, remove_whole, rename_whole};
pub use repair::{Fault, TakenName, faulty_names, repair_names};
pub use serial::{read_serial, set_serial};
pub use store::{Stored, make_folders, store};
pub use tables::{Settled, is_settled, settle};
pub use volume::{CLUSTERS_MAX, Volume, VolumeError};

/// Largest file that is read or written, in bytes.
pub const FILE_MAX: u64 = 512 << 20;

/// What a new file system is called, and the time in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatSpec {
    /// Volume label: 1 to 11 upper-case ASCII letters, digits, spaces, `-` or `_`.
    pub label: String,
    /// Volume serial number.
    pub serial: u32,
    /// Time of every file and folder, in seconds since 1970, UTC; FAT counts from 1980 in steps of two.
    pub mtime_secs: u64,
    /// Logical block size of the disk.
    pub block_size: LogicalBlockSize,
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatEntry {
    /// The long name.
    pub name: String,
    /// Length in bytes; zero for a folder.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// Why a FAT could not be made, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The label has a wrong length or character.
    #[error("FAT label `{found}`: expected 1 to 11 of A-Z, 0-9, space, `-`, `_`")]
    Label {
        /// The label.
        found: String,
    },
    /// The partition cannot be formatted, or holds no FAT that we understand.
    #[error("{doing} the FAT")]
    Volume {
        /// What was being done, as in "opening".
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file or folder cannot be read or written.
    #[error("{doing} `{path}` in the FAT")]
    File {
        /// What was being done, as in "reading".
        doing: &'static str,
        /// The path from the root folder.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file is larger than [`FILE_MAX`].
    #[error("`{path}` in the FAT has more than {FILE_MAX} bytes")]
    FileTooLarge {
        /// The path from the root folder.
        path: String,
    },
    /// A file does not read back as it was written.
    #[error("`{path}` in the FAT does not read back as it was written")]
    ReadBack {
        /// The path from the root folder.
        path: String,
    },
    /// The boot sector is not that of a FAT with a serial number.
    #[error("FAT boot sector, field `{field}`: expected {expected}, found {found}")]
    BootSector {
        /// Name of the field.
        field: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// The value on disk.
        found: u64,
    },
}

/// Makes a FAT on all of `extent` and puts `files` (path from the root folder with `/`, bytes) into it.
///
/// Folders are made as needed. FAT32 or FAT16, whichever the size gives: 512 MiB is FAT32, 64 MiB is FAT16.
/// The order of `files` decides where their bytes lie. Writes only the tables, folders and files: on a sparse
/// file the rest stays a hole.
pub fn format<'a>(
    dev: &mut (impl Read + Write + Seek),
    extent: Extent,
    spec: &FatSpec,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), FatError> {
    let fails = |source| FatError::Volume { doing: "formatting", source };
    let bytes_per_sector = u16::try_from(spec.block_size.as_u64()).expect("512 or 4096");
    let options = FormatVolumeOptions::new()
        .bytes_per_sector(bytes_per_sector)
        .volume_label(label_field(&spec.label)?)
        .volume_id(spec.serial);
    fatfs::format_volume(Window::new(&mut *dev, extent), options).map_err(fails)?;
    for (path, bytes) in files {
        create_parents(dev, extent, path, spec.mtime_secs)?;
        with_volume(Window::new(&mut *dev, extent), spec.mtime_secs, |volume| {
            write_file(volume, path, bytes)
        })?;
    }
    // Counts the free clusters, so that FAT32's information sector says how many there are.
    with_volume(Window::new(&mut *dev, extent), spec.mtime_secs, |volume| {
        volume.stats().map(drop).map_err(fails)
    })
}

/// Returns the bytes of the file at `path`.
pub fn read_file(
    dev: &mut (impl Read + Write + Seek),
    extent: Extent,
    path: &str,
) -> Result<Vec<u8>, FatError> {
    with_volume(Window::new(&mut *dev, extent), 0, |volume| {
        let fails = |source| FatError::File { doing: "reading", path: path.to_owned(), source };
        let file = volume.root_dir().open_file(path).map_err(fails)?;
        let mut bytes = vec![];
        file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(fails)?;
        check_len(path, &bytes)?;
        Ok(bytes)
    })
}

/// Returns what the folder at `path` holds (`""` is the root folder), in the order on disk.
pub fn list(
    dev: &mut (impl Read + Write + Seek),
    extent: Extent,
    path: &str,
) -> Result<Vec<FatEntry>, FatError> {
    with_volume(Window::new(&mut *dev, extent), 0, |volume| {
        let fails = |source| FatError::File { doing: "listing", path: path.to_owned(), source };
        let root = volume.root_dir();
        let dir = if path.is_empty() { root } else { root.open_dir(path).map_err(fails)? };
        let mut entries = vec![];
        for entry in dir.iter() {
            let entry = entry.map_err(fails)?;
            let name = entry.file_name();
            if name != "." && name != ".." {
                entries.push(FatEntry { name, len: entry.len(), is_dir: entry.is_dir() });
            }
        }
        Ok(entries)
    })
}

/// Writes `bytes` to `path` as an update does: under a temporary name (`path` and `.tmp`), sync, read back and
/// compare, rename, sync. Makes missing folders.
///
/// An older file at `path` is removed just before the rename: FAT knows no replacing rename.
pub fn write_file_durable(
    dev: &mut impl Device,
    extent: Extent,
    path: &str,
    bytes: &[u8],
    mtime_secs: u64,
) -> Result<(), FatError> {
    let temporary = format!("{path}.tmp");
    create_parents(dev, extent, path, mtime_secs)?;
    with_volume(Window::new(&mut *dev, extent), mtime_secs, |volume| write_file(volume, &temporary, bytes))?;
    let sync = |source| FatError::Volume { doing: "syncing", source };
    dev.sync().map_err(sync)?;
    if read_file(dev, extent, &temporary)? != bytes {
        return Err(FatError::ReadBack { path: temporary });
    }
    with_volume(Window::new(&mut *dev, extent), mtime_secs, |volume| {
        if exists(volume, path)? {
            remove_in(volume, path)?;
        }
        rename_in(volume, &temporary, path)
    })?;
    dev.sync().map_err(sync)
}

/// Renames a file or folder, and syncs. `to` must not exist.
pub fn rename(dev: &mut impl Device, extent: Extent, from: &str, to: &str) -> Result<(), FatError> {
    with_volume(Window::new(&mut *dev, extent), 0, |volume| rename_in(volume, from, to))?;
    dev.sync().map_err(|source| FatError::Volume { doing: "syncing", source })
}

/// Removes a file or an empty folder, and syncs.
pub fn remove(dev: &mut impl Device, extent: Extent, path: &str) -> Result<(), FatError> {
    with_volume(Window::new(&mut *dev, extent), 0, |volume| remove_in(volume, path))?;
    dev.sync().map_err(|source| FatError::Volume { doing: "syncing", source })
}

/// Opens the FAT on `device`, runs `action` and closes it, whatever `action` returned.
fn with_volume<D: Read + Write + Seek, T>(
    device: D,
    mtime_secs: u64,
    action: impl FnOnce(&FileSystem<D>) -> Result<T, FatError>,
) -> Result<T, FatError> {
    let options = FsOptions::new().time_provider(time::fixed(mtime_secs));
    let volume =
        FileSystem::new(device, options).map_err(|source| FatError::Volume { doing: "opening", source })?;
    let result = action(&volume)?;
    volume.unmount().map_err(|source| FatError::Volume { doing: "closing", source })?;
    Ok(result)
}

/// Makes the folders that `path` goes through, where they are missing.
fn create_parents(
    dev: &mut (impl Read + Write + Seek),
    extent: Extent,
    path: &str,
    mtime_secs: u64,
) -> Result<(), FatError> {
    for (end, _) in path.match_indices('/') {
        let dir = &path[..end];
        let fails = |source| FatError::File { doing: "creating", path: dir.to_owned(), source };
        let mut window = Window::new(&mut *dev, extent);
        let places = dots::Places::default();
        with_volume(dots::Watched::new(&mut window, &places), mtime_secs, |volume| {
            volume.root_dir().create_dir(dir).map(drop).map_err(fails)
        })?;
        dots::repair(&mut window, &places, !dir.contains('/')).map_err(fails)?;
    }
    Ok(())
}

fn write_file<D: Read + Write + Seek>(
    volume: &FileSystem<D>,
    path: &str,
    bytes: &[u8],
) -> Result<(), FatError> {
    check_len(path, bytes)?;
    let write = || {
        let mut file = volume.root_dir().create_file(path)?;
        file.truncate()?;
        file.write_all(bytes)?;
        file.flush()
    };
    write().map_err(|source| FatError::File { doing: "writing", path: path.to_owned(), source })
}

fn exists<D: Read + Write + Seek>(volume: &FileSystem<D>, path: &str) -> Result<bool, FatError> {
    match volume.root_dir().open_file(path) {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(FatError::File { doing: "looking for", path: path.to_owned(), source }),
    }
}

fn rename_in<D: Read + Write + Seek>(volume: &FileSystem<D>, from: &str, to: &str) -> Result<(), FatError> {
    let root = volume.root_dir();
    root.rename(from, &root, to).map_err(|source| FatError::File {
        doing: "renaming",
        path: from.to_owned(),
        source,
    })
}

fn remove_in<D: Read + Write + Seek>(volume: &FileSystem<D>, path: &str) -> Result<(), FatError> {
    volume.root_dir().remove(path).map_err(|source| FatError::File {
        doing: "removing",
        path: path.to_owned(),
        source,
    })
}

fn check_len(path: &str, bytes: &[u8]) -> Result<(), FatError> {
    match u64::try_from(bytes.len()) {
        Ok(len) if len <= FILE_MAX => Ok(()),
        _ => Err(FatError::FileTooLarge { path: path.to_owned() }),
    }
}

fn label_field(label: &str) -> Result<[u8; 11], FatError> {
    let is_allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" -_".contains(&byte);
    if !(1..=11).contains(&label.len()) || !label.bytes().all(is_allowed) {
        return Err(FatError::Label { found: label.to_owned() });
    }
    let mut field = [b' '; 11];
    field[..label.len()].copy_from_slice(label.as_bytes());
    Ok(field)
}
