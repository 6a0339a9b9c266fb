//! The packages of the image and of the tools that build and check it, and the sources that these were built from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{TOOLS, inputs_of};
use crate::command::lock;
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::lock::Row;
use crate::mirror::{self, Mirror};
use crate::release::sources::SourcesLock;
use crate::stage::{fetch, sbom};
use crate::{durable, flags, inputs, release};

/// What is published, found before anything is built: a mirror may have dropped the sources of what is locked.
#[derive(Debug)]
pub struct Found {
    files: BTreeMap<String, PathBuf>,
    sources: SourcesLock,
    mirror: Mirror,
}

/// Gets the packages, and looks up the sources that their control files name.
pub fn find(ctx: &Ctx, args: &flags::Release) -> anyhow::Result<Found> {
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    let files = inputs::get(ctx, &definition, &inputs_of(args), &[], &TOOLS)?.files;
    let mut wanted = BTreeSet::new();
    for path in files.values() {
        ctx.cancel.check()?;
        wanted.insert(sbom::source(path)?);
    }
    let mirror = mirror::find(args.mirror.as_deref(), definition.mirror.as_deref())?;
    let sources = lock::sources(ctx, &definition, &mirror, &wanted)?;
    Ok(Found { files, sources, mirror })
}

/// Puts the packages into their folder, so that nobody needs a mirror for a build, and beside it the lock of their sources;
/// the sources too, where they are wanted.
pub fn put(ctx: &Ctx, args: &flags::Release, found: &Found, work: &Path) -> anyhow::Result<()> {
    let dir = work.join(release::PACKAGES_DIR);
    for (sha256, path) in &found.files {
        ctx.cancel.check()?;
        durable::link_or_copy(path, &dir.join(format!("{sha256}.deb")))?;
    }
    durable::write(&work.join(release::SOURCES_LOCK), found.sources.text().as_bytes())?;
    if args.sources {
        put_sources(ctx, &found.sources, &found.mirror, &work.join(release::SOURCES_DIR))?;
    }
    Ok(())
}

/// Fetches every file of the lock and puts it under the name that the archive has for it.
fn put_sources(ctx: &Ctx, lock: &SourcesLock, mirror: &Mirror, dir: &Path) -> anyhow::Result<()> {
    let rows: Vec<&Row> = lock.rows.iter().collect();
    let fetched = fetch::run(ctx, &fetch::Input { rows, source: fetch::Source::Mirror(mirror) })?;
    if let Some(gone) = fetched.gone.first() {
        anyhow::bail!(
            "the mirror {mirror} lists {} and does not have it: it may be in the middle of an update, try again later",
            gone.path
        );
    }
    for row in &lock.rows {
        let from = fetched.paths.get(&row.sha256).with_context(|| format!("{} was not fetched", row.path))?;
        let to = dir.join(row.path.rsplit('/').next().unwrap_or(&row.path));
        // Two packages may have one upstream tarball in common, never another one by its name.
        if to.exists() {
            let (found, _) = crate::hash::of_file(&to)?;
            anyhow::ensure!(found == row.sha256, "two source files have the name {}", to.display());
            continue;
        }
        durable::link_or_copy(from, &to)?;
    }
    Ok(())
}
