//! Inputs that libFuzzer found worth keeping: `kept/<target>.tar.zst` for each target that was run for long.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Returns the inputs kept of a target; none if it was never run for long.
pub fn kept(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let file = match File::open(archive(target)) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(err),
    };
    let mut archive = tar::Archive::new(zstd::Decoder::new(file)?);
    let mut inputs = Vec::new();
    for entry in archive.entries()? {
        let mut bytes = Vec::new();
        entry?.read_to_end(&mut bytes)?;
        inputs.push(bytes);
    }
    Ok(inputs)
}

/// Keeps the files of `folder` as the inputs of a target, in place of those before. Returns how many there are.
pub fn keep(target: &str, folder: &Path) -> io::Result<usize> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let mut archive = tar::Builder::new(Vec::new());
    for (n, path) in paths.iter().enumerate() {
        let bytes = fs::read(path)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(bytes.len()).map_err(io::Error::other)?);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("{n:05}"), &bytes[..])?;
    }
    let packed = zstd::encode_all(&archive.into_inner()?[..], 19)?;
    let (path, partial) = (self::archive(target), self::archive(target).with_extension("partial"));
    File::create(&partial)?.write_all(&packed)?;
    fs::rename(&partial, &path)?;
    Ok(paths.len())
}

fn archive(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kept").join(format!("{target}.tar.zst"))
}
