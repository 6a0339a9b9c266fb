//! The release before: what the notes compare with, and whose sequence the channel goes on from.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use payload::Trust;

use crate::command::publish;
use crate::log::Log;
use crate::manifest::Manifest;
use crate::{hash, release};

/// A release that was made before.
#[derive(Debug)]
pub struct Previous {
    /// What it consists of.
    pub manifest: Manifest,
    path: PathBuf,
}

impl Previous {
    /// Its version.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// Where it is.
    pub fn place(&self) -> impl std::fmt::Display + '_ {
        self.path.display()
    }

    /// One more than the sequence of its channel file; none where it has no such channel.
    pub fn next_sequence(&self, channel: &str, trust: &Trust, log: &Log) -> anyhow::Result<Option<u64>> {
        if !self.path.is_dir() {
            return Ok(None);
        }
        let file = self.path.join(release::channel_file(channel));
        let Some(found) = publish::published(&file, channel, trust, log)? else { return Ok(None) };
        found.sequence.checked_add(1).map(Some).context("the sequence of the release before is the last one")
    }
}

/// Finds the release that was asked for, else the one with the highest lower version in the folder `above`.
pub fn find(
    wanted: Option<&Path>,
    above: &Path,
    product: &str,
    version: &slots::Version,
) -> anyhow::Result<Option<Previous>> {
    if let Some(path) = wanted {
        let previous = read(path).context("reading the release before (`--previous`)")?;
        let found: slots::Version = previous.manifest.version.parse()?;
        anyhow::ensure!(
            previous.manifest.product == product,
            "--previous {}: it is one of `{}`, not of `{product}`",
            path.display(),
            previous.manifest.product
        );
        anyhow::ensure!(
            found < *version,
            "--previous {}: its version {found} is not lower than {version}",
            path.display()
        );
        return Ok(Some(previous));
    }
    if !above.is_dir() {
        return Ok(None);
    }
    let mut best: Option<(slots::Version, PathBuf)> = None;
    for (name, path) in hash::sorted_dir(above)? {
        let Some(found) = name.strip_prefix(&format!("{product}_")).and_then(|text| text.parse().ok()) else {
            continue;
        };
        if found < *version && best.as_ref().is_none_or(|(best, _)| *best < found) {
            best = Some((found, path));
        }
    }
    best.map(|(_, path)| read(&path)).transpose()
}

fn read(path: &Path) -> anyhow::Result<Previous> {
    let manifest = if path.is_dir() { release::manifest(path)? } else { release::read_manifest(path)? };
    Ok(Previous { manifest, path: path.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::command::report::page::tests::manifest;

    fn put(above: &Path, version: &str) -> PathBuf {
        let dir = above.join(format!("slipway_{version}"));
        fs::create_dir(&dir).unwrap();
        let manifest = Manifest { version: version.to_owned(), ..manifest() };
        let text = serde_json::to_vec(&manifest).unwrap();
        fs::write(dir.join(format!("slipway_{version}.manifest.json")), text).unwrap();
        dir
    }

    #[test]
    fn the_highest_lower_version_beside_it_is_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["0.9.0", "0.10.0~rc.1", "0.10.0", "0.11.0"] {
            put(dir.path(), version);
        }
        fs::create_dir(dir.path().join("slipway_x")).unwrap();
        let before = |version: &str| {
            let found = find(None, dir.path(), "slipway", &version.parse().unwrap()).unwrap();
            found.map(|found| found.version().to_owned())
        };
        assert_eq!(before("0.10.1").as_deref(), Some("0.10.0"));
        assert_eq!(before("0.10.0").as_deref(), Some("0.10.0~rc.1"));
        assert_eq!(before("0.9.0"), None);
        assert!(
            find(None, &dir.path().join("none"), "slipway", &"1.0.0".parse().unwrap()).unwrap().is_none()
        );
    }

    #[test]
    fn one_that_is_not_lower_or_of_another_product_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = put(dir.path(), "0.2.0");
        let found = |product: &str, version: &str| {
            find(Some(&wanted), dir.path(), product, &version.parse().unwrap()).map(drop)
        };
        found("slipway", "0.3.0").unwrap();
        assert!(found("slipway", "0.2.0").unwrap_err().to_string().contains("is not lower than 0.2.0"));
        assert!(found("other", "0.3.0").unwrap_err().to_string().contains("not of `other`"));
        let file = wanted.join("slipway_0.2.0.manifest.json");
        find(Some(&file), dir.path(), "slipway", &"0.3.0".parse().unwrap()).unwrap();
    }
}
