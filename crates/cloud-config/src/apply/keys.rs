//! Key sets of users, and `authorized_keys` made of them.
//!
//! A set is a file in `~/.ssh/authorized_keys.d`; `~/.ssh/authorized_keys` has the keys of all sets, each once.
//! Keys that were there before the first set are a set of their own.

use std::collections::BTreeSet;

use anyhow::Context;

use crate::plan::KeySet;
use crate::ssh_key;

use super::accounts::Accounts;
use super::manifest::Manifest;
use super::tree::{Change, Found, Ids, Mood, Tree};

/// Permissions of what only the user may read.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
const HOME_MODE: u32 = 0o755;
/// The set of keys that were there before.
const BEFORE: &str = "orig_authorized_keys";

/// Replaces a set and what is made of all sets.
pub fn write(tree: &Tree, set: &KeySet, manifest: &mut Manifest, mood: Mood) -> anyhow::Result<Change> {
    let account = Accounts::read(tree)?.user(&set.user).cloned();
    let (home, owner) = match &account {
        Some(account) => (account.home.as_str(), Some(account.ids)),
        // Below another root, and before a user is made, the plan says where home will be.
        None if !tree.is_host() || mood == Mood::Look => (set.home.as_str(), None),
        None => anyhow::bail!("writing keys: no user {:?}", set.user),
    };
    let home = home.trim_end_matches('/');
    let path = KeySet::path(home, &set.set);
    let text: String = set.keys.iter().map(|key| format!("{key}\n")).collect();
    if mood == Mood::Do {
        tree.make_folder(home, HOME_MODE, owner)?;
        for folder in [format!("{home}/.ssh"), format!("{home}/.ssh/authorized_keys.d")] {
            tree.make_folder(&folder, FOLDER_MODE, owner)?;
        }
    }
    keep_earlier(tree, home, owner, mood)?;
    let one = tree.write(&path, text.as_bytes(), FILE_MODE, owner, mood)?;
    manifest.record(&path, text.as_bytes());
    let all = regenerate(tree, home, owner, mood)?;
    Ok(if one == Change::Unchanged { all } else { one })
}

/// Makes a set of the keys that somebody put there before there was any set.
fn keep_earlier(tree: &Tree, home: &str, owner: Option<Ids>, mood: Mood) -> anyhow::Result<()> {
    if tree.list(&format!("{home}/.ssh/authorized_keys.d"))?.is_empty()
        && let Found::File(file) = tree.find(&format!("{home}/.ssh/authorized_keys"))?
        && !file.bytes.is_empty()
    {
        tree.write(&KeySet::path(home, BEFORE), &file.bytes, FILE_MODE, owner, mood)?;
    }
    Ok(())
}

/// Makes `authorized_keys` of all sets; without an owner it is that of the folder.
pub fn regenerate(tree: &Tree, home: &str, owner: Option<Ids>, mood: Mood) -> anyhow::Result<Change> {
    if mood == Mood::Look {
        // It follows from the sets, which are looked at.
        return Ok(Change::Unchanged);
    }
    let folder = format!("{home}/.ssh/authorized_keys.d");
    let owner = match owner {
        Some(owner) => Some(owner),
        None => tree.folder_owner(&folder)?,
    };
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    for name in tree.list(&folder)? {
        let Found::File(file) = tree.find(&format!("{folder}/{name}"))? else { continue };
        let set = String::from_utf8(file.bytes).with_context(|| format!("reading {folder}/{name}"))?;
        for line in ssh_key::lines(&set) {
            if seen.insert(ssh_key::identity(&line).unwrap_or_else(|| line.clone())) {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    tree.write(&format!("{home}/.ssh/authorized_keys"), text.as_bytes(), FILE_MODE, owner, mood)
}

/// Returns the home folder of a path that is a set.
pub fn home_of_set(path: &str) -> Option<&str> {
    let (home, set) = path.split_once("/.ssh/authorized_keys.d/")?;
    (!set.contains('/')).then_some(home)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn key(n: char) -> String {
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA{n}AA")
    }

    fn set(name: &str, keys: &[String]) -> KeySet {
        let (user, home) = ("core".to_owned(), "/home/core".to_owned());
        KeySet { user, home, set: name.to_owned(), keys: keys.to_vec() }
    }

    #[test]
    fn all_sets_are_one_file_with_each_key_once() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let mut manifest = Manifest::default();
        let mut write = |set: &KeySet| write(&tree, set, &mut manifest, Mood::Do).unwrap();
        let first = set("github-a", &[key('A'), key('B')]);
        assert_eq!([write(&first), write(&first)], [Change::Made, Change::Unchanged]);
        write(&set("coreos-cloudinit", &[format!("{} me", key('B')), key('C')]));
        let ssh = dir.path().join("home/core/.ssh");
        let text = fs::read_to_string(ssh.join("authorized_keys")).unwrap();
        assert_eq!(text, format!("{} me\n{}\n{}\n", key('B'), key('C'), key('A')));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(ssh.join("authorized_keys")), mode(ssh)), (0o600, 0o700));
        write(&set("github-a", &[]));
        let text = fs::read_to_string(dir.path().join("home/core/.ssh/authorized_keys")).unwrap();
        assert!(!text.contains(&key('A')), "a key that was taken back stays");
    }

    #[test]
    fn keys_that_were_there_before_stay() {
        let dir = tempfile::tempdir().unwrap();
        let ssh = dir.path().join("home/core/.ssh");
        fs::create_dir_all(&ssh).unwrap();
        fs::write(ssh.join("authorized_keys"), key('Z')).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        write(&tree, &set("a", &[key('A')]), &mut Manifest::default(), Mood::Do).unwrap();
        let text = fs::read_to_string(ssh.join("authorized_keys")).unwrap();
        assert!(text.contains(&key('Z')) && text.contains(&key('A')), "{text}");
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(dir.path().join("home/core")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("home/core/.ssh")).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let err = write(&tree, &set("a", &[key('A')]), &mut Manifest::default(), Mood::Do).unwrap_err();
        assert!(format!("{err:#}").contains("/home/core/.ssh is a link or no folder"), "{err:#}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn sets_know_their_home() {
        assert_eq!(home_of_set("/home/core/.ssh/authorized_keys.d/a"), Some("/home/core"));
        assert_eq!(home_of_set("/home/core/.ssh/authorized_keys"), None);
    }
}
