//! What goes onto the `oem` of the new disk: what is on that of this one, with another cloud-config where one is given.

use std::fs;
use std::path::Path;

use agent_support::host::{self, Host};
use agent_support::topology::LINKS_DIR;
use anyhow::{Context, ensure};

use super::Files;
use crate::tools;

/// Where `oem` is mounted.
const OEM: &str = "/oem";
/// The file that a machine applies at each start.
const CONFIG: &str = "cloud-config.yml";
/// Checks it, as it applies it.
const CLOUDINIT: &str = "/usr/bin/slipway-cloudinit";
/// Most bytes of all files together: they are kept in memory.
const TOTAL_MAX: u64 = 64 << 20;

/// Returns the files. A cloud-config with errors is refused, because a machine does nothing of it.
pub fn collect(host: &Host, config: Option<&Path>) -> anyhow::Result<Files> {
    let mut files = of_this_disk(host)?;
    if let Some(path) = config {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        files.retain(|(name, _)| !name.eq_ignore_ascii_case(CONFIG));
        files.insert(0, (CONFIG.to_owned(), bytes));
    }
    if let Some((name, bytes)) = config_of(&files) {
        let shown = config.map_or_else(|| format!("{OEM}/{name}"), |path| path.display().to_string());
        let checked = tools::cloudinit_validate(&host.path(CLOUDINIT), bytes)?;
        checked.lines.iter().for_each(|line| eprintln!("{}", line.replacen('-', &shown, 1)));
        ensure!(
            checked.is_right,
            "{shown} has errors and would change nothing: correct them first, or give another one with --cloud-config"
        );
    }
    Ok(files)
}

/// Says what was found.
pub fn say(files: &[(String, Vec<u8>)]) {
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        eprintln!("oem    is empty");
    } else {
        eprintln!("oem    has {}", names.join(", "));
    }
    if config_of(files).is_none() {
        eprintln!(
            "note: without a {CONFIG} nobody can log in, unless the machine finds user data elsewhere: --cloud-config \
             gives it one"
        );
    }
}

fn config_of(files: &[(String, Vec<u8>)]) -> Option<&(String, Vec<u8>)> {
    files.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONFIG))
}

fn of_this_disk(host: &Host) -> anyhow::Result<Files> {
    let mounts = host.read("/proc/self/mountinfo")?.unwrap_or_default();
    let is_mounted = mounts.lines().any(|line| line.split(' ').nth(4) == Some(OEM));
    ensure!(
        is_mounted || !host.path(LINKS_DIR).join("oem").exists(),
        "{OEM} is not mounted: `systemctl start oem.mount`, so that what is there can be taken along"
    );
    let (mut files, mut left) = (vec![], TOTAL_MAX);
    if is_mounted {
        add(&host.path(OEM), "", &mut files, &mut left)?;
    }
    Ok(files)
}

/// Adds the files below a folder, in order of their names.
fn add(dir: &Path, below: &str, files: &mut Files, left: &mut u64) -> anyhow::Result<()> {
    for name in host::sorted_names(dir)? {
        let (path, name) = (dir.join(&name), format!("{below}{name}"));
        let meta = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        if meta.is_dir() {
            add(&path, &format!("{name}/"), files, left)?;
            continue;
        }
        let rest = left.checked_sub(meta.len());
        *left =
            rest.with_context(|| format!("{OEM} has more than {TOTAL_MAX} bytes: remove files from it"))?;
        files.push((name, fs::read(&path).with_context(|| format!("reading {}", path.display()))?));
    }
    Ok(())
}
