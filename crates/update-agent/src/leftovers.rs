//! What an interrupted write leaves on the ESP, and what of it may be removed.
//!
//! The kernel renames on FAT with two changes of the folder. A power cut between them leaves one chain of clusters
//! with two names; removing, replacing or truncating either name frees the clusters of both. So a file whose version
//! and length another file has is never removed: it is renamed to `*.shared`, which nothing starts and nothing
//! touches, until somebody repairs the file system.

use std::fs;
use std::path::{Path, PathBuf};

use agent_support::host::{Host, sorted_names};
use agent_support::{durable, esp};
use anyhow::Context;
use slots::EntryName;

use crate::entries::{ENTRIES_DIR, path_of};

/// End of the name of a file that may share its clusters.
const SHARED_SUFFIX: &str = ".shared";
/// Names that a file being written may have; each is taken only if no file has it.
const PARTIALS_MAX: u32 = 100;

/// Removes what was being written when the agent or the machine died. Returns what stays.
pub fn clean(host: &Host) -> anyhow::Result<Vec<String>> {
    let (remove, stays) = esp::read(host, plan).context("looking for what an interrupted update left")?;
    if !remove.is_empty() {
        esp::write(host, |esp| plan(esp)?.0.iter().try_for_each(|path| durable::remove(path).map(drop)))
            .context("removing what an interrupted update left")?;
    }
    Ok(stays)
}

/// Takes an entry out of the loader's sight: removed, or put aside if its clusters may have another name.
pub fn remove_entry(esp: &Path, entry: &EntryName) -> anyhow::Result<()> {
    let path = path_of(esp, entry);
    let name = entry.to_string();
    if has_twin(&esp.join(ENTRIES_DIR), &name)? {
        return durable::rename(&path, &path.with_file_name(format!("{name}{SHARED_SUFFIX}")));
    }
    durable::remove(&path).map(drop)
}

/// Returns a name for an entry that is being written, which no file has: opening one that exists would truncate it.
pub fn partial_path(esp: &Path, entry: &EntryName) -> anyhow::Result<PathBuf> {
    let dir = esp.join(ENTRIES_DIR);
    let first = dir.join(format!("{entry}{}", durable::PARTIAL_SUFFIX));
    let others = (1..PARTIALS_MAX).map(|n| dir.join(format!("{entry}{}.{n}", durable::PARTIAL_SUFFIX)));
    let free = std::iter::once(first).chain(others).find(|path| !path.exists());
    free.with_context(|| format!("{} is full of files being written: repair the file system", dir.display()))
}

fn plan(esp: &Path) -> anyhow::Result<(Vec<PathBuf>, Vec<String>)> {
    let dir = esp.join(ENTRIES_DIR);
    let (mut remove, mut stays) = (Vec::new(), Vec::new());
    for name in sorted_names(&dir)? {
        if name.ends_with(SHARED_SUFFIX) {
            stays.push(name);
        } else if name.contains(&format!(".efi{}", durable::PARTIAL_SUFFIX)) {
            if has_twin(&dir, &name)? { stays.push(name) } else { remove.push(dir.join(name)) }
        }
    }
    Ok((remove, stays))
}

/// Returns whether another file of the same version has the same length. An empty file has no clusters to share.
fn has_twin(dir: &Path, name: &str) -> anyhow::Result<bool> {
    let len = |name: &str| -> anyhow::Result<u64> {
        let path = dir.join(name);
        Ok(fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?.len())
    };
    let own = len(name)?;
    for other in sorted_names(dir)? {
        if own != 0 && other != name && version_of(&other) == version_of(name) && len(&other)? == own {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns product and version of an entry's file, whatever comes behind them.
fn version_of(name: &str) -> &str {
    let end = name.find('+').or_else(|| name.find(".efi")).unwrap_or(name.len());
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let tree = Tree::new();
        for (name, content) in files {
            tree.file(&format!("/efi/EFI/Linux/{name}"), content);
        }
        tree
    }

    #[track_caller]
    fn check_clean(files: &[(&str, &str)], after: &[&str], stays: &[&str]) {
        let tree = tree(files);
        assert_eq!(clean(&tree.host).unwrap(), stays);
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), after);
    }

    #[test]
    fn a_file_being_written_goes_unless_it_may_share_its_clusters() {
        let (one, two) = ("slipway_1.0.0.efi", "slipway_2.0.0+3.efi");
        let partial = "slipway_2.0.0+3.efi.partial";
        check_clean(&[(one, "one"), (partial, "two")], &[one], &[]);
        check_clean(&[(one, "one"), (two, "two!"), (partial, "tw")], &[one, two], &[]);
        check_clean(&[(one, "one"), (two, "two!"), (partial, "two!")], &[one, two, partial], &[partial]);
        check_clean(&[(two, ""), (partial, "")], &[two], &[]);
        let shared = "slipway_2.0.0+3.efi.shared";
        check_clean(
            &[(one, "one"), (shared, "two!"), (partial, "two!")],
            &[one, partial, shared],
            &[partial, shared],
        );
    }

    #[test]
    fn an_entry_that_may_share_its_clusters_is_put_aside() {
        let entry = EntryName::parse("slipway", "slipway_2.0.0+3.efi").unwrap();
        let partial = ("slipway_2.0.0+3.efi.partial", "two!");
        let tree = tree(&[("slipway_2.0.0+3.efi", "two!"), partial, ("slipway_1.0.0.efi", "two!")]);
        remove_entry(&tree.host.path("/efi"), &entry).unwrap();
        let names = tree.host.list("/efi/EFI/Linux").unwrap();
        assert_eq!(names, ["slipway_1.0.0.efi", partial.0, "slipway_2.0.0+3.efi.shared"]);
        remove_entry(&tree.host.path("/efi"), &EntryName::parse("slipway", "slipway_1.0.0.efi").unwrap())
            .unwrap();
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap().len(), 2);
    }

    #[test]
    fn a_name_that_exists_is_not_taken() {
        let entry = EntryName::parse("slipway", "slipway_2.0.0+3.efi").unwrap();
        let tree = tree(&[("slipway_2.0.0+3.efi.partial", "x"), ("slipway_2.0.0+3.efi.partial.1", "x")]);
        let path = partial_path(&tree.host.path("/efi"), &entry).unwrap();
        assert!(path.ends_with("slipway_2.0.0+3.efi.partial.2"), "{}", path.display());
    }
}
