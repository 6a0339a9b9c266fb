//! A `.deb`: an `ar` archive (deb(5)) of `debian-binary`, `control.tar` and `data.tar`, the tars compressed.
//!
//! | offset | length | of each member of the `ar` archive |
//! | --- | --- | --- |
//! | 0 | 16 | name, padded with blanks |
//! | 16 | 32 | time, owner, group, mode (not looked at) |
//! | 48 | 10 | length in bytes, decimal |
//! | 58 | 2 | `` `\n `` |

use std::io::{self, Read};

use thiserror::Error;

use crate::compression::{Compression, Decoder};

/// Most members of a `data.tar`. The largest kernel packages have below ten thousand.
pub const MEMBERS_MAX: usize = 1_000_000;

/// Longest unpacked `data.tar`, in bytes.
pub const DATA_MAX: u64 = 16 << 30;

/// Longest path or link target, in bytes.
pub const PATH_MAX: usize = 4096;

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_LEN: usize = 60;
const HEADER_END: &[u8] = b"`\n";

/// Why a file cannot be read as a package.
#[derive(Debug, Error)]
pub enum PackageError {
    /// The file ends early, or its compressed parts are damaged.
    #[error("reading the package")]
    Read(#[from] io::Error),
    /// Not an `ar` archive.
    #[error("the file does not start like a package")]
    Magic,
    /// A broken header of a member.
    #[error("the header of part {part} is broken")]
    Header {
        /// Counted from 1.
        part: usize,
    },
    /// Another member than the format has here.
    #[error("part {part} is `{found}`, expected `{expected}`")]
    Part {
        /// Counted from 1.
        part: usize,
        /// Its name.
        found: String,
        /// The name that belongs there.
        expected: &'static str,
    },
    /// A later version of the format.
    #[error("the package has format `{found}`, only 2.x is known")]
    Format {
        /// What `debian-binary` says.
        found: String,
    },
    /// A path that is not UTF-8 or longer than [`PATH_MAX`].
    #[error("a path is not text or too long: `{found}`")]
    Path {
        /// Its start, as far as it is text.
        found: String,
    },
    /// A path that is absolute or has `..` in it.
    #[error("the path `{0}` leaves the tree")]
    Outside(String),
    /// A kind of member that no package has.
    #[error("`{path}` has the unknown type {found:#04x}")]
    Kind {
        /// Where it is.
        path: String,
        /// The type flag of the tar header.
        found: u8,
    },
    /// More than [`MEMBERS_MAX`].
    #[error("the package has more than {MEMBERS_MAX} files")]
    TooMany,
}

/// What a member of a package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file of so many bytes.
    File {
        /// Its length.
        size: u64,
    },
    /// A folder.
    Dir,
    /// A link that holds a path.
    Symlink {
        /// The path, as it is.
        target: String,
    },
    /// A second name of a file that came before.
    Hardlink {
        /// The file's path, normalized like [`Member::path`].
        target: String,
    },
    /// A device or a pipe.
    Special,
}

/// One file of a package, with the owner and mode that its maintainers gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Relative to the root, without a leading `./` and a trailing `/`; empty for the root itself. As packed:
    /// not moved below `usr` for merged folders.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Permissions, set-id and sticky bits.
    pub mode: u32,
    /// Owner's number.
    pub uid: u64,
    /// Group's number.
    pub gid: u64,
    /// Owner's name, may be empty.
    pub user: String,
    /// Group's name, may be empty.
    pub group: String,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// Returns all that a package puts into the tree, in its order.
pub fn data_members(reader: impl Read) -> Result<Vec<Member>, PackageError> {
    let mut members = Vec::new();
    each_member(reader, |member, _content| {
        members.push(member);
        Ok::<_, PackageError>(())
    })?;
    Ok(members)
}

/// Returns the text of the package's `control` file, of a megabyte at most.
pub fn control(reader: impl Read) -> Result<String, PackageError> {
    let tar = open(reader, "control.tar")?;
    for entry in tar::Archive::new(tar).entries()? {
        let entry = entry?;
        if matches!(&*entry.path_bytes(), b"./control" | b"control") {
            let mut text = String::new();
            entry.take(1 << 20).read_to_string(&mut text)?;
            return Ok(text);
        }
    }
    Err(PackageError::Read(io::Error::new(io::ErrorKind::UnexpectedEof, "it has no control file")))
}

