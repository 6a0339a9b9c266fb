//! SHA-256 of files, folders and values: the keys of the stages and the sums of the manifest.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::durable;
use crate::log::Cancel;

/// Bytes that are read at once.
const BUFFER_LEN: usize = 1 << 18;

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// SHA-256 of some bytes, in hexadecimal digits.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 and length of a file.
pub fn of_file(path: &Path) -> anyhow::Result<(String, u64)> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    of_reader(file).with_context(|| format!("reading {}", path.display()))
}

/// SHA-256 and length of what a reader gives.
pub fn of_reader(mut reader: impl Read) -> std::io::Result<(String, u64)> {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; BUFFER_LEN];
    let mut len = 0;
    loop {
        let n = reader.read(&mut buffer)?;
        if n == 0 {
            return Ok((hex(&sum.finalize()), len));
        }
        sum.update(&buffer[..n]);
        len += u64::try_from(n).map_err(std::io::Error::other)?;
    }
}

/// SHA-256 and length of a file with holes. Their zeros are not read: the kernel would have to make pages for them.
pub fn of_sparse_file(file: &File, cancel: &Cancel) -> anyhow::Result<(String, u64)> {
    let len = file.metadata()?.len();
    let mut sum = Sha256::new();
    let (zeros, mut buffer) = (vec![0; BUFFER_LEN], vec![0; BUFFER_LEN]);
    let mut at = 0;
    while at < len {
        cancel.check()?;
        let (start, end) = durable::next_data(file, at, len)?.unwrap_or((len, len));
        at = in_parts(at, start, |_, n| {
            sum.update(&zeros[..n]);
            Ok(())
        })?;
        at = in_parts(at, end, |at, n| {
            file.read_exact_at(&mut buffer[..n], at)?;
            sum.update(&buffer[..n]);
            Ok(())
        })?;
    }
    Ok((hex(&sum.finalize()), len))
}

/// Calls `step` with the start and length of each part of the range, and returns its end.
fn in_parts(mut at: u64, end: u64, mut step: impl FnMut(u64, usize) -> io::Result<()>) -> io::Result<u64> {
    while at < end {
        let n = usize::try_from(end - at).map_or(BUFFER_LEN, |left| left.min(BUFFER_LEN));
        step(at, n)?;
        at += u64::try_from(n).map_err(io::Error::other)?;
    }
    Ok(at)
}

/// Collects named inputs into one key. Every part is length-prefixed, so no two lists collide.
#[derive(Debug, Default)]
pub struct Key(Sha256);

impl Key {
    /// Starts the key of a stage; `version` changes when the stage's code gives other output.
    pub fn new(stage: &str, version: u32) -> Self {
        let mut key = Self::default();
        key.add("stage", stage.as_bytes());
        key.add("version", &version.to_le_bytes());
        key
    }

    /// Adds one input.
    pub fn add(&mut self, name: &str, bytes: &[u8]) {
        for part in [name.as_bytes(), bytes] {
            self.0.update(part.len().to_le_bytes());
            self.0.update(part);
        }
    }

    /// Adds a file's content, or every path, mode and content below a folder.
    pub fn add_path(&mut self, name: &str, path: &Path) -> anyhow::Result<()> {
        let meta = fs::symlink_metadata(path).with_context(|| format!("reading {}", path.display()))?;
        if meta.is_symlink() {
            let target = fs::read_link(path).with_context(|| format!("reading link {}", path.display()))?;
            self.add(name, target.as_os_str().as_encoded_bytes());
        } else if meta.is_dir() {
            self.add(name, b"dir");
            for (entry, child) in sorted_dir(path)? {
                self.add_path(&format!("{name}/{entry}"), &child)?;
            }
        } else {
            let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            self.add(name, &Sha256::digest(&bytes));
            // Only the executable bit is kept by git.
            self.add(name, &[u8::from(meta.permissions().mode() & 0o100 != 0)]);
        }
        Ok(())
    }

    /// The key, in hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// The entries of a folder by name: the order of the file system must never matter.
pub fn sorted_dir(dir: &Path) -> anyhow::Result<Vec<(String, std::path::PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("reading folder {}", dir.display()))? {
        let entry = entry.with_context(|| format!("reading folder {}", dir.display()))?;
        let name = entry.file_name().into_string().map_err(|name| {
            anyhow::anyhow!("{} holds a name that is not UTF-8: {}", dir.display(), name.to_string_lossy())
        })?;
        entries.push((name, entry.path()));
    }
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_holes_has_the_sum_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let file = File::create_new(&path).unwrap();
        file.set_len(3 << 20).unwrap();
        file.write_all_at(&[7; 5000], 1 << 20).unwrap();
        file.write_all_at(b"end", (3 << 20) - 3).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(of_sparse_file(&file, &Cancel::on_signals().unwrap()).unwrap(), of_file(&path).unwrap());
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(of_sparse_file(&file, &Cancel::on_signals().unwrap()).unwrap(), of_file(&path).unwrap());
    }
}
