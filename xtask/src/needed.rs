//! What a file of the assembled packages needs beside it: the links that lead to it, libraries, the loader.

use anyhow::Context as _;

use crate::elf;
use crate::tree::{self, Kind, Node, Tree};

/// Where the loader looks for libraries on the target, in order.
const LIBRARY_DIRS: [&str; 3] = ["usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/systemd", "usr/lib"];
/// What every program names as its interpreter.
const LOADER: &str = "usr/lib64/ld-linux-x86-64.so.2";

/// Takes a path with the links on its way, and what an ELF file needs.
pub fn take(from: &Tree, to: &mut Tree, path: &str) -> anyhow::Result<()> {
    let node = from.0.get(path).with_context(|| format!("{path} is not in the assembled packages"))?;
    if to.0.contains_key(path) {
        return Ok(());
    }
    to.insert(path, node.clone());
    match &node.kind {
        Kind::Dir => Ok(()),
        Kind::Symlink(_) => match from.resolve(path) {
            Some(target) => {
                take_chain(from, to, path);
                take(from, to, &target)
            }
            // Links such as /dev/null for masked units lead out of the tree.
            None => Ok(()),
        },
        Kind::File(_) => {
            let bytes = node.read()?;
            if !elf::is_elf(&bytes) {
                return Ok(());
            }
            let needed = elf::needed_libraries(&bytes).with_context(|| format!("reading {path}"))?;
            for name in needed {
                let found =
                    LIBRARY_DIRS.iter().map(|dir| format!("{dir}/{name}")).find(|at| from.0.contains_key(at));
                if let Some(library) = found {
                    take(from, to, &library).with_context(|| format!("which {path} needs"))?;
                }
            }
            take(from, to, LOADER)
        }
    }
}

/// Takes the links between a link and what it finally leads to, such as /etc/alternatives.
fn take_chain(from: &Tree, to: &mut Tree, path: &str) {
    let mut at = path.to_owned();
    while let Some(Node { kind: Kind::Symlink(target), .. }) = from.0.get(&at) {
        let next = match target.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{}/{target}", tree::parent(&at).unwrap_or("")),
        };
        match from.0.get(&next) {
            Some(node @ Node { kind: Kind::Symlink(_), .. }) => to.insert(&next, node.clone()),
            // What the last link leads to is taken with all that it needs.
            Some(_) | None => return,
        }
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_bring_what_they_lead_to() {
        let mut from = Tree::default();
        from.insert("usr/bin/vi", Node::symlink("/etc/alternatives/vi"));
        from.insert("etc/alternatives/vi", Node::symlink("/usr/bin/vim"));
        from.insert("usr/bin/vim", Node::file("text"));
        let mut to = Tree::default();
        take(&from, &mut to, "usr/bin/vi").unwrap();
        assert!(to.0.contains_key("etc/alternatives/vi"));
        assert!(to.0.contains_key("usr/bin/vim"));
    }

    #[test]
    fn a_linked_library_brings_its_own_needs() {
        let own = std::env::current_exe().unwrap();
        let mut from = Tree::default();
        for name in ["libc.so.6", "libgcc_s.so.1", "libm.so.6"] {
            from.insert(&format!("usr/lib/x86_64-linux-gnu/{name}"), Node::file("text"));
        }
        from.insert(LOADER, Node::file("text"));
        from.insert("usr/lib/liba.so", Node::symlink("liba.so.1"));
        from.insert("usr/lib/liba.so.1", Node::program(&own));
        let mut to = Tree::default();
        take(&from, &mut to, "usr/lib/liba.so").unwrap();
        assert!(to.0.contains_key("usr/lib/x86_64-linux-gnu/libc.so.6"));
    }
}
