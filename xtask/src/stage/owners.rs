//! Stage `owners`: who owns what, from the packages' archives. Runs beside `rootfs`.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::hash::Key;
use crate::keyed::{self, Timing};
use crate::ownership::{self, Table};

const VERSION: u32 = 1;

/// The locked packages of this image.
#[derive(Debug)]
pub struct Input<'a> {
    /// Key of the set of packages.
    pub packages_key: &'a str,
    /// The verified files.
    pub debs: &'a [PathBuf],
}

/// The remarkable paths.
#[derive(Debug)]
pub struct Output {
    /// By path.
    pub table: Table,
    /// For the build report.
    pub timing: Timing,
}

/// Reads every archive's member list once per set of packages.
pub fn run(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<Output> {
    let mut key = Key::new("owners", VERSION);
    key.add("packages", input.packages_key.as_bytes());
    let (dir, timing) = keyed::run(ctx, "owners", &key.finish(), |work| {
        let table = ownership::of_packages(ctx, input.debs)?;
        crate::durable::write(&work.join("owners.json"), &serde_json::to_vec_pretty(&table)?)
    })?;
    let path = dir.join("owners.json");
    let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let table = serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
    Ok(Output { table, timing })
}
