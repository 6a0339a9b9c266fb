//! What an interrupted write leaves in the folder of the boot entries: today's agent leaves clusters without a name
//! there at worst, which the next repair frees; that of an older version leaves names.

use std::path::Path;

use agent_support::host::{Host, sorted_names};
use agent_support::{durable, esp};
use anyhow::Context;

use crate::entries::ENTRIES_DIR;

/// End of the name of a file that an agent of an older version put aside.
const SHARED_SUFFIX: &str = ".shared";

/// Removes what was being written when the agent or the machine died.
pub fn clean(host: &Host) -> anyhow::Result<()> {
    let names = esp::read(host, find).context("looking for what an interrupted update left")?;
    if names.is_empty() {
        return Ok(());
    }
    esp::remove_files(host, ENTRIES_DIR, &names).context("removing what an interrupted update left")
}

fn find(esp: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = sorted_names(&esp.join(ENTRIES_DIR))?;
    let partial = format!(".efi{}", durable::PARTIAL_SUFFIX);
    names.retain(|name| name.contains(&partial) || name.ends_with(SHARED_SUFFIX));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn what_was_being_written_goes_and_entries_stay() {
        let stays = ["notes.txt", "slipway_1.0.0.efi", "slipway_2.0.0+3.efi"];
        let goes =
            ["slipway_2.0.0+3.efi.partial", "slipway_2.0.0+3.efi.partial.1", "slipway_1.0.0.efi.shared"];
        let tree = Tree::new();
        for name in stays.iter().chain(&goes) {
            tree.file(&format!("/efi/EFI/Linux/{name}"), "x");
        }
        clean(&tree.host).unwrap();
        clean(&tree.host).unwrap();
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), stays);
    }
}
