//! Whether the service manager must read its files anew, which takes it seconds while a machine starts.
//!
//! It reads a unit's files when it first hears of the unit, and looks for new ones then. So only units that it has
//! read already need that; early in a start those of the configuration are not among them.

use std::collections::BTreeSet;

use crate::plan::unit_file_name;

use super::tree::{Found, Tree};

const FOLDERS: [&str; 2] = ["/etc/systemd/system/", "/run/systemd/system/"];
/// Where the files of units are that others gave.
const VENDOR: [&str; 2] = ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];
/// Where they are that programs made while the machine starts or runs.
const GENERATED: [&str; 6] = [
    "/run/systemd/generator",
    "/run/systemd/generator.early",
    "/run/systemd/generator.late",
    "/run/systemd/transient",
    "/etc/systemd/system.attached",
    "/run/systemd/system.attached",
];
/// What the service manager knows only from files.
const ONLY_FILES: [&str; 5] = [".service", ".socket", ".timer", ".path", ".target"];

/// The unit that a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of<'a> {
    /// None: it says when a unit is wanted, which this start has decided already.
    None,
    /// One.
    One(&'a str),
    /// All of a kind or with a common start of their names.
    Many,
}

fn unit_of(path: &str) -> Of<'_> {
    let Some(below) = FOLDERS.iter().find_map(|folder| path.strip_prefix(folder)) else { return Of::None };
    let Some((folder, _)) = below.split_once('/') else { return Of::One(below) };
    let Some(name) = folder.strip_suffix(".d") else { return Of::None };
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.ends_with('-') => Of::One(name),
        _ => Of::Many,
    }
}

/// Tells whether a changed file can be of a unit that was read, without asking for those.
///
/// A unit that had no file before can only have been looked for in vain, and is looked for again once it has one.
/// `made` are those of the changed files where nothing was before.
pub fn may_be_needed(
    tree: &Tree,
    changed: &BTreeSet<String>,
    made: &BTreeSet<String>,
) -> anyhow::Result<bool> {
    for path in changed {
        let may_be_read = match unit_of(path) {
            Of::None => false,
            Of::Many => true,
            Of::One(name) => !made.contains(path) || had_file(tree, name, made)?,
        };
        if may_be_read {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether a unit can have been known before the files of `made` were there.
fn had_file(tree: &Tree, name: &str, made: &BTreeSet<String>) -> anyhow::Result<bool> {
    if !ONLY_FILES.iter().any(|end| name.ends_with(end)) {
        return Ok(true);
    }
    let file = unit_file_name(name);
    let own = FOLDERS.iter().map(|folder| folder.trim_end_matches('/'));
    for folder in own.chain(VENDOR).chain(GENERATED) {
        for path in [format!("{folder}/{name}"), format!("{folder}/{file}")] {
            if !made.contains(&path) && tree.find(&path)? != Found::Nothing {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Tells whether one of the changed files is of a unit that was read; `read` are the names of those.
pub fn is_needed(tree: &Tree, changed: &BTreeSet<String>, read: &BTreeSet<String>) -> anyhow::Result<bool> {
    for path in changed {
        let is_read = match unit_of(path) {
            Of::None => false,
            Of::Many => true,
            Of::One(name) => {
                read.iter().any(|unit| unit == name || unit_file_name(unit) == name) || is_alias(tree, name)?
            }
        };
        if is_read {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether a unit has another name too, by which it may have been read.
fn is_alias(tree: &Tree, name: &str) -> anyhow::Result<bool> {
    let own = FOLDERS.iter().map(|folder| folder.trim_end_matches('/'));
    for folder in own.chain(VENDOR) {
        if let Found::Link(target) = tree.find(&format!("{folder}/{name}"))? {
            return Ok(target != "/dev/null");
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_units() {
        for (path, unit) in [
            ("/etc/systemd/system/a.service", Of::One("a.service")),
            ("/run/systemd/system/a@.service.d/b.conf", Of::One("a@.service")),
            ("/etc/systemd/system/multi-user.target.wants/a.service", Of::None),
            ("/etc/systemd/system/service.d/b.conf", Of::Many),
            ("/etc/systemd/system/a-.service.d/b.conf", Of::Many),
            ("/etc/hosts", Of::None),
        ] {
            assert_eq!(unit_of(path), unit, "{path}");
        }
    }

    #[test]
    fn only_units_that_were_read_are_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let system = dir.path().join("usr/lib/systemd/system");
        std::fs::create_dir_all(&system).unwrap();
        std::os::unix::fs::symlink("ssh.service", system.join("sshd.service")).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let needed = |path: &str, read: &[&str]| is_needed(&tree, &names(&[path]), &names(read)).unwrap();
        assert!(!needed("/run/systemd/system/etcd.service.d/x.conf", &["docker.service"]));
        assert!(needed("/run/systemd/system/docker.service.d/x.conf", &["docker.service"]));
        assert!(needed("/etc/systemd/system/a@.service", &["a@b.service"]));
        assert!(needed("/etc/systemd/system/sshd.service.d/x.conf", &["ssh.service"]), "another name of it");
    }

    #[test]
    fn a_unit_that_had_no_file_cannot_have_been_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = |path: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        for path in [
            "usr/lib/systemd/system/vendor.service",
            "usr/lib/systemd/system/many@.service",
            "run/systemd/generator/made-up.service",
            "etc/systemd/system/new.service",
            "etc/systemd/system/old.service",
            "etc/systemd/system/home.mount",
        ] {
            file(path);
        }
        let tree = Tree::open(dir.path()).unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let may =
            |changed: &[&str], made: &[&str]| may_be_needed(&tree, &names(changed), &names(made)).unwrap();
        let made = |path: &str| may(&[path], &[path]);
        assert!(!made("/etc/systemd/system/new.service"));
        assert!(!made("/etc/systemd/system/multi-user.target.wants/old.service"), "says when, not what");
        let both = ["/etc/systemd/system/new.service", "/etc/systemd/system/new.service.d/a.conf"];
        assert!(!may(&both, &both));
        assert!(may(&both, &both[1..]), "it was another file before");
        assert!(made("/etc/systemd/system/old.service.d/a.conf"));
        assert!(made("/run/systemd/system/vendor.service.d/a.conf"));
        assert!(made("/run/systemd/system/vendor.service"), "it hides the version's own");
        assert!(made("/run/systemd/system/many@1.service.d/a.conf"));
        assert!(made("/etc/systemd/system/made-up.service.d/a.conf"));
        assert!(made("/etc/systemd/system/home.mount"), "what is mounted is a unit without a file");
        assert!(made("/etc/systemd/system/service.d/a.conf"));
    }
}
