//! Firmware that ships: what the modules that ship ask for, and no more. The distribution's packages hold that of
//! phones and sound cards beside it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use globset::GlobSet;

use crate::elf;
use crate::tree::{Kind, Tree};

/// Where the kernel looks.
pub const FOLDER: &str = "usr/lib/firmware/";

/// Returns the names of the firmware files that a module says it may ask for.
pub fn of_module(bytes: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    let info = elf::section(bytes, ".modinfo")?.unwrap_or_default();
    let fields = info.split(|byte| *byte == 0).filter_map(|field| field.strip_prefix(b"firmware="));
    fields.map(|name| String::from_utf8(name.to_vec()).context("a name of firmware is no UTF-8")).collect()
}

/// Returns the names that all modules of a tree ask for.
pub fn of_modules(tree: &Tree) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let is_module = |path: &str| path.starts_with("usr/lib/modules/") && path.ends_with(".ko");
    for (path, node) in tree.0.iter().filter(|(path, _)| is_module(path)) {
        let found = node.read().and_then(|bytes| of_module(&bytes));
        names.extend(found.with_context(|| format!("reading what {path} says of itself"))?);
    }
    Ok(names)
}

/// Removes firmware that nobody asks for: neither a name of `named`, nor what a link of that name leads to, nor what
/// `kept` matches, whose rules are below the folder.
pub fn prune(tree: &mut Tree, named: &BTreeSet<String>, kept: &GlobSet) {
    let mut wanted = BTreeSet::new();
    let matched =
        tree.0.keys().filter_map(|path| path.strip_prefix(FOLDER)).filter(|name| kept.is_match(name));
    for name in named.iter().map(String::as_str).chain(matched) {
        let path = format!("{FOLDER}{name}");
        let Some(end) = tree.resolve(&path) else { continue };
        // The path itself is a link where it does not end at itself, or lies below one.
        wanted.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        wanted.insert(path);
        wanted.insert(end);
    }
    tree.0.retain(|path, node| {
        !path.starts_with(FOLDER) || matches!(node.kind, Kind::Dir) || wanted.contains(path.as_str())
    });
    let is_used = |path: &str| {
        wanted.iter().any(|wanted| wanted.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    };
    let unused: Vec<String> = tree
        .0
        .iter()
        .filter(|(path, node)| path.starts_with(FOLDER) && matches!(node.kind, Kind::Dir) && !is_used(path))
        .map(|(path, _)| path.clone())
        .collect();
    unused.iter().for_each(|path| drop(tree.0.remove(path)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for path in ["a.bin", "b/1.bin", "b/2.bin", "c/d/3.bin", "e/4.cfg", "f.bin"] {
            tree.insert(&format!("{FOLDER}{path}"), Node::file("x"));
        }
        tree.insert(&format!("{FOLDER}b/one.bin"), Node::symlink("../c/d/3.bin"));
        tree.insert(&format!("{FOLDER}g"), Node::symlink("b"));
        tree.insert("usr/lib/other", Node::file("x"));
        tree
    }

    #[track_caller]
    fn check(named: &[&str], kept: &[&str], expected: &[&str]) {
        let mut tree = tree();
        let mut globs = globset::GlobSetBuilder::new();
        for glob in kept {
            globs.add(globset::Glob::new(glob).unwrap());
        }
        prune(&mut tree, &named.iter().map(|&name| name.to_owned()).collect(), &globs.build().unwrap());
        assert!(tree.0.contains_key("usr/lib/other"));
        let left: Vec<&str> = tree.0.keys().filter_map(|path| path.strip_prefix(FOLDER)).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn keeps_what_is_named_and_what_links_lead_to() {
        check(&["a.bin", "none.bin"], &[], &["a.bin"]);
        check(&["b/one.bin"], &[], &["b", "b/one.bin", "c", "c/d", "c/d/3.bin"]);
        check(&["g/2.bin"], &[], &["b", "b/2.bin", "g"]);
    }

    #[test]
    fn keeps_what_a_rule_matches() {
        check(&[], &["e/*"], &["e", "e/4.cfg"]);
        check(&[], &[], &[]);
    }

    #[test]
    fn a_file_without_the_section_asks_for_nothing() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(of_module(&own).unwrap(), BTreeSet::new());
        assert!(of_module(b"no module").is_err());
    }
}
