//! The boot loader: kept beside the state until its version was found good, then put on the ESP if it is newer.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use agent_support::host::Host;
use agent_support::{durable, esp};
use anyhow::Context;

use crate::entries::LOADER_FILES;
use crate::files;

/// Longest boot loader that is read: the limit of a payload.
const LOADER_MAX: u64 = 4 << 20;
const MARK: &[u8] = b"#### LoaderInfo: systemd-boot ";

/// Keeps the boot loader of a payload until its version is blessed.
pub fn keep(host: &Host, from: &Path) -> anyhow::Result<()> {
    let bytes = read(from)?;
    version_of(&bytes).with_context(|| format!("looking at {}", from.display()))?;
    durable::write(&host.path(files::LOADER_FILE), &bytes)
}

/// Forgets the kept boot loader.
pub fn forget(host: &Host) -> anyhow::Result<()> {
    durable::remove(&host.path(files::LOADER_FILE)).map(drop)
}

/// Puts the kept boot loader in the place of each older one on the ESP. Returns its version if there was any.
pub fn replace_older(host: &Host) -> anyhow::Result<Option<String>> {
    let kept = host.path(files::LOADER_FILE);
    if !kept.exists() {
        return Ok(None);
    }
    let bytes = read(&kept)?;
    let version = version_of(&bytes).with_context(|| format!("looking at {}", kept.display()))?;
    let older = |esp: &Path| -> anyhow::Result<Vec<&'static str>> {
        let is_older = |name: &&str| is_older(&esp.join(name), &version);
        Ok(LOADER_FILES.into_iter().filter(is_older).collect())
    };
    // Nothing to replace is the common case: then the ESP is only read.
    let stale = esp::read(host, older)?;
    if stale.is_empty() {
        return Ok(None);
    }
    for path in stale {
        let (folder, name) = path.rsplit_once('/').expect("loaders are in folders");
        let mut from = File::open(&kept).with_context(|| format!("opening {}", kept.display()))?;
        esp::put_file(host, folder, name, &mut from, |back| {
            let mut found = Vec::new();
            back.take(LOADER_MAX).read_to_end(&mut found)?;
            anyhow::ensure!(found == bytes, "it differs from what was kept");
            Ok(())
        })
        .with_context(|| format!("replacing the boot loader {path}"))?;
    }
    Ok(Some(version))
}

/// Returns the version in a boot loader's own text.
pub fn version_of(bytes: &[u8]) -> anyhow::Result<String> {
    let at = bytes.windows(MARK.len()).position(|window| window == MARK);
    let rest = at.map(|at| &bytes[at + MARK.len()..]).context("it does not say which systemd-boot it is")?;
    let end = rest.windows(5).take(100).position(|window| window == b" ####");
    let version = end.and_then(|end| std::str::from_utf8(&rest[..end]).ok());
    version.map(str::to_owned).context("the text with its version has no end")
}

/// One that is missing or says no version is older than any: the firmware needs one.
fn is_older(path: &Path, version: &str) -> bool {
    let found = read(path).and_then(|bytes| version_of(&bytes));
    found.map_or(true, |found| slots::compare_version_text(&found, version) == Ordering::Less)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let len = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    anyhow::ensure!(len <= LOADER_MAX, "{} has {len} bytes: expected at most {LOADER_MAX}", path.display());
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    fn loader(version: &str) -> Vec<u8> {
        format!("MZ\0\0 ... #### LoaderInfo: systemd-boot {version} ####\0 ...").into_bytes()
    }

    #[track_caller]
    fn check(kept: &str, boot: &[u8], expected: Option<&str>) {
        let tree = Tree::new();
        tree.file(&format!("/efi/{}", LOADER_FILES[0]), boot)
            .file(&format!("/efi/{}", LOADER_FILES[1]), loader("999"));
        tree.file("/tmp/loader", loader(kept));
        keep(&tree.host, &tree.host.path("/tmp/loader")).unwrap();
        assert_eq!(replace_older(&tree.host).unwrap().as_deref(), expected);
        let found = fs::read(tree.host.path(&format!("/efi/{}", LOADER_FILES[0]))).unwrap();
        assert_eq!(found, if expected.is_some() { loader(kept) } else { boot.to_vec() });
        let other = fs::read(tree.host.path(&format!("/efi/{}", LOADER_FILES[1]))).unwrap();
        assert_eq!(other, loader("999"));
    }

    #[test]
    fn only_an_older_one_is_replaced() {
        check("257.9-1~deb13u1", &loader("257.8-1~deb13u2"), Some("257.9-1~deb13u1"));
        check("257.9", &loader("257.9"), None);
        check("257.9", &loader("258~rc1"), None);
        check("257.10", &loader("257.9"), Some("257.10"));
        check("257.9", b"broken", Some("257.9"));
    }

    #[test]
    fn what_says_no_version_is_not_kept() {
        let tree = Tree::new();
        for bytes in [&b"MZ"[..], b"#### LoaderInfo: systemd-boot 257", b"#### LoaderInfo: other 1 ####"] {
            tree.file("/tmp/loader", bytes);
            assert!(keep(&tree.host, &tree.host.path("/tmp/loader")).is_err());
        }
        assert_eq!(replace_older(&tree.host).unwrap(), None);
        forget(&tree.host).unwrap();
    }
}
