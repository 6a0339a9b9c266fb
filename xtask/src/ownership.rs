//! Owners and set-id bits: taken from the packages' archives and the table of the definition, never from
//! what a build happened to be allowed to chown.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;
use crate::definition::{Accounts, Definition};
use crate::manifest::SpecialFile;
use crate::tree::{Kind, Tree};

/// The set-id and sticky bits.
const SPECIAL_BITS: u32 = 0o7000;
/// Archives are read side by side: decompression takes nearly all of the time.
const READERS: usize = 2;

/// Owner and mode of one path, where they are not root's and plain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Owner by name.
    pub user: String,
    /// Group by name.
    pub group: String,
    /// Permission bits.
    pub mode: u32,
}

/// Remarkable paths of the packages, relative to the root.
pub type Table = BTreeMap<String, Entry>;

/// Reads the archives' member lists.
pub fn of_packages(ctx: &Ctx, debs: &[PathBuf]) -> anyhow::Result<Table> {
    let next = AtomicUsize::new(0);
    let result = Mutex::new(Ok(Table::new()));
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                while let Some(path) = debs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let rows = ctx.cancel.check().and_then(|()| of_package(path));
                    let mut result = result.lock().expect("a reader never panics with the lock held");
                    match (rows, result.as_mut()) {
                        (Ok(rows), Ok(table)) => table.extend(rows),
                        (Err(err), Ok(_)) => *result = Err(err),
                        (_, Err(_)) => return,
                    }
                }
            });
        }
    });
    result.into_inner().expect("the readers have ended")
}

fn of_package(path: &Path) -> anyhow::Result<Table> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let members = deb::package::data_members(BufReader::with_capacity(1 << 18, file))
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(members
        .into_iter()
        .filter(|member| member.user != "root" || member.group != "root" || member.mode & SPECIAL_BITS != 0)
        .filter(|member| !matches!(member.kind, deb::package::Kind::Symlink { .. }))
        .map(|member| {
            let path = deb::unpack::merged(&member.path);
            (path, Entry { user: member.user, group: member.group, mode: member.mode & 0o7777 })
        })
        .collect())
}

/// Gives the nodes of a tree their owners and special bits.
pub fn apply(tree: &mut Tree, packages: &Table, definition: &Definition) -> anyhow::Result<()> {
    for (path, entry) in packages {
        let Some(node) = tree.0.get_mut(path) else { continue };
        node.uid = uid(&definition.accounts, &entry.user).with_context(|| {
            format!("owner of {path}: image/image.yaml: accounts.users lacks `{}`", entry.user)
        })?;
        node.gid = gid(&definition.accounts, &entry.group).with_context(|| {
            format!("group of {path}: image/image.yaml: accounts.groups lacks `{}`", entry.group)
        })?;
        node.mode = entry.mode;
    }
    for row in &definition.ownership {
        let path = &row.path.value;
        let node = tree.0.get_mut(path).with_context(|| {
            format!(
                "image/image.yaml:{}: ownership: `{path}` is not in the image",
                row.path.referenced.line()
            )
        })?;
        node.uid = uid(&definition.accounts, &row.owner).unwrap_or(0);
        node.gid = gid(&definition.accounts, &row.group).unwrap_or(0);
        node.mode = u32::from_str_radix(&row.mode.value, 8)
            .with_context(|| format!("mode of `{path}` in image/image.yaml"))?;
    }
    Ok(())
}

/// The files whose owner or mode matters, for the manifest.
pub fn special_files(tree: &Tree, accounts: &Accounts) -> Vec<SpecialFile> {
    let is_special = |node: &&crate::tree::Node| {
        matches!(node.kind, Kind::File(_)) && (node.mode & 0o6000 != 0 || node.uid != 0 || node.gid != 0)
    };
    tree.0
        .iter()
        .filter(|(_, node)| is_special(node))
        .map(|(path, node)| SpecialFile {
            path: format!("/{path}"),
            mode: format!("{:04o}", node.mode),
            owner: name_of(accounts.users.iter().map(|(name, user)| (name, user.uid.value)), node.uid),
            group: name_of(accounts.groups.iter().map(|(name, gid)| (name, gid.value)), node.gid),
        })
        .collect()
}

fn uid(accounts: &Accounts, name: &str) -> Option<u32> {
    accounts.users.get(name).map(|user| user.uid.value)
}

fn gid(accounts: &Accounts, name: &str) -> Option<u32> {
    accounts.groups.get(name).map(|gid| gid.value)
}

fn name_of<'a>(mut rows: impl Iterator<Item = (&'a String, u32)>, number: u32) -> String {
    rows.find(|(_, of_row)| *of_row == number).map_or_else(|| number.to_string(), |(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    fn definition() -> Definition {
        let mut definition = Definition::parse(include_str!("../../image/image.yaml")).unwrap();
        definition.ownership.clear();
        definition
    }

    #[test]
    fn set_id_files_keep_mode_and_group_and_are_listed() {
        let mut tree = Tree::default();
        tree.insert("usr/bin/expiry", Node::file("x"));
        let table = Table::from([(
            "usr/bin/expiry".to_owned(),
            Entry { user: "root".to_owned(), group: "shadow".to_owned(), mode: 0o2755 },
        )]);
        let definition = definition();
        apply(&mut tree, &table, &definition).unwrap();
        let special = special_files(&tree, &definition.accounts);
        assert_eq!(special.len(), 1);
        assert_eq!((special[0].mode.as_str(), special[0].group.as_str()), ("2755", "shadow"));
    }

    #[test]
    fn an_owner_without_number_is_named() {
        let mut tree = Tree::default();
        tree.insert("usr/x", Node::file("x"));
        let entry = Entry { user: "ghost".to_owned(), group: "root".to_owned(), mode: 0o644 };
        let err = apply(&mut tree, &Table::from([("usr/x".to_owned(), entry)]), &definition()).unwrap_err();
        assert!(format!("{err:#}").contains("ghost"), "{err:#}");
    }
}
