//! `cargo xtask release`: one folder with everything that a release publishes, made aside and renamed when it is whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use payload::KeyId;

use crate::command::lock::Locks;
use crate::command::{publish, report};
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::disk_format::DiskFormat;
use crate::keyed::human;
use crate::keys::Keys;
use crate::manifest::Manifest;
use crate::release::{self, Names, notes, provenance, sums};
use crate::sbom::Bom;
use crate::{durable, flags, pipeline};

mod packages;
mod previous;
mod refusal;

/// Groups of tools that build an image and check a release.
pub const TOOLS: [&str; 2] = [pipeline::BUILD, pipeline::VM];
/// What packs the raw image: nearly all of it is zeros or packed already, so that more takes time and gains little.
const ZSTD_LEVEL: i32 = 9;

/// A release that is being made.
#[derive(Debug)]
struct Making<'a> {
    args: &'a flags::Release,
    keys: &'a Keys,
    manifest: Manifest,
    names: Names,
    /// Where the build's outputs are.
    built: &'a Path,
    /// The folder that gets its final name at the end.
    work: &'a Path,
    previous: Option<previous::Previous>,
    packages: packages::Found,
}

/// Makes the folder, or refuses before anything is built.
pub fn run(ctx: &Ctx, args: &flags::Release) -> anyhow::Result<()> {
    let start = Instant::now();
    let (commit, keys) = refusal::check(ctx, args)?;
    let version = match &args.version {
        Some(version) => version.clone(),
        None => env!("CARGO_PKG_VERSION").parse().context("reading the workspace's version")?,
    };
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    let names = Names::new(&definition.product.value, &version.to_string());
    let out = match &args.out {
        Some(dir) => std::path::absolute(dir).context("resolving --out")?,
        None => ctx.target.join("releases").join(names.stem()),
    };
    refusal::there_already(&out)?;
    let above = out.parent().context("--out has no folder above it")?;
    let previous = previous::find(args.previous.as_deref(), above, &definition.product.value, &version)?;
    match &previous {
        Some(previous) => {
            ctx.log.line(&format!("the release before is {} ({})", previous.version(), previous.place()));
        }
        None => ctx.log.line("no release before this one is known (`--previous DIR` names it)"),
    }
    let packages = packages::find(ctx, args)?;
    let build = flags::BuildImage {
        version: Some(version.clone()),
        out: Some(ctx.target.join("release-image")),
        keys: args.keys.clone(),
        format: DiskFormat::ALL.map(DiskFormat::wish).into_iter().chain([flags::Format::Netboot]).collect(),
        inputs: inputs_of(args),
        ..flags::BuildImage::default()
    };
    let built = pipeline::build(ctx, &build)?;
    let manifest = release::read_manifest(&built.output.manifest)?;
    anyhow::ensure!(
        manifest.commit == commit,
        "the checkout was changed during the build: it is {} now, and was {commit}; run the same command again",
        manifest.commit
    );
    fs::create_dir_all(above).with_context(|| format!("creating {}", above.display()))?;
    let work = above.join(format!(".tmp-{}", names.stem()));
    durable::remove_if_there(&work)?;
    fs::create_dir(&work).with_context(|| format!("creating {}", work.display()))?;
    let making =
        Making { args, keys: &keys, manifest, names, built: &built.out, work: &work, previous, packages };
    let made = fill(ctx, &making).and_then(|files| {
        refusal::there_already(&out)?;
        fs::rename(&work, &out).with_context(|| format!("renaming to {}", out.display()))?;
        Ok(files)
    });
    if made.is_err() {
        durable::remove_if_there(&work)?;
    }
    tell(ctx, &out, &made?, start);
    Ok(())
}

