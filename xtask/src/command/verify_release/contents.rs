//! The bill of materials, made again from what the image really holds and the published packages, and compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Release, raw};
use crate::crates::Crate;
use crate::ctx::Ctx;
use crate::judges::Judges;
use crate::lock::{Lock, Row};
use crate::manifest::Package;
use crate::sbom::{Bom, Component, Facts, Program};
use crate::stage::sbom;
use crate::{durable, hash, licences, release};

/// Unpacks `/usr` of the raw image, and compares.
pub fn check(ctx: &Ctx, release: &Release, judges: &Judges) -> anyhow::Result<()> {
    let (raw, image, usr) =
        (judges.work().join("raw"), judges.work().join("usr.erofs"), judges.work().join("usr"));
    anyhow::ensure!(raw.exists(), "the image could not be unpacked");
    raw::usr(release, &raw, &image)?;
    durable::remove_if_there(&usr)?;
    judges.extract_erofs(&image, &usr)?;
    let found = Bom::parse(&release.read(&release.names.sbom())?).context("reading the bill of materials")?;
    let res = keys(release, &usr).and_then(|()| compare(&found, &expected(ctx, release, &usr, &found)?));
    durable::remove_if_there(&usr)?;
    durable::remove_if_there(&image)?;
    res
}

/// The keys that the image trusts are the published ones.
fn keys(release: &Release, usr: &Path) -> anyhow::Result<()> {
    let texts = |dir: &Path| -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let read = |(name, path): (String, PathBuf)| {
            Ok((name, fs::read(&path).with_context(|| format!("reading {}", path.display()))?))
        };
        hash::sorted_dir(dir)?.into_iter().map(read).collect()
    };
    let sealed = usr.join("lib").join(&release.manifest.product).join("keys");
    anyhow::ensure!(
        texts(&sealed)? == texts(&release.dir.join(release::KEYS_DIR))?,
        "the image trusts other keys than those in {}/",
        release::KEYS_DIR
    );
    Ok(())
}

/// The document of what is in `usr`. Crates leave no trace in a program: those are taken over, and held against their
/// hashes by the provenance and a build.
fn expected(ctx: &Ctx, release: &Release, usr: &Path, found: &Bom) -> anyhow::Result<Bom> {
    let manifest = &release.manifest;
    let packages = sealed_packages(manifest.product.as_str(), usr)?;
    anyhow::ensure!(packages == manifest.packages, "the image lists other packages than the manifest");
    for package in &packages {
        licence(usr, package)?;
    }
    let lock = Lock::read(&release.file(release::LOCKS[0])?)?;
    let path = |row: &Row| release.dir.join(release::PACKAGES_DIR).join(format!("{}.deb", row.sha256));
    let debs: Vec<(&Row, PathBuf)> = lock.rows.iter().map(|row| (row, path(row))).collect();
    let crates: Vec<Crate> = found.crates().filter_map(Component::as_crate).collect();
    let programs = programs(usr, found)?;
    Ok(Bom::of(&Facts {
        product: &manifest.product,
        version: &manifest.version,
        root_hash: &manifest.root_hash,
        time: manifest.build_time,
        packages: sbom::binaries(ctx, &packages, &debs)?,
        crates: &crates,
        programs: &programs,
    }))
}

fn sealed_packages(product: &str, usr: &Path) -> anyhow::Result<Vec<Package>> {
    let path = usr.join("lib").join(product).join("packages.json");
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
}

/// The licences are those of the text that ships.
fn licence(usr: &Path, package: &Package) -> anyhow::Result<()> {
    let path = usr.join("share/licenses").join(&package.name).join("copyright");
    let text = fs::read(&path).with_context(|| format!("reading the licence of {}", package.name))?;
    let names = licences::names(&String::from_utf8_lossy(&text));
    anyhow::ensure!(
        names == package.licence,
        "the licence of {} is `{names}` by its text, and `{}` by the image's list",
        package.name,
        package.licence
    );
    Ok(())
}

/// The programs that the document names, with the sums that they have in the image.
fn programs(usr: &Path, found: &Bom) -> anyhow::Result<Vec<Program>> {
    let sum = |component: &Component| {
        let name = component.name.clone();
        anyhow::ensure!(!name.contains('/'), "the bill of materials names a program `{name}`");
        Ok(Program { sha256: hash::of_file(&usr.join("bin").join(&name))?.0, name })
    };
    found.programs().map(sum).collect()
}

/// Names the first component that differs.
fn compare(found: &Bom, expected: &Bom) -> anyhow::Result<()> {
    if found == expected {
        return Ok(());
    }
    let differs = |(a, b): &(&Bom, &Bom)| a.components.iter().find(|it| !b.components.contains(it)).cloned();
    match [(expected, found), (found, expected)].iter().find_map(differs) {
        Some(it) => anyhow::bail!("the bill of materials says otherwise of {} {}", it.name, it.version),
        None => anyhow::bail!("the bill of materials says otherwise of the image itself"),
    }
}
