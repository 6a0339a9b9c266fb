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
}
