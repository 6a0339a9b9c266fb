//! `cargo xtask verify-release`: what a stranger runs who has the release, this checkout, and a key that he trusts.
//!
//! Signature and sums come first: only what somebody vouches for is looked into.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use payload::sums::{SIGNATURE_FILE, SUMS_FILE, SUMS_MAX};
use payload::{ENVELOPE_MAX, Trust};

use crate::cache::Packages;
use crate::checks::{self, Check};
use crate::command::lock::Locks;
use crate::command::release::TOOLS;
use crate::ctx::Ctx;
use crate::disk_format::{self, DiskFormat};
use crate::judges::Judges;
use crate::keys::Keys;
use crate::manifest::Manifest;
use crate::release::{self, Names};
use crate::tools::Tools;
use crate::{command, durable, flags};

mod contents;
mod netboot;
mod offer;
mod provenance;
mod raw;
mod rebuild;
mod sources;
mod sums;

/// A release whose sums were signed by somebody who is trusted, and are right.
#[derive(Debug)]
pub struct Release {
    /// Its folder.
    pub dir: PathBuf,
    /// Whom to believe.
    pub trust: Trust,
    /// What was built.
    pub manifest: Manifest,
    /// What its files are called.
    pub names: Names,
    /// SHA-256 of each file that the sums name.
    pub sums: BTreeMap<String, String>,
}

/// Runs all checks, and says what they come to.
pub fn run(ctx: &Ctx, args: &flags::VerifyRelease) -> anyhow::Result<()> {
    let release = open(ctx, args)?;
    ctx.log.line(&format!("{} of commit {}", release.names.stem(), release.manifest.commit));
    let work = ctx.target.join("verify-release");
    durable::remove_if_there(&work)?;
    fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
    take_packages(ctx, &release.dir)?;
    let inputs = flags::Inputs { locked: true, offline: false, mirror: args.mirror.clone() };
    let tree = command::run::tools(ctx, &inputs)?;
    let tools = Tools::new(ctx, tree.clone());
    let judges = Judges::new(&tree, &work, &[&release.dir])?;
    let mut all = all(ctx, &release, &tools, &judges);
    if args.rebuild {
        all.push(Check::new("a build from the commit, its packages and keys gives the same bytes", || {
            rebuild::check(ctx, &release)
        }));
    }
    let res = checks::run_all(ctx, all);
    durable::remove_if_there(&work)?;
    let counts = res?;
    checks::print_total(counts);
    Ok(())
}

/// Everything that is asked of a release whose files are the signed ones.
fn all<'a>(ctx: &'a Ctx, release: &'a Release, tools: &'a Tools<'a>, judges: &'a Judges) -> Vec<Check<'a>> {
    let work = judges.work();
    let mut all = vec![Check::new("the packed image unpacks to that of the manifest", || {
        raw::unpack(ctx, release, &work.join("raw"))
    })];
    for format in DiskFormat::ALL {
        let name = release.names.disk(format);
        all.push(Check::new(format!("{name} holds the same disk"), move || {
            let raw = release.artifact("raw")?;
            let image = release.file(&release.names.disk(format))?;
            disk_format::judge(ctx, tools, &image, format, (&raw.sha256, raw.size), work)
        }));
    }
    all.push(Check::new("the payload is one of this image", || offer::payload(ctx, release).map(drop)));
    all.push(Check::new("the channel file offers that payload", || offer::channel(ctx, release)));
    all.push(Check::new("the bill of materials is that of what the image holds", || {
        contents::check(ctx, release, judges)
    }));
    all.push(Check::new("kernel and initrd for the network hold the same system", || {
        netboot::check(release)
    }));
    all.push(Check::new("the lock of sources has that of every package", || sources::check(ctx, release)));
    all.push(Check::new("the provenance names every input and every file", || provenance::check(release)));
    all
}

/// Reads who vouches for what, and compares it with what is there.
fn open(ctx: &Ctx, args: &flags::VerifyRelease) -> anyhow::Result<Release> {
    let dir = fs::canonicalize(&args.dir).with_context(|| format!("looking for {}", args.dir.display()))?;
    let keys = match &args.keys {
        Some(keys) => Keys::read_dir(&std::path::absolute(keys).context("resolving --keys")?)?,
        None => {
            let keys = Keys::read_dir(&dir.join(release::KEYS_DIR))?;
            let ids: Vec<String> = keys.trusted().map(|key| key.key.id().to_string()).collect();
            ctx.log.warn(&format!(
                "the keys are the release's own ({}): whoever made it up can have made them up too; get them from \
                 elsewhere and name them with `--keys DIR`",
                ids.join(", ")
            ));
            keys
        }
    };
    let trust = keys.trust();
    let (text, signature) =
        (read_short(&dir.join(SUMS_FILE), SUMS_MAX)?, read_short(&dir.join(SIGNATURE_FILE), ENVELOPE_MAX)?);
    let (signed, by) = payload::sums::open(&text, &signature, &trust)
        .with_context(|| format!("nobody who is trusted vouches for {SUMS_FILE} by {SIGNATURE_FILE}"))?;
    let by: Vec<String> = by.iter().map(ToString::to_string).collect();
    ctx.log.line(&format!("the sums are signed by {}", by.join(", ")));
    let sums = signed.0.into_iter().map(|(name, sum)| (name, sum.to_string())).collect();
    sums::check(ctx, &dir, &sums)?;
    let manifest = release::manifest(&dir)?;
    let names = Names::of(&manifest);
    Ok(Release { dir, trust, manifest, names, sums })
}

impl Release {
    /// Path of a file, if the sums name it.
    fn file(&self, name: &str) -> anyhow::Result<PathBuf> {
        anyhow::ensure!(self.sums.contains_key(name), "the release has no file {name}");
        Ok(self.dir.join(name))
    }

    /// Content of a file.
    fn read(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.file(name)?;
        fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// What the manifest says of one of the build's outputs.
    fn artifact(&self, role: &str) -> anyhow::Result<&crate::manifest::Artifact> {
        let found = self.manifest.artifacts.get(role);
        found.with_context(|| format!("{} has no artifact `{role}`", self.names.manifest()))
    }
}

/// Takes those packages of the release into the cache that this checkout's own locks name: what this checkout would use
/// anyway, so that no mirror is needed. Whoever gets tools gets the image's packages too.
fn take_packages(ctx: &Ctx, dir: &Path) -> anyhow::Result<()> {
    let Ok(locks) = Locks::read(&ctx.image_dir()) else { return Ok(()) };
    let cache = Packages::open(&ctx.cache)?;
    for row in locks.packages.rows.iter().chain(locks.tools.rows_of(&TOOLS)) {
        let (from, to) =
            (dir.join(release::PACKAGES_DIR).join(format!("{}.deb", row.sha256)), cache.path(row));
        // The sum is checked by whoever takes it out of the cache.
        if from.is_file() && !to.exists() {
            durable::link_or_copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Reads a file that has no reason to be long.
fn read_short(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![];
    let file = File::open(path).with_context(|| format!("opening {}: is it a release?", path.display()))?;
    file.take(limit + 1).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    anyhow::ensure!(u64::try_from(bytes.len())? <= limit, "{} has more than {limit} bytes", path.display());
    Ok(bytes)
}

#[cfg(test)]
mod tests;
