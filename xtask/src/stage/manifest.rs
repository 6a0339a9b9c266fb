//! Stage `manifest`: the outputs under their final names, with the build manifest and the link `latest`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::definition::{Budget, Definition};
use crate::flags::Format;
use crate::keyed::{Timing, human};
use crate::lock::Lock;
use crate::manifest::{Artifact, Manifest};
use crate::stage::{disk, netboot, payload, sbom, uki, usr};
use crate::tools::Tools;
use crate::{disk_format, durable, git, hash};

/// Everything that a build made.
#[derive(Debug)]
pub struct Input<'a> {
    /// The image definition.
    pub definition: &'a Definition,
    /// Packages of the image.
    pub lock: &'a Lock,
    /// Version of the image.
    pub version: &'a slots::Version,
    /// Groups that were left out.
    pub without: &'a [String],
    /// Whether the trusted keys are the development pair.
    pub insecure_keys: bool,
    /// Compiler and linker.
    pub toolchain: &'a BTreeMap<String, String>,
    /// The sealed `/usr`.
    pub usr: &'a usr::Output,
    /// The kernel image.
    pub uki: &'a uki::Output,
    /// The disk image.
    pub disk: &'a disk::Output,
    /// The bill of materials.
    pub sbom: &'a sbom::Output,
    /// The signed payload, if somebody signed it.
    pub payload: Option<&'a payload::Output>,
    /// What starts without a disk, if it is wanted.
    pub netboot: Option<&'a netboot::Output>,
    /// Where it all goes.
    pub out: &'a Path,
    /// Further formats of the disk image.
    pub formats: &'a [Format],
}

/// Where the manifest and the image are.
#[derive(Debug)]
pub struct Output {
    /// `slipway_<v>.manifest.json`
    pub manifest: PathBuf,
    /// `slipway_<v>.raw`
    pub raw: PathBuf,
    /// `slipway_<v>.payload`
    pub payload: Option<PathBuf>,
}

/// Checks the budgets, places the files, then writes the manifest that vouches for them.
pub fn run(ctx: &Ctx, tools: &Tools<'_>, input: &Input<'_>) -> anyhow::Result<Output> {
    let definition = input.definition;
    let product = &definition.product.value;
    let stem = format!("{product}_{}", input.version);
    check_budget("usr", &input.usr.image, &definition.budgets.usr, input.without)?;
    check_budget("uki", &input.uki.uki, &definition.budgets.uki, input.without)?;
    fs::create_dir_all(input.out).with_context(|| format!("creating {}", input.out.display()))?;

    let mut artifacts = BTreeMap::new();
    let payload = input.payload.map(|payload| ("payload", &payload.payload, "payload"));
    let placed = [
        ("uki", &input.uki.uki, "efi"),
        ("usr", &input.usr.image, "usr.erofs"),
        ("verity", &input.usr.verity, "usr.verity"),
        ("sbom", &input.sbom.sbom, "cdx.json"),
    ];
    for (role, from, suffix) in placed.into_iter().chain(payload) {
        let file = format!("{stem}.{suffix}");
        ctx.cancel.check()?;
        place(from, &input.out.join(&file), durable::link_or_copy)?;
        let (sha256, size) = hash::of_file(from)?;
        artifacts.insert(role.to_owned(), Artifact { file, size, sha256 });
    }
    let payload = input.out.join(format!("{stem}.payload"));
    if input.payload.is_none() {
        // One of an earlier build is not of this image.
        durable::remove_if_there(&payload)?;
    }
    let raw = input.out.join(format!("{stem}.raw"));
    // A copy: whoever boots the raw file writes to it, and the stage's output must stay as it is.
    place(&input.disk.raw, &raw, copy)?;
    artifacts.insert(
        "raw".to_owned(),
        Artifact {
            file: format!("{stem}.raw"),
            size: input.disk.facts.size,
            sha256: input.disk.facts.sha256.clone(),
        },
    );
    for format in input.formats.iter().filter_map(|format| disk_format::DiskFormat::of(*format)) {
        ctx.cancel.check()?;
        let name = format!("{stem}.{}", format.suffix());
        let temporary = input.out.join(format!(".tmp-{name}"));
        durable::remove_if_there(&temporary)?;
        let converted = tools.qemu_img_convert(&raw, format, &temporary);
        if converted.is_err() {
            durable::remove_if_there(&temporary)?;
        }
        converted?;
        let to = input.out.join(name);
        fs::rename(&temporary, &to).with_context(|| format!("renaming to {}", to.display()))?;
    }
    if let Some(netboot) = input.netboot {
        for (from, end) in [&netboot.kernel, &netboot.initrd, &netboot.script].into_iter().zip(netboot::ENDS)
        {
            place(from, &input.out.join(format!("{stem}.{end}")), durable::link_or_copy)?;
        }
    }
    // The manifest vouches for all that is there before it.
    ctx.cancel.check()?;
    let facts = input.usr.facts.clone();
    let manifest = Manifest {
        product: product.clone(),
        version: input.version.to_string(),
        root_hash: facts.root_hash,
        salt: facts.salt,
        usr_blocks: facts.usr_blocks,
        artifacts,
        packages: facts.packages,
        special_files: facts.special_files,
        lock_sha256: hash::of_bytes(input.lock.text().as_bytes()),
        commit: git::commit(&ctx.repo),
        toolchain: input.toolchain.clone(),
        build_time: input.lock.time,
        insecure_keys: input.insecure_keys,
        partitions: input.disk.facts.partitions.clone(),
        contents: facts.contents,
    };
    let path = input.out.join(format!("{stem}.manifest.json"));
    durable::write(&path, format!("{}\n", serde_json::to_string_pretty(&manifest)?).as_bytes())?;
    link_latest(input.out, &format!("{stem}.manifest.json"))?;
    Ok(Output { manifest: path, raw, payload: input.payload.map(|_| payload) })
}

