//! `slipway bless`: takes the counter off the name of the entry that this boot was started from, in place of
//! systemd-bless-boot(8), whose rename a power cut can turn into an empty entry.

use agent_support::boot;
use agent_support::esp;
use agent_support::host::Host;
use anyhow::Context;

/// Renames the entry; one that is not counted, or no more, stays as it is.
pub fn run(host: &Host) -> anyhow::Result<()> {
    if !boot::was_counted(host)? {
        return Ok(());
    }
    let entry = boot::current(host)?.entry;
    let blessed = entry.after_blessing();
    if blessed == entry {
        return Ok(());
    }
    let (from, to) = (entry.to_string(), blessed.to_string());
    esp::rename_entry_in_any_way(host, &from, &to).with_context(|| format!("blessing {entry}"))?;
    println!("{entry} is blessed: {blessed}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn the_counter_goes_from_the_entry_of_this_boot() {
        let tree = Tree::new();
        tree.file("/efi/EFI/Linux/slipway_1.0.0.efi", "old");
        tree.file("/efi/EFI/Linux/slipway_2.0.0+2-1.efi", "new");
        tree.loader_variable("LoaderBootCountPath", "\\EFI\\Linux\\slipway_2.0.0+2-1.efi");
        run(&tree.host).unwrap();
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), ["slipway_1.0.0.efi", "slipway_2.0.0.efi"]);
    }

    #[test]
    fn a_boot_that_is_not_counted_needs_no_blessing() {
        let tree = Tree::new();
        tree.file("/efi/EFI/Linux/slipway_1.0.0.efi", "old");
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi");
        run(&tree.host).unwrap();
        assert_eq!(tree.host.list("/efi/EFI/Linux").unwrap(), ["slipway_1.0.0.efi"]);
    }
}
