//! What this boot is: which entry the boot loader took, and whether it counts its tries.

use anyhow::Context;
use slots::EntryName;

use crate::host::Host;

/// Exists once all health checks have passed in this boot.
pub const COMPLETE_FILE: &str = "/run/slipway/boot-complete";
/// Why the health checks failed in this boot; exists only then.
pub const HEALTH_FAILED_FILE: &str = "/run/slipway/health-failed";
/// Left by our units in the initrd: why one of them failed.
pub const INITRD_FAILED_FILE: &str = "/run/slipway/initrd-failed";

/// Whether the boot loader counts this boot's tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootKind {
    /// The entry has a counter and this boot was not yet found good.
    Counted,
    /// The entry has no counter, or this boot was found good already.
    Blessed,
}

/// The entry that this boot was started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Its name as the boot loader left it, tries of this boot included.
    pub entry: EntryName,
    /// Whether the tries are counted and this boot was not yet found good.
    pub kind: BootKind,
}

impl Boot {
    /// Returns the number of this try: 1 for the first; 0 for an entry that is not counted.
    pub fn number(&self) -> u32 {
        self.entry.tries_done()
    }

    /// Returns the version as text, as used in file names.
    pub fn version(&self) -> String {
        self.entry.version.to_string()
    }
}

/// Returns whether the boot loader counted this boot's try, also when the entry is blessed by now.
pub fn was_counted(host: &Host) -> anyhow::Result<bool> {
    Ok(host.loader_variable("LoaderBootCountPath")?.is_some())
}

/// Returns what this boot is.
///
/// Once the health checks have passed the boot counts as blessed: whatever fails later is no reason to fall back.
pub fn current(host: &Host) -> anyhow::Result<Boot> {
    if let Some(path) = host.loader_variable("LoaderBootCountPath")? {
        let file = path.rsplit(['\\', '/']).next().unwrap_or_default();
        let entry = parse_entry(file).with_context(|| format!("parsing LoaderBootCountPath `{path}`"))?;
        let passed = host.path(COMPLETE_FILE).exists();
        return Ok(Boot { entry, kind: if passed { BootKind::Blessed } else { BootKind::Counted } });
    }
    let id = host
        .loader_variable("LoaderEntrySelected")?
        .context("the boot loader did not say what it started (no LoaderEntrySelected)")?;
    let entry = parse_entry(&id).with_context(|| format!("parsing LoaderEntrySelected `{id}`"))?;
    Ok(Boot { entry, kind: BootKind::Blessed })
}

/// Parses the name of an entry of whatever product: that of the entry we were started from is ours.
fn parse_entry(file: &str) -> anyhow::Result<EntryName> {
    let product = file.split('_').next().unwrap_or_default();
    Ok(EntryName::parse(product, file)?)
}

/// Returns the entry among `entries` that this boot was started from, whatever its counter says by now.
pub fn find_entry<'a>(entries: &'a [EntryName], boot: &Boot) -> Option<&'a EntryName> {
    entries.iter().find(|entry| entry.version == boot.entry.version)
}

/// Returns whether an entry other than that of this boot has no counter.
pub fn other_blessed(entries: &[EntryName], boot: &Boot) -> bool {
    entries.iter().any(|entry| entry.version != boot.entry.version && entry.is_blessed())
}

/// Returns seconds since 1970 by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "a record on a machine says when; builds do not run this")]
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
