//! Health check: the programs that the image and the administrator put into `health.d` succeed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use agent_support::host::Host;

use super::Look;
use super::last_good::LastGood;
use crate::tools;

/// Folders of check programs; of two with one name the later folder's runs, as with unit files.
const DIRS: [&str; 2] = ["/usr/lib/slipway/health.d", "/etc/slipway/health.d"];
/// Longest that one program may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs every program, in order of names; the first that fails is the error.
pub fn check(look: &Look<'_>, _seen: &mut LastGood) -> anyhow::Result<()> {
    for (name, path) in programs(look.host)? {
        tools::health_program(&path, look.budget.look(TIMEOUT)).map_err(|err| err.context(name))?;
    }
    Ok(())
}

/// Returns the programs by name. A file that is not executable switches off the one that it hides.
fn programs(host: &Host) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut programs = BTreeMap::new();
    for dir in DIRS {
        for name in host.list(dir)? {
            programs.insert(name.clone(), host.path(dir).join(name));
        }
    }
    programs.retain(|_, path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    });
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;
    use std::fs;

    fn program(tree: &Tree, path: &str, text: &str, mode: u32) {
        tree.file(path, text);
        fs::set_permissions(tree.host.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn run(tree: &Tree) -> anyhow::Result<()> {
        check(&Look::at(&tree.host), &mut LastGood::default())
    }

    #[test]
    fn the_administrators_program_replaces_the_images() {
        let tree = Tree::new();
        program(&tree, "/usr/lib/slipway/health.d/app", "#!/bin/sh\nexit 1\n", 0o755);
        assert!(run(&tree).is_err());
        program(&tree, "/etc/slipway/health.d/app", "#!/bin/sh\nexit 0\n", 0o755);
        run(&tree).unwrap();
        program(&tree, "/etc/slipway/health.d/app", "", 0o644);
        run(&tree).unwrap();
    }

    #[test]
    fn a_failing_program_is_reported_with_its_name_and_words() {
        let tree = Tree::new();
        program(&tree, "/etc/slipway/health.d/10-db", "#!/bin/sh\necho no database\nexit 7\n", 0o755);
        let err = format!("{:#}", run(&tree).unwrap_err());
        assert_eq!(err, "10-db: running timeout: exit status: 7: no database");
    }
}
