//! A file tree in memory: loaded from an assembled root, pruned, overlaid, then written as tar or cpio.
//!
//! Contents stay on disk until written. Paths are relative, without a leading slash, in byte order.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

pub mod cpio;
pub mod stream;

/// Number of the superuser and of his group.
const ROOT: u32 = 0;

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file of the host.
    Disk(PathBuf),
    /// Made by the build.
    Bytes(Vec<u8>),
}

/// What stands at a path.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A regular file.
    File(Content),
    /// A symbolic link and its target.
    Symlink(String),
}

/// One file, folder or link with its owner and permission bits.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Node {
    /// A folder of root's, mode 0755.
    pub fn dir() -> Self {
        Self { kind: Kind::Dir, mode: 0o755, uid: ROOT, gid: ROOT }
    }

    /// A file of root's, mode 0644.
    pub fn file(bytes: impl Into<Vec<u8>>) -> Self {
        Self { kind: Kind::File(Content::Bytes(bytes.into())), mode: 0o644, uid: ROOT, gid: ROOT }
    }

    /// A file of root's with a program in it, mode 0755.
    pub fn program(path: &Path) -> Self {
        Self { kind: Kind::File(Content::Disk(path.to_path_buf())), mode: 0o755, uid: ROOT, gid: ROOT }
    }

    /// A symbolic link.
    pub fn symlink(target: impl Into<String>) -> Self {
        Self { kind: Kind::Symlink(target.into()), mode: 0o777, uid: ROOT, gid: ROOT }
    }

    /// Reads the content of a file; fails for anything else.
    pub fn read(&self) -> anyhow::Result<Vec<u8>> {
        match &self.kind {
            Kind::File(Content::Bytes(bytes)) => Ok(bytes.clone()),
            Kind::File(Content::Disk(path)) => {
                fs::read(path).with_context(|| format!("reading {}", path.display()))
            }
            Kind::Dir => bail!("a folder stands where a file was expected"),
            Kind::Symlink(target) => bail!("a link to `{target}` stands where a file was expected"),
        }
    }
}

/// All nodes by path.
#[derive(Clone, Debug, Default)]
pub struct Tree(pub BTreeMap<String, Node>);

impl Tree {
    /// Loads what lies below `root/prefix`, keeping the prefix in the paths.
    /// Owners become root's and set-id bits are dropped: who owns what is not read off the disk.
    pub fn load(root: &Path, prefix: &str) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.load_into(&root.join(prefix), prefix)?;
        Ok(tree)
    }

    fn load_into(&mut self, disk: &Path, path: &str) -> anyhow::Result<()> {
        let meta = fs::symlink_metadata(disk).with_context(|| format!("reading {}", disk.display()))?;
        let kind = if meta.is_symlink() {
            let target = fs::read_link(disk).with_context(|| format!("reading {}", disk.display()))?;
            Kind::Symlink(utf8(target.into_os_string(), disk)?)
        } else if meta.is_dir() {
            for (name, child) in crate::hash::sorted_dir(disk)? {
                let inner = if path.is_empty() { name } else { format!("{path}/{name}") };
                self.load_into(&child, &inner)?;
            }
            Kind::Dir
        } else if meta.is_file() {
            Kind::File(Content::Disk(disk.to_path_buf()))
        } else if meta.file_type().is_char_device() {
            bail!("{} is a device node, which cannot ship", disk.display());
        } else {
            bail!("{} is neither file, folder nor link, and cannot ship", disk.display());
        };
        if !path.is_empty() {
            let mode = if meta.is_symlink() { 0o777 } else { meta.mode() & 0o1777 };
            self.0.insert(path.to_owned(), Node { kind, mode, uid: ROOT, gid: ROOT });
        }
        Ok(())
    }

    /// Puts a node at `path` and makes the folders above it.
    pub fn insert(&mut self, path: &str, node: Node) {
        for (at, _) in path.match_indices('/') {
            self.0.entry(path[..at].to_owned()).or_insert_with(Node::dir);
        }
        self.0.insert(path.to_owned(), node);
    }

    /// Lays `other` over this tree; a file takes the place of a file, folders merge.
    pub fn overlay(&mut self, other: Self) {
        for (path, node) in other.0 {
            match (&node.kind, self.0.get(&path).map(|old| &old.kind)) {
                (Kind::Dir, Some(Kind::Dir)) => {}
                (_, Some(Kind::Dir)) => {
                    self.remove(&path);
                    self.insert(&path, node);
                }
                _ => self.insert(&path, node),
            }
        }
    }

    /// Removes a path and all below it.
    pub fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.0.retain(|name, _| name != path && !name.starts_with(&below));
    }

    /// Removes what the globs match, and the folders that this empties.
    /// Returns the globs that matched nothing, by their place in the list.
    pub fn prune(&mut self, globs: &globset::GlobSet, n_globs: usize) -> Vec<usize> {
        let mut used = vec![false; n_globs];
        let mut emptied = std::collections::BTreeSet::new();
        self.0.retain(|path, _| {
            let matched = globs.matches(path);
            for idx in &matched {
                used[*idx] = true;
            }
            if !matched.is_empty() {
                emptied.extend(parent(path).map(str::to_owned));
            }
            matched.is_empty()
        });
        while let Some(dir) = emptied.pop_last() {
            let below = format!("{dir}/");
            let is_dir = self.0.get(&dir).is_some_and(|node| matches!(node.kind, Kind::Dir));
            let next = self.0.range(below.clone()..).next();
            if is_dir && next.is_none_or(|(path, _)| !path.starts_with(&below)) {
                self.0.remove(&dir);
                emptied.extend(parent(&dir).map(str::to_owned));
            }
        }
        used.iter().enumerate().filter(|(_, used)| !**used).map(|(idx, _)| idx).collect()
    }

    /// Moves a path and all below it to another place.
    pub fn rename(&mut self, from: &str, to: &str) {
        let below = format!("{from}/");
        let moved: Vec<_> =
            self.0.keys().filter(|path| *path == from || path.starts_with(&below)).cloned().collect();
        for path in moved {
            if let Some(node) = self.0.remove(&path) {
                self.insert(&format!("{to}{}", &path[from.len()..]), node);
            }
        }
    }

    /// Follows symbolic links inside the tree to the path that holds the file.
    pub fn resolve(&self, path: &str) -> Option<String> {
        let mut rest: Vec<String> = split(path);
        let mut done: Vec<String> = Vec::new();
        for _ in 0..4096 {
            if rest.is_empty() {
                return Some(done.join("/"));
            }
            let part = rest.remove(0);
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(part);
            match self.0.get(&done.join("/")).map(|node| &node.kind) {
                Some(Kind::Symlink(target)) => {
                    done.pop();
                    if target.starts_with('/') {
                        done.clear();
                    }
                    let mut parts = split(target);
                    parts.append(&mut rest);
                    rest = parts;
                }
                Some(_) => {}
                None => return None,
            }
        }
        None
    }
}

