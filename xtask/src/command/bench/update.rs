//! What a machine fetches when it goes from one version to another, for named pairs of real packages, and what
//! other ways to update would fetch for the same pair.

mod images;
mod machine;
mod others;
mod pairs;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use verity::{BlockHasher, Salt};

use super::{Figure, dir, mebibytes};
use crate::command::test::next_version;
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::lock::{Lock, Row};
use crate::stage::fetch;
use crate::{durable, flags, mirror, pipeline};
use images::{Image, Workshop};
use machine::Taken;
use pairs::{Agents, Pair};

/// An update takes fewer than 200.
const REQUESTS_MAX: f64 = 199.0;
/// How much later the new version's packages are locked: any difference has the same effect.
const LATER: Duration = Duration::from_secs(3600);
/// How often the agent hashes what: `/usr` where it is to be written, as it is written, and read back.
const USR_PASSES: f64 = 3.0;
/// The UKI: that which runs, the place of the new one, as it is put together, whole, and read back from the ESP.
const UKI_PASSES: f64 = 5.0;
const HUNDRED_MIB: f64 = 100.0;

/// Builds the images of each pair and lets a machine of files update.
pub fn measure(ctx: &Ctx, args: &flags::Bench) -> anyhow::Result<Vec<Figure>> {
    let pairs = pairs::read(&ctx.image_dir().join("update-pairs.yaml"))?;
    let unknown = args.pair.iter().find(|name| pairs.iter().all(|pair| pair.name != **name));
    anyhow::ensure!(
        unknown.is_none(),
        "image/update-pairs.yaml has no pair `{}`",
        unknown.unwrap_or(&String::new())
    );
    // Locks anew where it has to, fills the cache, and makes tools and agents.
    let build = flags::BuildImage { inputs: args.inputs.clone(), ..flags::BuildImage::default() };
    let version = pipeline::build(ctx, &build)?.version;
    let next = next_version(&version.to_string()).context("counting the version up")?;
    let next = next.parse().with_context(|| format!("reading the version `{next}`"))?;
    let lock = Lock::read(&ctx.image_dir().join("packages.lock"))?;
    let home = dir(ctx).join("update");
    let workshop = Workshop::new(ctx, &home, version.clone())?;
    let mut figures = Vec::new();
    for pair in pairs.iter().filter(|pair| args.pair.is_empty() || args.pair.contains(&pair.name)) {
        ctx.log.line(&format!("pair {}: {}", pair.name, pair.about));
        let gone = fetch_rows(ctx, args, pair.rows().collect())?;
        if !gone.is_empty() {
            ctx.log.warn(&format!("pair {}: gone from the mirror: {}", pair.name, fetch::names(&gone)));
            continue;
        }
        let old = workshop.build(&version, &pair.lock(&lock, &pair.old), Agents::Same);
        let old = old.with_context(|| format!("building the old side of pair `{}`", pair.name))?;
        let mut later = pair.lock(&lock, &pair.new);
        if pair.rows().next().is_some() {
            later.time += LATER.as_secs();
        }
        let new = workshop.build(&next, &later, pair.agents);
        let new = new.with_context(|| format!("building the new side of pair `{}`", pair.name))?;
        let taken = machine::update(ctx, &home.join("run"), &old, &new);
        let taken = taken.with_context(|| format!("updating from old to new of pair `{}`", pair.name))?;
        ctx.log.line(&format!(
            "pair {}: {:.1} MiB fetched in {} requests",
            pair.name,
            mebibytes(taken.total()),
            taken.requests
        ));
        figures.extend(figures_of(ctx, pair, &old, &new, &taken)?);
    }
    durable::remove_if_there(&home.join("run"))?;
    Ok(figures)
}

/// Puts the packages of a pair into the cache and returns those that nobody has any more.
fn fetch_rows(ctx: &Ctx, args: &flags::Bench, rows: Vec<&Row>) -> anyhow::Result<Vec<Row>> {
    if args.inputs.offline || fetch::all_cached(ctx, &rows)? {
        return Ok(fetch::run(ctx, &fetch::Input { rows, source: fetch::Source::Offline })?.gone);
    }
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    let mirror = mirror::find(args.inputs.mirror.as_deref(), definition.mirror.as_deref())?;
    Ok(fetch::run(ctx, &fetch::Input { rows, source: fetch::Source::Mirror(&mirror) })?.gone)
}

fn figures_of(
    ctx: &Ctx,
    pair: &Pair,
    old: &Image,
    new: &Image,
    taken: &Taken,
) -> anyhow::Result<Vec<Figure>> {
    let layout = &new.head.manifest.layout;
    let files = [(read(&old.usr)?, read(&new.usr)?), (read(&old.uki)?, read(&new.uki)?)];
    let chunks = others::chunks(&files, &ctx.cancel)?;
    let mut patches = 0;
    for (old, new) in &files {
        patches += others::patch(old, new, &ctx.cancel)?;
    }
    let percent = |bytes: u64| 100.0 * mebibytes(bytes) / mebibytes(layout.total());
    let (usr, uki) = (taken.section("usr"), taken.section("uki"));
    let applied = mebibytes(layout.usr.len + layout.uki.len) / HUNDRED_MIB;
    let rate = hashing_secs(&files[0].1)? / mebibytes(layout.usr.len);
    let hashed = USR_PASSES * mebibytes(layout.usr.len) + UKI_PASSES * mebibytes(layout.uki.len);
    let name = |what: &str| format!("{}: {what}", pair.name);
    Ok(vec![
        Figure::new(&name("fetched of the payload"), percent(taken.total()), "%").at_most(pair.percent_max),
        Figure::new(&name("fetched"), mebibytes(taken.total()), "MiB"),
        Figure::new(&name("- for usr"), mebibytes(usr), "MiB"),
        Figure::new(&name("- for the UKI"), mebibytes(uki), "MiB"),
        Figure::new(&name("- lists, tree, loader, channel"), mebibytes(taken.total() - usr - uki), "MiB"),
        Figure::new(&name("requests"), count(taken.requests)?, "").at_most(REQUESTS_MAX),
        Figure::new(&name("chunks by content instead"), percent(chunks.bytes), "%"),
        Figure::new(&name("requests for chunks"), count(chunks.requests)?, ""),
        Figure::new(&name("`zstd --patch-from` instead"), percent(patches), "%"),
        Figure::new(&name("processor per 100 MiB applied"), taken.cpu_secs / applied, "s"),
        Figure::new(&name("- of it hashing, computed"), rate * hashed / applied, "s"),
    ])
}

/// Processor's time of hashing all blocks once, as dm-verity does.
fn hashing_secs(usr: &[u8]) -> anyhow::Result<f64> {
    let hasher = BlockHasher::new(&Salt([0; 32]));
    let before = machine::own_secs()?;
    let (blocks, _) = usr.as_chunks::<{ verity::BLOCK_SIZE }>();
    for block in blocks {
        std::hint::black_box(hasher.hash(block));
    }
    Ok(machine::own_secs()? - before)
}

fn count(n: impl TryInto<u32>) -> anyhow::Result<f64> {
    n.try_into().map(f64::from).ok().context("there are too many to count")
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}
