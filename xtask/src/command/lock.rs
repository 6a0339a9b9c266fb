//! `cargo xtask lock`: resolves the definition's package names to exact files, from nothing but the mirror.
//!
//! Our own code checks the archive's signatures and indexes and closes over the tools; apt from the tools
//! tree that this gives then resolves the image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use deb::closure::{self, ClosureError, Universe};

use crate::ctx::Ctx;
use crate::definition::{self, Definition};
use crate::flags;
use crate::hash;
use crate::lock::{Difference, IMAGE, Lock, Row};
use crate::mirror::{self, Mirror};
use crate::release::sources::SourcesLock;
use crate::sbom::Source;
use crate::stage::{fetch, tools};

mod apt;
mod archive;

use archive::Archive;

/// Group of the definition's `tools` that holds apt.
pub const BUILD_TOOLS: &str = "build";

/// The two lock files of a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locks {
    /// What goes into the image.
    pub packages: Lock,
    /// What the tools trees are made of.
    pub tools: Lock,
}

impl Locks {
    /// Reads both files of the folder `image/`.
    pub fn read(image: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            packages: Lock::read(&image.join("packages.lock"))?,
            tools: Lock::read(&image.join("tools.lock"))?,
        })
    }

    /// Writes both files, each whole or not at all.
    pub fn write(&self, image: &Path) -> anyhow::Result<()> {
        self.packages.write(&image.join("packages.lock"))?;
        self.tools.write(&image.join("tools.lock"))
    }

    /// Tells whether they were made from this definition.
    pub fn fit(&self, definition: &Definition) -> bool {
        let wanted = hash::of_bytes(&definition.lock_inputs());
        [&self.packages, &self.tools].iter().all(|lock| lock.definition == wanted)
    }
}

/// Runs `cargo xtask lock`.
pub fn run(ctx: &Ctx, args: &flags::Lock) -> anyhow::Result<()> {
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    let mirror = mirror::find(args.mirror.as_deref(), definition.mirror.as_deref())?;
    update(ctx, &definition, &mirror)?;
    Ok(())
}

/// Resolves anew, writes both lock files and prints how they differ from the old ones.
pub fn update(ctx: &Ctx, definition: &Definition, mirror: &Mirror) -> anyhow::Result<Locks> {
    let image = ctx.image_dir();
    // An old lock that is missing or of another format is no reason not to make a new one.
    let old = |name: &str| Lock::read(&image.join(name)).map(|lock| lock.rows).unwrap_or_default();
    let old = [("packages.lock", old("packages.lock")), ("tools.lock", old("tools.lock"))];
    let locks = resolve(ctx, definition, mirror)?;
    locks.write(&image)?;
    for ((name, old), new) in old.iter().zip([&locks.packages.rows, &locks.tools.rows]) {
        let difference = Difference::between(old, new);
        let size: u64 = new.iter().map(|row| row.size).sum();
        let summary = match difference.lines.len() {
            _ if old.is_empty() => "all new".to_owned(),
            0 => "nothing changed".to_owned(),
            n => format!("{n} changes"),
        };
        ctx.log.line(&format!("lock: {name}: {} packages, {} MB, {summary}", new.len(), size / 1_000_000));
        for line in difference.lines.iter().filter(|_| !old.is_empty()) {
            ctx.log.line(&format!("  {line}"));
        }
    }
    Ok(locks)
}

/// Resolves both locks and writes none.
pub fn resolve(ctx: &Ctx, definition: &Definition, mirror: &Mirror) -> anyhow::Result<Locks> {
    ctx.log.line(&format!("lock: resolving anew from {mirror}"));
    let archive = archive::load(ctx, definition, mirror, now()?)?;
    ctx.cancel.check()?;
    let universe = Universe::new(archive.packages());
    check_names(definition, &universe)?;
    let definition_hash = hash::of_bytes(&definition.lock_inputs());
    let lock = |rows| Lock { time: archive.time, definition: definition_hash.clone(), rows };

    let tools = lock(tool_rows(definition, &archive, &universe)?);
    let tree = build_tree(ctx, mirror, &tools)?;
    let packages = lock(image_rows(ctx, definition, &archive, &tree)?);
    Ok(Locks { packages, tools })
}

/// Looks up the files of source packages in the archive's signed indexes. Fails with those that the mirror has no longer.
pub fn sources(
    ctx: &Ctx,
    definition: &Definition,
    mirror: &Mirror,
    wanted: &BTreeSet<Source>,
) -> anyhow::Result<SourcesLock> {
    let found = archive::load_sources(ctx, definition, mirror, wanted, now()?)?;
    let there = found.sources();
    let gone: Vec<String> =
        wanted.difference(&there).map(|source| format!("{} {}", source.name, source.version)).collect();
    if !gone.is_empty() {
        bail!(
            "the mirror {mirror} no longer has the sources of {} locked packages: {} (run `cargo xtask lock` and commit the \
             result)",
            gone.len(),
            gone.join(", ")
        );
    }
    Ok(found)
}

