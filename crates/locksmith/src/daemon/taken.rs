//! That this machine took a slot and has not given it back: a file that outlives the boot. By it a machine whose
//! strategy asks no etcd knows that it has to, once.

use std::fs;

use agent_support::durable;
use agent_support::host::Host;

/// The file.
const FILE: &str = "/var/lib/locksmith/slot-taken";

/// Whether the file is there, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Taken {
    known: Option<bool>,
}

impl Taken {
    /// Returns whether a slot was taken and not given back.
    pub(super) fn is_marked(&mut self, host: &Host) -> bool {
        *self.known.get_or_insert_with(|| host.path(FILE).exists())
    }

    /// Notes that a slot is about to be taken.
    pub(super) fn mark(&mut self, host: &Host) -> anyhow::Result<()> {
        if !self.is_marked(host) {
            durable::write(&host.path(FILE), b"")?;
            self.known = Some(true);
        }
        Ok(())
    }

    /// Notes that none is held.
    pub(super) fn clear(&mut self, host: &Host) {
        if self.is_marked(host) {
            // A file that stays makes etcd be asked once more after the next start.
            let _ = fs::remove_file(host.path(FILE));
            self.known = Some(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn a_slot_is_remembered_over_the_boot_until_it_is_given_back() {
        let tree = Tree::new();
        let mut taken = Taken::default();
        assert!(!taken.is_marked(&tree.host));
        taken.mark(&tree.host).unwrap();
        taken.mark(&tree.host).unwrap();
        let mut after_boot = Taken::default();
        assert!(after_boot.is_marked(&tree.host));
        after_boot.clear(&tree.host);
        after_boot.clear(&tree.host);
        assert!(!after_boot.is_marked(&tree.host) && !Taken::default().is_marked(&tree.host));
    }
}
