//! `slipway stage`: how far this counted boot has come, recorded on the ESP.

use agent_support::boot::{self, Boot, BootKind};
use agent_support::esp;
use agent_support::host::Host;
use agent_support::tries::{self, Stage, Try};
use anyhow::Context;

/// Records `stage` for this boot; does nothing on a boot that is not counted.
pub fn run(host: &Host, stage: Stage) -> anyhow::Result<()> {
    let boot = boot::current(host)?;
    if boot.kind == BootKind::Blessed {
        return Ok(());
    }
    record(host, &boot, stage, "").with_context(|| format!("recording the stage `{}`", stage.name()))
}

/// Stores the record of this boot's try; a stage reached earlier is not taken back.
pub fn record(host: &Host, boot: &Boot, stage: Stage, reason: &str) -> anyhow::Result<()> {
    let (version, number) = (boot.version(), boot.number());
    let tries = esp::visit(host, |esp| tries::load(&esp.join(tries::TRIES_DIR), &version))?;
    let before = tries.into_iter().find(|record| record.number == number);
    let stage = before.map_or(stage, |before| before.stage.max(stage));
    let record = Try { number, stage, reason: reason.to_owned(), time: boot::now() };
    tries::store_on_esp(host, &version, record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn a_counted_boot_is_recorded_under_its_version_and_try() {
        let tree = Tree::new();
        tree.loader_variable("LoaderBootCountPath", "\\EFI\\Linux\\slipway_1.0.0+1-2.efi");
        run(&tree.host, Stage::Initrd).unwrap();
        run(&tree.host, Stage::Userspace).unwrap();
        run(&tree.host, Stage::Root).unwrap();
        let tries = tries::load(&tree.host.path("/efi/slipway/tries"), "1.0.0").unwrap();
        assert_eq!(tries.len(), 1);
        assert_eq!((tries[0].number, tries[0].stage, tries[0].reason.as_str()), (2, Stage::Userspace, ""));
    }

    #[test]
    fn a_blessed_boot_writes_nothing() {
        let tree = Tree::new();
        tree.loader_variable("LoaderEntrySelected", "slipway_1.0.0.efi");
        run(&tree.host, Stage::Initrd).unwrap();
        assert!(!tree.host.path("/efi").exists());
    }
}