/// Closes every group of tools over itself.
fn tool_rows(
    definition: &Definition,
    archive: &Archive,
    universe: &Universe<'_>,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = BTreeMap::new();
    for (group, wanted) in &definition.tools {
        let closed = closure::close(universe, &definition::names(wanted)).map_err(|err| match err {
            err @ ClosureError::Unmet { .. } => anyhow::Error::new(err).context(
                "the mirror's suites do not fit together; it may be in the middle of an update, try again later",
            ),
            err @ ClosureError::Unknown(_) => err.into(),
        });
        for package in
            closed.with_context(|| format!("closing over the tools of group `{group}`"))?.into_values()
        {
            add(&mut rows, archive.row(package), group);
        }
    }
    Ok(rows.into_values().collect())
}

/// Fetches and unpacks the tree that apt is in.
fn build_tree(ctx: &Ctx, mirror: &Mirror, tools: &Lock) -> anyhow::Result<tools::Output> {
    let rows: Vec<&Row> = tools.rows_of(&[BUILD_TOOLS]).collect();
    let fetched =
        fetch::run(ctx, &fetch::Input { rows: rows.clone(), source: fetch::Source::Mirror(mirror) })?;
    if !fetched.gone.is_empty() {
        bail!(
            "the mirror {mirror} lists packages that it does not have (it may be in the middle of an update, try \
             again later): {}",
            fetch::names(&fetched.gone)
        );
    }
    tools::run(ctx, &tools::Input { rows, files: &fetched.paths })
}

/// Lets apt resolve the image: once as every image is, once more with each optional group.
fn image_rows(
    ctx: &Ctx,
    definition: &Definition,
    archive: &Archive,
    tree: &tools::Output,
) -> anyhow::Result<Vec<Row>> {
    let apt = apt::Apt::prepare(ctx, &tree.path, definition, archive)?;
    let required = definition.packages.values().filter(|group| !group.optional);
    let base: Vec<&str> = required.flat_map(|group| definition::names(&group.packages)).collect();
    let mut rows = BTreeMap::new();
    for row in apt.resolve(&base).context("resolving the packages of every image")? {
        add(&mut rows, row, IMAGE);
    }
    let always: BTreeSet<String> = rows.keys().cloned().collect();
    for (group, packages) in definition.packages.iter().filter(|(_, group)| group.optional) {
        ctx.cancel.check()?;
        let names: Vec<&str> = base.iter().copied().chain(definition::names(&packages.packages)).collect();
        let resolved =
            apt.resolve(&names).with_context(|| format!("resolving the packages of group `{group}`"))?;
        let found: BTreeSet<&String> = resolved.iter().map(|row| &row.name).collect();
        if let Some(dropped) = always.iter().find(|name| !found.contains(name)) {
            bail!(
                "image/image.yaml: packages.{group}: the optional group drops `{dropped}`, which every image has"
            );
        }
        for row in resolved.into_iter().filter(|row| !always.contains(&row.name)) {
            add(&mut rows, row, group);
        }
    }
    Ok(rows.into_values().collect())
}

/// Adds a package, or a group to one that is there already.
fn add(rows: &mut BTreeMap<String, Row>, row: Row, group: &str) {
    rows.entry(row.name.clone()).or_insert(row).groups.insert(group.to_owned());
}

/// Fails with file and line when a name means nothing in the archive.
fn check_names(definition: &Definition, universe: &Universe<'_>) -> anyhow::Result<()> {
    let packages = definition.packages.iter().map(|(group, found)| ("packages", group, &found.packages));
    let tools = definition.tools.iter().map(|(group, found)| ("tools", group, found));
    for (section, group, names) in packages.chain(tools) {
        if section == "packages" && group == IMAGE {
            bail!(
                "image/image.yaml: packages.{group}: the lock uses the name `{IMAGE}` itself, take another"
            );
        }
        if let Some(name) = names.iter().find(|name| universe.get(&name.value).is_none()) {
            let at = name.referenced;
            bail!(
                "image/image.yaml:{}:{}: {section}.{group}: unknown package `{}`",
                at.line(),
                at.column(),
                name.value
            );
        }
    }
    Ok(())
}

/// Returns the time that signatures and `Valid-Until` are compared with.
#[expect(clippy::disallowed_methods, reason = "whether an index is stale can only be asked of the clock")]
fn now() -> anyhow::Result<u64> {
    let since =
        SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
    Ok(since.as_secs())
}

#[cfg(test)]
mod tests;