/// The folder above a path.
pub fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(dir, _)| dir)
}

fn split(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

fn utf8(name: std::ffi::OsString, at: &Path) -> anyhow::Result<String> {
    name.into_string()
        .map_err(|name| anyhow::anyhow!("{}: `{}` is not UTF-8", at.display(), name.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            match path.split_once(" -> ") {
                Some((path, target)) => tree.insert(path, Node::symlink(target)),
                None => tree.insert(path, Node::file("x")),
            }
        }
        tree
    }

    fn globs(list: &[&str]) -> globset::GlobSet {
        let mut set = globset::GlobSetBuilder::new();
        for glob in list {
            set.add(globset::GlobBuilder::new(glob).literal_separator(true).build().unwrap());
        }
        set.build().unwrap()
    }

    #[test]
    fn pruning_removes_emptied_folders_only() {
        let mut tree = tree(&["usr/share/doc/a/copyright", "usr/share/doc/b/x", "usr/bin/a"]);
        let unused = tree.prune(&globs(&["usr/share/doc/**", "usr/none"]), 2);
        assert_eq!(Vec::from_iter(tree.0.keys()), ["usr", "usr/bin", "usr/bin/a"]);
        assert_eq!(unused, [1]);
    }

    #[test]
    fn star_does_not_cross_folders() {
        let mut tree = tree(&["a/b/c", "a/d"]);
        tree.prune(&globs(&["a/*"]), 1);
        assert!(!tree.0.contains_key("a/d"));
        let mut deep = self::tree(&["a/b/c"]);
        deep.prune(&globs(&["*/c"]), 1);
        assert!(deep.0.contains_key("a/b/c"));
    }

    #[test]
    fn resolves_links_through_folders_and_from_the_root() {
        let tree = tree(&[
            "bin -> usr/bin",
            "usr/bin/vi -> /etc/alternatives/vi",
            "etc/alternatives/vi -> /usr/bin/vim",
            "usr/bin/vim",
        ]);
        assert_eq!(tree.resolve("bin/vi").as_deref(), Some("usr/bin/vim"));
    }

    #[test]
    fn a_link_loop_resolves_to_nothing() {
        assert_eq!(tree(&["a -> b", "b -> a"]).resolve("a"), None);
    }

    #[test]
    fn overlay_replaces_files_and_merges_folders() {
        let mut base = tree(&["usr/a", "usr/b"]);
        let mut over = Tree::default();
        over.insert("usr/b", Node::file("new"));
        over.insert("usr/c", Node::symlink("a"));
        base.overlay(over);
        assert_eq!(base.0["usr/b"].read().unwrap(), b"new");
        assert_eq!(base.0.len(), 4);
    }

    #[test]
    fn renaming_moves_all_below() {
        let mut tree = tree(&["etc/a/b", "etc2"]);
        tree.rename("etc", "usr/share/factory/etc");
        assert!(tree.0.contains_key("usr/share/factory/etc/a/b"));
        assert!(tree.0.contains_key("etc2"));
    }
}
