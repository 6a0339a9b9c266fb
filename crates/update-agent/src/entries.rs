//! The boot entries and the boot loader on the ESP, as an update sees them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use agent_support::boot::Boot;
use agent_support::host::Host;
use agent_support::{boot, esp};
use anyhow::Context;
use payload::Digest;
use slots::EntryName;

use crate::fetch::spool::sha256_of;

/// Folder of the entries, below the mount point of the ESP.
pub const ENTRIES_DIR: &str = "EFI/Linux";
/// What firmware starts, and the copy where systemd's own tools look for it.
pub const LOADER_FILES: [&str; 2] = ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"];

/// What is on the ESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    /// What this boot is.
    pub boot: Boot,
    /// The entry of this boot, as it is called now.
    pub running: EntryName,
    /// Those of other versions.
    pub others: Vec<EntryName>,
    /// Bytes free once the others are gone.
    pub free: u64,
}

/// Looks at the ESP.
pub fn look(host: &Host) -> anyhow::Result<Entries> {
    let boot = boot::current(host)?;
    esp::read(host, |mounted| {
        let entries = esp::entries(mounted, &boot.entry.product)?;
        // A power cut while an entry was renamed can leave it with two names; then the blessed one counts.
        let own: Vec<_> = entries.iter().filter(|entry| entry.version == boot.entry.version).collect();
        let running = own.iter().find(|entry| entry.is_blessed()).or(own.first()).with_context(|| {
            format!("the EFI system partition has no entry of version {}, which runs", boot.version())
        })?;
        let others = entries.iter().filter(|entry| entry.version != running.version).cloned();
        let others: Vec<_> = others.collect();
        let stat =
            rustix::fs::statvfs(mounted).context("asking for the space on the EFI system partition")?;
        let mut free = stat.f_bavail.saturating_mul(stat.f_frsize);
        for entry in &others {
            let path = path_of(mounted, entry);
            free += fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?.len();
        }
        Ok(Entries { running: (*running).clone(), others, free, boot: boot.clone() })
    })
    .context("looking at the boot entries")
}

impl Entries {
    /// Refuses unless the version that runs was found good: its slot is the one to fall back to.
    pub fn check_blessed(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.running.is_blessed(),
            "the entry that runs, {}, is not blessed: nothing is written before its health checks have passed, or before \
             a reboot after a rollback",
            self.running
        );
        Ok(())
    }
}

/// Returns the path of an entry.
pub fn path_of(esp: &Path, entry: &EntryName) -> PathBuf {
    esp.join(ENTRIES_DIR).join(entry.to_string())
}

/// Returns whether both boot loaders on the ESP are the one with this hash.
pub fn has_loader(host: &Host, sha256: Digest) -> anyhow::Result<bool> {
    esp::read(host, |esp| {
        Ok(LOADER_FILES.iter().all(|name| {
            // One that is missing or unreadable is not the same.
            File::open(esp.join(name)).and_then(sha256_of).is_ok_and(|found| found == sha256)
        }))
    })
    .context("looking at the boot loader")
}
