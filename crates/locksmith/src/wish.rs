//! An operator's wish for a reboot: a file that `locksmithctl reboot` leaves and the daemon looks at. It ends with the
//! boot.

use std::fs;

use agent_support::host::Host;
use anyhow::Context as _;
use locksmith_core::order::Wish;

/// The file.
pub const FILE: &str = "/run/locksmith/reboot-wish";

/// Says that a reboot is wanted.
///
/// # Errors
/// When the file cannot be written.
pub fn make(host: &Host) -> anyhow::Result<()> {
    let path = host.path(FILE);
    let folder = path.parent().context("the file of the wish has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(&path, "").with_context(|| format!("writing {FILE}"))
}

/// Takes the wish back. Returns whether there was one.
///
/// # Errors
/// When the file cannot be removed.
pub fn withdraw(host: &Host) -> anyhow::Result<bool> {
    match fs::remove_file(host.path(FILE)) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err).with_context(|| format!("removing {FILE}")),
    }
}

/// Returns what is wanted.
pub fn look(host: &Host) -> Wish {
    if host.path(FILE).exists() { Wish::Reboot } else { Wish::None }
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn a_wish_stays_until_it_is_withdrawn() {
        let tree = Tree::new();
        assert_eq!(look(&tree.host), Wish::None);
        make(&tree.host).unwrap();
        make(&tree.host).unwrap();
        assert_eq!(look(&tree.host), Wish::Reboot);
        assert!(withdraw(&tree.host).unwrap());
        assert!(!withdraw(&tree.host).unwrap());
        assert_eq!(look(&tree.host), Wish::None);
    }
}