/// Writes `build-report.json`: each stage's time, outcome and length. Not part of the reproducible outputs.
pub fn report(out: &Path, timings: &[Timing]) -> anyhow::Result<()> {
    durable::write(&out.join("build-report.json"), &serde_json::to_vec_pretty(timings)?)
}

fn check_budget(name: &str, path: &Path, budget: &Budget, without: &[String]) -> anyhow::Result<()> {
    let len = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    let (field, limit) = budget.limit(without);
    anyhow::ensure!(
        len <= limit,
        "image/image.yaml: budgets.{name}.{field} is {}, the build made {}: prune more or raise it",
        human(limit),
        human(len)
    );
    Ok(())
}

/// Puts a file in place unless the same one is there.
fn place(from: &Path, to: &Path, put: fn(&Path, &Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let of = |path: &Path| -> Option<(u64, std::time::SystemTime)> {
        let meta = fs::metadata(path).ok()?;
        Some((meta.len(), meta.modified().ok()?))
    };
    if of(from).is_some() && of(from) == of(to) {
        return Ok(());
    }
    put(from, to)
}

/// Copies sparse and keeps the modification time, by which the next build knows the copy.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let name = to.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = to.with_file_name(format!(".tmp-{name}"));
    let copied = durable::copy_sparse(from, &temporary);
    if copied.is_err() {
        durable::remove_if_there(&temporary)?;
    }
    copied.with_context(|| format!("copying to {}", temporary.display()))?;
    let modified = fs::metadata(from)?.modified()?;
    File::options().write(true).open(&temporary)?.set_modified(modified)?;
    fs::rename(&temporary, to).with_context(|| format!("renaming to {}", to.display()))
}

fn link_latest(out: &Path, target: &str) -> anyhow::Result<()> {
    let link = out.join("latest");
    if fs::read_link(&link).is_ok_and(|found| found == Path::new(target)) {
        return Ok(());
    }
    let temporary = out.join(".tmp-latest");
    durable::remove_if_there(&temporary)?;
    std::os::unix::fs::symlink(target, &temporary).context("making the link `latest`")?;
    fs::rename(&temporary, &link).context("making the link `latest`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Size;

    #[test]
    fn an_exceeded_budget_is_named_with_both_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usr.erofs");
        File::create(&path).unwrap().set_len(3 << 20).unwrap();
        let at = serde_yaml::Location::UNKNOWN;
        let group = serde_yaml::Spanned::new("firmware".to_owned(), at, at);
        let budget = Budget { group, without: Size(2 << 20), with: Size(3 << 20) };
        check_budget("usr", &path, &budget, &[]).unwrap();
        let err = check_budget("usr", &path, &budget, &["firmware".to_owned()]).unwrap_err().to_string();
        let parts = ["image/image.yaml: budgets.usr.without", "2.00 MiB", "3.00 MiB", "raise it"];
        assert!(parts.iter().all(|part| err.contains(part)), "{err}");
    }

    #[test]
    fn a_file_is_placed_again_only_when_it_differs() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "a").unwrap();
        place(&from, &to, copy).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"a");
        place(&from, &to, |_, _| panic!("the same file is there")).unwrap();
        fs::write(&from, "ab").unwrap();
        place(&from, &to, copy).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"ab");
    }
}
