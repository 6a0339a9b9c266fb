//! Every package's copyright file, kept once per content in `/usr/share/licenses`.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::manifest::Package;
use crate::tree::{Node, Tree};

/// Texts that most copyright files refer to.
const COMMON: &str = "usr/share/common-licenses/";

/// Returns the tree of licence files and the packages with the short names of their licences.
/// The second package with a text that another one has gets a link to it.
pub fn collect(assembled: &Tree, packages: &[Package]) -> anyhow::Result<(Tree, Vec<Package>)> {
    let mut tree = Tree::default();
    let mut first: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    let mut named = Vec::new();
    for package in packages {
        let name = &package.name;
        let path = assembled
            .resolve(&format!("usr/share/doc/{name}/copyright"))
            .with_context(|| format!("package {name} has no copyright file, which must ship with it"))?;
        let text = assembled.0[&path].read()?;
        let at = format!("usr/share/licenses/{name}/copyright");
        let licence = names(&String::from_utf8_lossy(&text));
        match first.get(&text) {
            Some(other) => tree.insert(&at, Node::symlink(format!("../{other}/copyright"))),
            None => {
                tree.insert(&at, Node::file(text.clone()));
                first.insert(text, name.clone());
            }
        }
        named.push(Package { licence, ..package.clone() });
    }
    Ok((tree, named))
}

/// The short names of a copyright file: the `License:` fields of the machine-readable format
/// (<https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>), else the common texts that it
/// refers to, else `see copyright`.
pub fn names(text: &str) -> String {
    let machine_readable = text.lines().next().is_some_and(|line| line.contains("copyright-format"));
    let mut names: Vec<&str> = if machine_readable {
        text.lines()
            .filter_map(|line| line.strip_prefix("License:"))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect()
    } else {
        text.match_indices(COMMON)
            .map(|(at, _)| &text[at + COMMON.len()..])
            .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.').next())
            .filter_map(|name| name.map(|name| name.trim_end_matches('.')))
            .filter(|name| !name.is_empty())
            .collect()
    };
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "see copyright".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "amd64".to_owned(),
            licence: String::new(),
        }
    }

    #[test]
    fn equal_texts_are_kept_once() {
        let mut assembled = Tree::default();
        assembled.insert("usr/share/doc/a/copyright", Node::file("same"));
        assembled.insert("usr/share/doc/b/copyright", Node::file("same"));
        assembled.insert("usr/share/doc/c", Node::symlink("a"));
        let (tree, named) = collect(&assembled, &[package("a"), package("b"), package("c")]).unwrap();
        assert_eq!(tree.0["usr/share/licenses/a/copyright"].read().unwrap(), b"same");
        assert!(tree.0["usr/share/licenses/b/copyright"].read().is_err());
        assert!(tree.0.contains_key("usr/share/licenses/c/copyright"));
        assert_eq!(named[0].licence, "see copyright");
    }

    #[test]
    fn a_package_without_copyright_file_is_refused() {
        let err = collect(&Tree::default(), &[package("a")]).unwrap_err();
        assert!(err.to_string().contains("package a"), "{err}");
    }

    #[test]
    fn reads_machine_readable_and_old_files() {
        let new = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nLicense: MIT\nLicense: GPL-2+\nLicense: MIT\n";
        assert_eq!(names(new), "GPL-2+, MIT");
        assert_eq!(names("see /usr/share/common-licenses/GPL-2.\n"), "GPL-2");
    }
}
