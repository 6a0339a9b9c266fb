//! Units that a cluster placed on this machine. They come from elsewhere and say nothing of a version: they may fail,
//! and they may take as long as fetching a container's image takes.

use std::collections::BTreeSet;

use agent_support::host::Host;

/// Where fleet has the files of the units that it placed here (its setting `units_directory`).
const FOLDER: &str = "/run/fleet/units";

/// Names of the units.
#[derive(Debug, Default)]
pub struct Placed(BTreeSet<String>);

impl Placed {
    /// Reads which there are now; none where fleet does not run.
    pub fn read(host: &Host) -> anyhow::Result<Self> {
        Ok(Self(host.list(FOLDER)?.into_iter().collect()))
    }

    /// Returns whether this is one of them.
    pub fn has(&self, unit: &str) -> bool {
        self.0.contains(unit)
    }

    /// Some, for tests.
    #[cfg(test)]
    pub fn of<const N: usize>(units: [&str; N]) -> Self {
        Self(units.map(str::to_owned).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn what_lies_in_the_folder_of_fleet_is_placed() {
        let tree = Tree::new();
        assert!(!Placed::read(&tree.host).unwrap().has("foo.service"));
        tree.file("/run/fleet/units/foo.service", "[Service]\n");
        let placed = Placed::read(&tree.host).unwrap();
        assert!(placed.has("foo.service") && !placed.has("bar.service"));
    }
}
