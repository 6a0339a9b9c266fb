//! Users and groups of a root folder, from its own files.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

use crate::facts::UserFact;
use crate::model::{Owner, Secret};

use super::tree::{Found, Ids, Tree};

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Numbers of user and first group.
    pub ids: Ids,
    /// Home folder.
    pub home: String,
}

/// Users and groups.
#[derive(Debug, Default)]
pub struct Accounts {
    users: BTreeMap<String, Account>,
    /// Number and listed members.
    groups: BTreeMap<String, (u32, BTreeSet<String>)>,
    hashes: BTreeMap<String, Secret>,
}

impl Accounts {
    /// Reads the files; lines that are none are passed over, as everybody does.
    pub fn read(tree: &Tree) -> anyhow::Result<Self> {
        let lines = |path: &str| -> anyhow::Result<Vec<Vec<String>>> {
            let Found::File(file) = tree.find(path)? else { return Ok(Vec::new()) };
            let text = String::from_utf8_lossy(&file.bytes).into_owned();
            Ok(text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect())
        };
        let mut accounts = Self::default();
        for line in lines("/etc/passwd")? {
            let [name, _, uid, gid, _, home, ..] = &line[..] else { continue };
            let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { continue };
            let account = Account { ids: Ids { uid, gid }, home: home.clone() };
            accounts.users.insert(name.clone(), account);
        }
        for line in lines("/etc/group")? {
            let [name, _, gid, members] = &line[..] else { continue };
            let Ok(gid) = gid.parse() else { continue };
            let members = members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            accounts.groups.insert(name.clone(), (gid, members));
        }
        // Only root may read this one, and only to see whether a password is what it should be.
        for line in lines("/etc/shadow").unwrap_or_default() {
            if let [name, hash, ..] = &line[..] {
                accounts.hashes.insert(name.clone(), Secret(hash.clone()));
            }
        }
        Ok(accounts)
    }

    /// Returns a user.
    pub fn user(&self, name: &str) -> Option<&Account> {
        self.users.get(name)
    }

    /// Returns the numbers of an owner, who may be given by numbers.
    pub fn ids(&self, owner: &Owner) -> anyhow::Result<Ids> {
        let Owner { user, group } = owner;
        let account = self.users.get(user);
        let uid = account.map(|account| account.ids.uid).or_else(|| user.parse().ok());
        let uid = uid.with_context(|| format!("no user {user:?}"))?;
        let gid = match group {
            Some(group) => self.groups.get(group).map(|(gid, _)| *gid).or_else(|| group.parse().ok()),
            // The group of a number that is nobody's has that number too.
            None => account.map(|account| account.ids.gid).or(Some(uid)),
        };
        Ok(Ids {
            uid,
            gid: gid.with_context(|| format!("no group {:?}", group.as_deref().unwrap_or_default()))?,
        })
    }

    /// Returns what a plan must know of the users.
    pub fn facts(&self) -> BTreeMap<String, UserFact> {
        let groups_of = |name: &String| {
            let listing = self.groups.iter().filter(|(_, (_, members))| members.contains(name));
            listing.map(|(group, _)| group.clone()).collect()
        };
        let fact = |(name, account): (&String, &Account)| {
            let hash = self.hashes.get(name).cloned();
            (name.clone(), UserFact { home: account.home.clone(), groups: groups_of(name), hash })
        };
        self.users.iter().map(fact).collect()
    }

    /// Returns the names of the groups.
    pub fn group_names(&self) -> BTreeSet<String> {
        self.groups.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let file = |name: &str, text: &str| std::fs::write(dir.path().join("etc").join(name), text).unwrap();
        file(
            "passwd",
            "root:x:0:0::/root:/bin/sh\nnonsense\ncore:x:500:501::/home/core:/bin/sh\nx:x:y:0::/:\n",
        );
        file("group", "root:x:0:\ncore:x:501:\nsudo:x:27:core,ann\n");
        file("shadow", "core:$6$x:1::::::\n");
        Accounts::read(&Tree::open(dir.path()).unwrap()).unwrap()
    }

    #[test]
    fn owners_are_looked_up_by_name_or_number() {
        let accounts = accounts();
        let ids = |user: &str, group: Option<&str>| {
            let owner = Owner { user: user.to_owned(), group: group.map(str::to_owned) };
            accounts.ids(&owner).map(|ids| (ids.uid, ids.gid)).map_err(|err| err.to_string())
        };
        assert_eq!(ids("core", None), Ok((500, 501)));
        assert_eq!(ids("core", Some("sudo")), Ok((500, 27)));
        assert_eq!(ids("7", None), Ok((7, 7)));
        assert_eq!(ids("root", Some("8")), Ok((0, 8)));
        assert_eq!(ids("ann", None), Err("no user \"ann\"".to_owned()));
        assert_eq!(ids("core", Some("none")), Err("no group \"none\"".to_owned()));
    }

    #[test]
    fn facts_have_home_groups_and_hash() {
        let facts = accounts().facts();
        assert_eq!(facts.len(), 2);
        let core = &facts["core"];
        assert_eq!((core.home.as_str(), core.groups.len()), ("/home/core", 1));
        assert_eq!(core.hash, Some(Secret("$6$x".to_owned())));
    }
}
