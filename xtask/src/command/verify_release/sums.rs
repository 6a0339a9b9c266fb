//! The files that the sums name, and no other, with these sums.

use std::collections::BTreeMap;
use std::path::Path;

use payload::sums::{SIGNATURE_FILE, SUMS_FILE};

use crate::ctx::Ctx;
use crate::release::sums;

/// Files that an error names.
const NAMED: usize = 20;

/// Fails with the name of every file that is missing, changed, or of no release.
pub fn check(ctx: &Ctx, dir: &Path, signed: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let mut files = sums::files(dir)?;
    for name in [SUMS_FILE, SIGNATURE_FILE] {
        files.remove(name);
    }
    let mut wrong: Vec<String> = signed
        .keys()
        .filter(|name| !files.contains_key(*name))
        .map(|name| format!("{name} is missing"))
        .collect();
    wrong.extend(
        files.keys().filter(|name| !signed.contains_key(*name)).map(|name| format!("{name} is not signed")),
    );
    files.retain(|name, _| signed.contains_key(name));
    let spinner = ctx.log.spinner("sums");
    let found = sums::of_files(&files, &ctx.cancel, |_| ());
    spinner.finish_and_clear();
    let changed = found?.into_iter().filter(|(name, sum)| signed.get(name) != Some(sum));
    wrong.extend(changed.map(|(name, _)| format!("{name} has other bytes than the signed ones")));
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(NAMED);
    wrong.truncate(NAMED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    anyhow::bail!(
        "the files are not those of the signed sums: {}{more}: get the release again",
        wrong.join("; ")
    )
}
