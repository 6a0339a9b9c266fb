//! `cargo xtask report`: one page that shows what an image consists of and how it differs from another.

pub mod components;
pub mod difference;
mod drawing;
pub mod page;
mod sections;
pub mod text;
mod treemap;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::keyed::Timing;
use crate::manifest::Manifest;
use crate::{durable, flags};

/// Writes `report.html` beside the manifest, or where `--out` says.
pub fn run(ctx: &Ctx, args: &flags::Report) -> anyhow::Result<()> {
    let path = match &args.manifest {
        Some(path) => path.clone(),
        None => newest(&ctx.target.join("image"))?,
    };
    let manifest: Manifest = read(&path)?;
    let dir = path.parent().context("the manifest has no folder")?;
    let timings = dir.join("build-report.json");
    let stages: Vec<Timing> = if timings.is_file() { read(&timings)? } else { Vec::new() };
    let against: Option<Manifest> = args.against.as_deref().map(read).transpose()?;
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    let html = page::render(&page::Page {
        manifest: &manifest,
        stages: &stages,
        components: &components::of(&definition, &manifest),
        budgets: &budgets(&definition, &manifest),
        against: against.as_ref(),
    });
    let out = args.out.clone().unwrap_or_else(|| dir.join("report.html"));
    durable::write(&out, html.as_bytes())?;
    ctx.log.line(&format!("wrote {}", out.display()));
    Ok(())
}

/// The manifest that `latest` in the folder leads to.
pub fn newest(dir: &Path) -> anyhow::Result<PathBuf> {
    let link = dir.join("latest");
    link.canonicalize().with_context(|| {
        format!("finding the newest manifest behind {}: run `cargo xtask build-image`", link.display())
    })
}

/// Upper bounds by role of the artifact; which of the two holds is seen from the packages.
pub fn budgets(definition: &Definition, manifest: &Manifest) -> BTreeMap<String, u64> {
    let has = |name: &str| manifest.packages.iter().any(|package| package.name == name);
    let left_out = definition
        .packages
        .iter()
        .filter(|(_, group)| group.optional && !group.packages.iter().any(|name| has(&name.value)));
    let without: Vec<String> = left_out.map(|(name, _)| name.clone()).collect();
    let rows = [("usr", &definition.budgets.usr), ("uki", &definition.budgets.uki)];
    rows.map(|(role, budget)| (role.to_owned(), budget.limit(&without).1)).into()
}

fn read<T: DeserializeOwned>(path: impl AsRef<Path>) -> anyhow::Result<T> {
    let path = path.as_ref();
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
}
