//! `SHA256SUMS` of a folder and its signature: written, and compared with what is there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use payload::SecretKey;
use payload::sums::{SIGNATURE_FILE, SUMS_FILE};

use crate::log::Cancel;
use crate::{durable, hash};

/// Every file of a folder and the folders in it, by its name from the folder on. Fails at anything that is neither.
pub fn files(dir: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    collect(dir, "", &mut found)?;
    Ok(found)
}

fn collect(dir: &Path, prefix: &str, found: &mut BTreeMap<String, PathBuf>) -> anyhow::Result<()> {
    for (name, path) in hash::sorted_dir(dir)? {
        let name = format!("{prefix}{name}");
        let meta = fs::symlink_metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        if meta.is_dir() {
            collect(&path, &format!("{name}/"), found)?;
        } else {
            anyhow::ensure!(meta.is_file(), "{} is neither a file nor a folder: remove it", path.display());
            found.insert(name, path);
        }
    }
    Ok(())
}

/// SHA-256 of each file, on disk for good. Calls `step` with the name and length of each that is done.
pub fn of_files(
    files: &BTreeMap<String, PathBuf>,
    cancel: &Cancel,
    mut step: impl FnMut(u64),
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    for (name, path) in files {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let (sum, len) =
            hash::of_sparse_file(&file, cancel).with_context(|| format!("reading {}", path.display()))?;
        step(len);
        sums.insert(name.clone(), sum);
    }
    Ok(sums)
}

/// Writes both files over these sums.
pub fn write(dir: &Path, sums: &BTreeMap<String, String>, keys: &[SecretKey]) -> anyhow::Result<()> {
    let text: String = sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    let signature = payload::sums::sign(text.as_bytes(), keys).context("signing the sums")?;
    durable::write(&dir.join(SUMS_FILE), text.as_bytes())?;
    durable::write(&dir.join(SIGNATURE_FILE), &signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_opens_and_names_every_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("a"), "1").unwrap();
        fs::write(dir.path().join("b/c"), "2").unwrap();
        let cancel = Cancel::on_signals().unwrap();
        let found = files(dir.path()).unwrap();
        let mut total = 0;
        let sums = of_files(&found, &cancel, |len| total += len).unwrap();
        let key = SecretKey::from_seed([1; 32]);
        write(dir.path(), &sums, std::slice::from_ref(&key)).unwrap();
        let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
        let trust = payload::Trust::new([key.public()], []);
        let (opened, _) = payload::sums::open(&read(SUMS_FILE), &read(SIGNATURE_FILE), &trust).unwrap();
        assert_eq!(opened.0.keys().collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(opened.0["b/c"], payload::Digest::of(b"2"));
        assert_eq!(total, 2);
    }

    #[test]
    fn a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", dir.path().join("a")).unwrap();
        assert!(files(dir.path()).unwrap_err().to_string().contains("neither a file nor a folder"));
    }
}
