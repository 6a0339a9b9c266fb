//! Users and groups with fixed numbers: the factory `passwd`, `group`, `shadow`, `gshadow`, and sysusers.d.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::definition::Accounts;
use crate::tree::{Kind, Tree};

/// Where sysusers.d(5) files ship.
const SYSUSERS: &str = "usr/lib/sysusers.d/";

/// The texts of the account files, all from the table of the definition.
#[derive(Debug)]
pub struct Files {
    /// `/etc/passwd`
    pub passwd: String,
    /// `/etc/group`
    pub group: String,
    /// `/etc/shadow`: nobody has a password.
    pub shadow: String,
    /// `/etc/gshadow`
    pub gshadow: String,
    /// sysusers.d(5) lines that add to a machine's own files what a new version brings.
    pub sysusers: String,
}

impl Files {
    /// Renders the files, in the order of the numbers.
    pub fn render(accounts: &Accounts) -> Self {
        let mut users: Vec<_> = accounts.users.iter().collect();
        users.sort_by_key(|(_, user)| user.uid.value);
        let mut groups: Vec<_> = accounts.groups.iter().collect();
        groups.sort_by_key(|(_, gid)| gid.value);
        let mut files = Self {
            passwd: String::new(),
            group: String::new(),
            shadow: String::new(),
            gshadow: String::new(),
            sysusers: "# Made by the build from the accounts of image.yaml.\n".to_owned(),
        };
        for (name, gid) in &groups {
            let members: Vec<_> = users
                .iter()
                .filter(|(_, user)| user.groups.contains(name))
                .map(|(user, _)| user.as_str())
                .collect();
            let members = members.join(",");
            files.group.push_str(&format!("{name}:x:{}:{members}\n", gid.value));
            files.gshadow.push_str(&format!("{name}:!*::{members}\n"));
            files.sysusers.push_str(&format!("g {name} {}\n", gid.value));
        }
        for (name, user) in &users {
            let group = user.group.as_ref().unwrap_or(name);
            let gid = accounts.groups.get(group).map_or(u32::MAX, |gid| gid.value);
            let (uid, comment, home, shell) = (user.uid.value, &user.comment, &user.home, &user.shell);
            files.passwd.push_str(&format!("{name}:x:{uid}:{gid}:{comment}:{home}:{shell}\n"));
            // No date of the last change: it would differ between builds and says nothing.
            files.shadow.push_str(&format!("{name}:!*:::::::\n"));
            files.sysusers.push_str(&format!("u {name} {uid}:{gid} \"{comment}\" {home} {shell}\n"));
            for member_of in &user.groups {
                files.sysusers.push_str(&format!("m {name} {member_of}\n"));
            }
        }
        files
    }
}

/// Fails when the assembled root has a user or group that the table does not number.
pub fn check_assembled(accounts: &Accounts, root: &Path) -> anyhow::Result<()> {
    let mut missing = BTreeSet::new();
    for (file, section) in [("etc/passwd", "users"), ("etc/group", "groups")] {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        for name in text.lines().filter_map(|line| line.split(':').next()) {
            let known = match section {
                "users" => accounts.users.contains_key(name),
                _ => accounts.groups.contains_key(name),
            };
            if !known {
                missing.insert(format!("accounts.{section}.{name}"));
            }
        }
    }
    anyhow::ensure!(
        missing.is_empty(),
        "image/image.yaml: a package brings users or groups without a fixed number: add {}",
        Vec::from_iter(missing).join(", ")
    );
    Ok(())
}

/// Fails when a sysusers.d(5) file that ships leaves the number of a user or group to the machine: files of
/// `/usr` and of `/etc` would belong to somebody else on each.
pub fn check_sysusers(tree: &Tree) -> anyhow::Result<()> {
    let files = tree
        .0
        .iter()
        .filter(|(path, _)| path.strip_prefix(SYSUSERS).is_some_and(|name| name.ends_with(".conf")));
    for (path, node) in files.filter(|(_, node)| matches!(node.kind, Kind::File(_))) {
        let bytes = node.read().with_context(|| format!("reading {path}"))?;
        for (idx, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [kind, name, rest @ ..] = words.as_slice() else { continue };
            let makes_one = ["u", "u!", "g"].contains(kind);
            let fixed = rest.first().is_some_and(|id| id.starts_with(|first: char| first.is_ascii_digit()));
            anyhow::ensure!(
                !makes_one || fixed,
                "{path}:{}: `{name}` has no fixed number: write one in the third column",
                idx + 1
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::tree::Node;

    const TABLE: &str = "groups: {root: 0, core: 500, docker: 102}\nusers:\n  root: {uid: 0, home: /root, shell: /bin/bash}\n  core: {uid: 500, home: /home/core, shell: /bin/bash, comment: Admin, groups: [docker]}\n";

    #[test]
    fn renders_all_files_by_number() {
        let files = Files::render(&serde_yaml::from_str(TABLE).unwrap());
        expect![[r#"
            root:x:0:0::/root:/bin/bash
            core:x:500:500:Admin:/home/core:/bin/bash
            ---
            root:x:0:
            docker:x:102:core
            core:x:500:
        "#]]
        .assert_eq(&format!("{}---\n{}", files.passwd, files.group));
        assert!(files.sysusers.contains("u core 500:500 \"Admin\" /home/core /bin/bash\nm core docker\n"));
    }

    #[test]
    fn an_overlay_cannot_bring_a_system_user_without_number() {
        let shipping = |text: &str| {
            let mut tree = Tree::default();
            tree.insert("usr/lib/sysusers.d/x.conf", Node::file(text));
            check_sysusers(&tree)
        };
        shipping("# none\nu a 987 \"A\"\ng b 5\nu! c 6:7 -\nm a b\n").unwrap();
        for line in ["u newcomer - \"N\"", "g newcomer -", "u! newcomer", "u newcomer /usr/bin/x"] {
            let err = shipping(&format!("u a 987\n{line}\n")).unwrap_err().to_string();
            assert!(err.contains("x.conf:2: `newcomer`"), "{err}");
        }
    }

    #[test]
    fn names_a_new_system_user() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nnewcomer:x:1:1::/:/bin/sh\n")
            .unwrap();
        fs::write(dir.path().join("etc/group"), "root:x:0:\n").unwrap();
        let err = check_assembled(&serde_yaml::from_str(TABLE).unwrap(), dir.path()).unwrap_err();
        assert!(err.to_string().contains("accounts.users.newcomer"), "{err}");
    }
}