/// Fills the folder and signs it. Returns name and length of each file.
fn fill(ctx: &Ctx, making: &Making<'_>) -> anyhow::Result<Vec<(String, u64)>> {
    let Making { args, keys, manifest, names, built, work, previous, packages } = making;
    pack(ctx, &built.join(format!("{}.raw", names.stem())), &work.join(names.raw()))?;
    for format in DiskFormat::ALL {
        let name = names.disk(format);
        // Moved: whoever boots an image of the release must not change one of the build, and the other way round.
        let (from, to) = (built.join(&name), work.join(&name));
        fs::rename(&from, &to)
            .or_else(|_| durable::copy_sparse(&from, &to).and_then(|()| fs::remove_file(&from)))
            .with_context(|| format!("moving {}", from.display()))?;
    }
    let netboot = names.netboot();
    for name in [names.manifest(), names.sbom()].into_iter().chain(netboot) {
        let from = built.join(&name);
        fs::copy(&from, work.join(&name)).with_context(|| format!("copying {}", from.display()))?;
    }
    for name in release::LOCKS {
        let from = ctx.image_dir().join(name);
        fs::copy(&from, work.join(name)).with_context(|| format!("copying {}", from.display()))?;
    }
    packages::put(ctx, args, packages, work)?;
    put_keys(&work.join(release::KEYS_DIR), keys)?;
    let signers: Vec<String> = keys.signing.keys().map(KeyId::to_string).collect();
    let changelog = ctx.repo.join("CHANGELOG.md");
    let changelog =
        fs::read_to_string(&changelog).with_context(|| format!("reading {}", changelog.display()))?;
    let before = previous.as_ref().map(|previous| &previous.manifest);
    let facts = notes::Facts { changelog: &changelog, manifest, previous: before, signers: &signers };
    durable::write(&work.join(release::NOTES), notes::render(&facts)?.as_bytes())?;
    put_report(ctx, making, before)?;
    offer(ctx, args, keys, making)?;
    seal(ctx, making)
}

/// Packs the raw image.
fn pack(ctx: &Ctx, raw: &Path, to: &Path) -> anyhow::Result<()> {
    let file = File::open(raw).with_context(|| format!("opening {}", raw.display()))?;
    let len = file.metadata()?.len();
    let bar = ctx.log.bytes("pack", len);
    let packed = (|| {
        let out = BufWriter::with_capacity(1 << 20, ctx.cancel.stream(File::create_new(to)?));
        let mut packer = zstd::Encoder::new(out, ZSTD_LEVEL)?;
        packer.include_checksum(true)?;
        packer.set_pledged_src_size(Some(len))?;
        std::io::copy(&mut bar.wrap_read(file), &mut packer)?;
        packer.finish()?.flush()
    })();
    bar.finish_and_clear();
    ctx.cancel.check()?;
    packed.with_context(|| format!("packing {}", to.display()))
}

/// Puts the public keys and the list of retired ones into a folder; never a secret one.
fn put_keys(dir: &Path, keys: &Keys) -> anyhow::Result<()> {
    fs::create_dir(dir).with_context(|| format!("creating {}", dir.display()))?;
    for (name, text) in &keys.files {
        durable::write(&dir.join(name), text.as_bytes())?;
    }
    Ok(())
}

fn inputs_of(args: &flags::Release) -> flags::Inputs {
    flags::Inputs { locked: true, offline: false, mirror: args.mirror.clone() }
}

fn put_report(ctx: &Ctx, making: &Making<'_>, before: Option<&Manifest>) -> anyhow::Result<()> {
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    let manifest = &making.manifest;
    let html = report::page::render(&report::page::Page {
        manifest,
        // Times of one machine are of no use to another.
        stages: &[],
        components: &report::components::of(&definition, manifest),
        budgets: &report::budgets(&definition, manifest),
        against: before,
    });
    durable::write(&making.work.join(making.names.report()), html.as_bytes())
}

/// Puts the payload on offer in a channel, as `publish` does.
fn offer(ctx: &Ctx, args: &flags::Release, keys: &Keys, making: &Making<'_>) -> anyhow::Result<()> {
    let to = making.work.join(release::UPDATE_DIR);
    let sequence = match (&args.sequence, &making.previous) {
        (Some(sequence), _) => Some(*sequence),
        (None, Some(previous)) => previous.next_sequence(&args.channel, &keys.trust(), &ctx.log)?,
        (None, None) => None,
    };
    let publish = flags::Publish {
        channel: args.channel.clone(),
        to: to.clone(),
        payload: Some(making.built.join(format!("{}.payload", making.names.stem()))),
        keys: args.keys.clone(),
        sequence,
        expires_days: args.expires_days,
        wave: Vec::new(),
        url: Vec::new(),
        allow_older: false,
    };
    publish::put_on_offer(ctx, &publish, keys)?;
    // Two commands that publish into one folder wait for each other by it; nobody publishes into this one.
    durable::remove_if_there(&to.join("channels/.lock"))
}

