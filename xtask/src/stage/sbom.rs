//! Stage `sbom`: the bill of materials, from the packages' own control files, cargo, and the programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::crates;
use crate::ctx::Ctx;
use crate::hash::{self, Key};
use crate::keyed::{self, Timing};
use crate::lock::Row;
use crate::manifest::Package;
use crate::sbom::{Binary, Bom, Facts, Program, Source};
use crate::stage::{agents, usr};

const VERSION: u32 = 1;

/// What the image has.
#[derive(Debug)]
pub struct Input<'a> {
    /// Name of the product.
    pub product: &'a str,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// Time of the lock, seconds since 1970.
    pub epoch: u64,
    /// The locked packages and their verified files.
    pub debs: &'a [(&'a Row, PathBuf)],
    /// Our programs.
    pub agents: &'a agents::Output,
    /// The sealed `/usr`, which knows the licences.
    pub usr: &'a usr::Output,
}

/// The document.
#[derive(Debug)]
pub struct Output {
    /// CycloneDX, as JSON.
    pub sbom: PathBuf,
    /// For the build report.
    pub timing: Timing,
}

/// Writes the document.
pub fn run(ctx: &Ctx, input: &Input<'_>) -> anyhow::Result<Output> {
    let mut key = Key::new("sbom", VERSION);
    key.add("usr", input.usr.key.as_bytes());
    // Names, licences and sums of the crates.
    key.add("agents", input.agents.key.as_bytes());
    key.add("product", input.product.as_bytes());
    key.add("version", input.version.to_string().as_bytes());
    key.add("epoch", &input.epoch.to_le_bytes());
    for (row, _) in input.debs {
        key.add(&row.name, row.sha256.as_bytes());
    }
    let (dir, timing) = keyed::run(ctx, "sbom", &key.finish(), |work| {
        let crates = crates::of(ctx, &agents::packages())?;
        let programs = programs(input.agents)?;
        let facts = Facts {
            product: input.product,
            version: &input.version.to_string(),
            root_hash: &input.usr.facts.root_hash,
            time: input.epoch,
            packages: binaries(ctx, &input.usr.facts.packages, input.debs)?,
            crates: &crates,
            programs: &programs,
        };
        crate::durable::write(&work.join("sbom.json"), Bom::of(&facts).text()?.as_bytes())
    })?;
    Ok(Output { sbom: dir.join("sbom.json"), timing })
}

fn programs(agents: &agents::Output) -> anyhow::Result<Vec<Program>> {
    let sum = |(name, path): (&String, &PathBuf)| {
        Ok(Program { name: name.clone(), sha256: hash::of_file(path)?.0 })
    };
    agents.binaries.iter().map(sum).collect()
}

/// Joins the packages of an image with the rows of its lock and the sources that their files name.
pub fn binaries<'a>(
    ctx: &Ctx,
    packages: &'a [Package],
    debs: &'a [(&'a Row, PathBuf)],
) -> anyhow::Result<Vec<Binary<'a>>> {
    let mut binaries = Vec::new();
    for package in packages {
        ctx.cancel.check()?;
        let found = debs.iter().find(|(row, _)| row.name == package.name);
        let (row, path) = found.with_context(|| format!("no package `{}` is locked", package.name))?;
        binaries.push(Binary { package, sha256: &row.sha256, source: source(path)? });
    }
    Ok(binaries)
}

/// The source package that a package's own file names.
pub fn source(deb: &Path) -> anyhow::Result<Source> {
    let file = fs::File::open(deb).with_context(|| format!("opening {}", deb.display()))?;
    let text = deb::package::control(std::io::BufReader::new(file));
    let text = text.with_context(|| format!("reading {}", deb.display()))?;
    Source::of_control(&text).with_context(|| format!("reading {}", deb.display()))
}