/// Calls `visit` with each member and a reader of its content.
pub fn each_member<E: From<PackageError>>(
    reader: impl Read,
    mut visit: impl FnMut(Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let tar = open(reader, "data.tar")?;
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().map_err(PackageError::Read)?;
    for (idx, entry) in entries.enumerate() {
        let mut entry = entry.map_err(PackageError::Read)?;
        if MEMBERS_MAX <= idx {
            return Err(PackageError::TooMany.into());
        }
        let member = member(&entry)?;
        visit(member, &mut entry)?;
    }
    // The checksum of a compressed stream is behind the last block of the tar.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(PackageError::Read)?;
    Ok(())
}

/// Returns a reader of the unpacked `control.tar` or `data.tar`.
fn open<'a>(mut reader: impl Read + 'a, wanted: &'static str) -> Result<Decoder<'a>, PackageError> {
    let mut magic = [0; MAGIC.len()];
    reader.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(PackageError::Magic);
    }
    for (part, expected) in [(1, "debian-binary"), (2, "control.tar"), (3, "data.tar")] {
        let (name, len) = header(&mut reader, part)?;
        let (stem, compression) = Compression::of_name(&name);
        if stem != expected {
            return Err(PackageError::Part { part, found: name, expected });
        }
        if expected == "debian-binary" {
            let mut text = String::new();
            (&mut reader).take(len.min(64)).read_to_string(&mut text)?;
            if !text.starts_with("2.") {
                return Err(PackageError::Format { found: text.trim().to_owned() });
            }
            skip(&mut reader, len - len.min(64) + len % 2)?;
        } else if expected == wanted {
            return Ok(compression.decoder(reader.take(len))?.bounded(DATA_MAX));
        } else {
            skip(&mut reader, len.saturating_add(len % 2))?;
        }
    }
    // The last round returned or failed: `wanted` is one of the two tars.
    Err(PackageError::Part { part: 3, found: String::new(), expected: wanted })
}

/// Reads the header of a member: its name and length.
fn header(reader: &mut impl Read, part: usize) -> Result<(String, u64), PackageError> {
    let mut raw = [0; HEADER_LEN];
    reader.read_exact(&mut raw)?;
    let text = |from: usize, to: usize| std::str::from_utf8(&raw[from..to]).ok().map(str::trim_end);
    let name = text(0, 16).map(|name| name.trim_end_matches('/'));
    let len = text(48, 58).and_then(|len| len.parse::<u64>().ok());
    match (name, len, &raw[58..] == HEADER_END) {
        (Some(name), Some(len), true) => Ok((name.to_owned(), len)),
        _ => Err(PackageError::Header { part }),
    }
}

fn skip(reader: &mut impl Read, len: u64) -> Result<(), PackageError> {
    let skipped = io::copy(&mut reader.take(len), &mut io::sink())?;
    if skipped < len {
        return Err(PackageError::Read(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

fn member<R: Read>(entry: &tar::Entry<'_, R>) -> Result<Member, PackageError> {
    let header = entry.header();
    let path = normalized(&entry.path_bytes())?;
    let link = || entry.link_name_bytes().unwrap_or_default();
    let kind = match header.entry_type() {
        // Not sparse ones: dpkg knows none, and a few bytes of them can stand for exabytes.
        tar::EntryType::Regular | tar::EntryType::Continuous => Kind::File { size: entry.size() },
        tar::EntryType::Directory => Kind::Dir,
        tar::EntryType::Symlink => Kind::Symlink { target: text(&link())?.to_owned() },
        tar::EntryType::Link => Kind::Hardlink { target: normalized(&link())? },
        tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => Kind::Special,
        other => return Err(PackageError::Kind { path, found: other.as_byte() }),
    };
    let name = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    Ok(Member {
        path,
        kind,
        mode: header.mode()? & 0o7777,
        uid: header.uid()?,
        gid: header.gid()?,
        user: name(header.username_bytes()),
        group: name(header.groupname_bytes()),
        mtime: header.mtime()?,
    })
}

fn text(bytes: &[u8]) -> Result<&str, PackageError> {
    let bad = || PackageError::Path { found: String::from_utf8_lossy(bytes).chars().take(80).collect() };
    if PATH_MAX < bytes.len() || bytes.contains(&0) {
        return Err(bad());
    }
    std::str::from_utf8(bytes).map_err(|_| bad())
}

/// Returns a path relative to the root, without `.` and empty components.
fn normalized(bytes: &[u8]) -> Result<String, PackageError> {
    let path = text(bytes)?;
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(PackageError::Outside(path.to_owned()));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok(parts.join("/"))
}

#[cfg(test)]
pub(crate) mod tests;