/// Writes the provenance over all that is there, then the sums and their signature.
fn seal(ctx: &Ctx, making: &Making<'_>) -> anyhow::Result<Vec<(String, u64)>> {
    let files = sums::files(making.work)?;
    let length = |path: &PathBuf| fs::metadata(path).map(|meta| meta.len());
    let mut lengths = Vec::new();
    for (name, path) in &files {
        lengths.push((name.clone(), length(path).with_context(|| format!("reading {}", path.display()))?));
    }
    let bar = ctx.log.bytes("sums", lengths.iter().map(|(_, len)| len).sum());
    let found = sums::of_files(&files, &ctx.cancel, |len| bar.inc(len));
    bar.finish_and_clear();
    let mut found = found?;
    let locks = Locks::read(&ctx.image_dir())?;
    let sbom = making.work.join(making.names.sbom());
    let sbom = fs::read(&sbom).with_context(|| format!("reading {}", sbom.display()))?;
    let bom = Bom::parse(&sbom).context("reading the bill of materials")?;
    let statement = provenance::Statement::of(&provenance::Facts {
        files: &found,
        manifest: &making.manifest,
        channel: &making.args.channel,
        trusted_keys: making.keys.trusted().map(|key| key.key.id().to_string()).collect(),
        builder: &making.args.builder,
        locks: &[(release::LOCKS[0], &locks.packages), (release::LOCKS[1], &locks.tools)],
        tools: &TOOLS,
        bom: &bom,
    });
    let name = making.names.provenance();
    let text = statement.text()?;
    durable::write(&making.work.join(&name), text.as_bytes())?;
    found.insert(name.clone(), crate::hash::of_bytes(text.as_bytes()));
    lengths.push((name, u64::try_from(text.len())?));
    sums::write(making.work, &found, &making.keys.signing())?;
    sync(making.work, &files)?;
    Ok(lengths)
}

/// Has everything on disk before the folder gets its name.
fn sync(dir: &Path, files: &std::collections::BTreeMap<String, PathBuf>) -> anyhow::Result<()> {
    let paths = files.values().map(PathBuf::as_path).chain([dir]);
    for path in paths {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.with_context(|| format!("syncing {}", path.display()))?;
    }
    Ok(())
}

fn tell(ctx: &Ctx, out: &Path, files: &[(String, u64)], start: Instant) {
    for (name, len) in files.iter().filter(|(name, _)| !name.contains('/')) {
        ctx.log.line(&format!("  {:>10}  {name}", human(*len)));
    }
    let folders: std::collections::BTreeSet<&str> =
        files.iter().filter_map(|(name, _)| name.split_once('/')).map(|(folder, _)| folder).collect();
    for folder in folders {
        let inside =
            files.iter().filter(|(name, _)| name.split_once('/').is_some_and(|(it, _)| it == folder));
        let (n, len) = inside.fold((0, 0), |(n, sum), (_, len)| (n + 1, sum + len));
        ctx.log.line(&format!("  {:>10}  {folder}/ ({n} files)", human(len)));
    }
    let total = files.iter().map(|(_, len)| len).sum();
    let seconds = start.elapsed().as_secs();
    ctx.log.line(&format!("{} files, {} in {} s: {}", files.len(), human(total), seconds, out.display()));
    ctx.log.line(&format!(
        "next: `cargo xtask verify-release {}`, then publish the folder as it is",
        out.display()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_key_gets_into_a_release() {
        let dir = tempfile::tempdir().unwrap();
        let key = payload::SecretKey::from_seed([3; 32]);
        fs::write(dir.path().join("a.key"), key.to_file("test")).unwrap();
        fs::write(dir.path().join("a.pub"), key.public().to_file("test")).unwrap();
        let to = dir.path().join("release");
        put_keys(&to, &Keys::read_dir(dir.path()).unwrap()).unwrap();
        let names: Vec<_> = crate::hash::sorted_dir(&to).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.pub"]);
    }
}
