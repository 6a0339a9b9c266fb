//! How many bytes of `/usr` each package accounts for, before compression.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::tree::{Content, Kind, Tree};

/// Sums the files of `tree` by the package whose file list names them; the rest belongs to `product`.
pub fn by_package(root: &Path, tree: &Tree, product: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let owners = owners(root)?;
    let mut sums = BTreeMap::new();
    for (path, node) in &tree.0 {
        let Kind::File(content) = &node.kind else { continue };
        let len = match content {
            Content::Bytes(bytes) => u64::try_from(bytes.len())?,
            Content::Disk(disk) => {
                fs::metadata(disk).with_context(|| format!("reading {}", disk.display()))?.len()
            }
        };
        // Modules were unpacked, and /etc has moved.
        let installed = path.strip_prefix("usr/share/factory/").unwrap_or(path);
        let package = owners
            .get(installed)
            .or_else(|| owners.get(&format!("{installed}.xz")))
            .map_or(product, String::as_str);
        *sums.entry(package.to_owned()).or_default() += len;
    }
    Ok(sums)
}

/// Path to package, from dpkg's file lists.
pub fn owners(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut owners = BTreeMap::new();
    for (name, path) in crate::hash::sorted_dir(&root.join("var/lib/dpkg/info"))? {
        let Some(package) = name.strip_suffix(".list") else { continue };
        let package = package.split(':').next().unwrap_or(package);
        let list = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        for line in list.lines() {
            owners.insert(deb::unpack::merged(line.trim_start_matches('/')), package.to_owned());
        }
    }
    Ok(owners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    #[test]
    fn files_count_for_their_package_and_the_rest_for_the_product() {
        let dir = tempfile::tempdir().unwrap();
        let info = dir.path().join("var/lib/dpkg/info");
        fs::create_dir_all(&info).unwrap();
        fs::write(info.join("kernel.list"), "/.\n/lib/modules/1/a.ko.xz\n").unwrap();
        fs::write(info.join("libc6:amd64.list"), "/etc/x\n").unwrap();
        let mut tree = Tree::default();
        tree.insert("usr/lib/modules/1/a.ko", Node::file("1234"));
        tree.insert("usr/share/factory/etc/x", Node::file("12"));
        tree.insert("usr/bin/own", Node::file("1"));
        let sums = by_package(dir.path(), &tree, "slipway").unwrap();
        let expected = [("kernel", 4), ("libc6", 2), ("slipway", 1)];
        assert_eq!(sums, expected.map(|(name, len)| (name.to_owned(), len)).into());
    }
}
