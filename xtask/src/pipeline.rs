//! The pipeline's table of contents: which stage follows which, and what each is given.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::disk_format::DiskFormat;
use crate::flags;
use crate::hash::Key;
use crate::inputs::{self, Inputs};
use crate::keyed::Timing;
use crate::keys::Keys;
use crate::lock::Row;
use crate::manifest::Package;
use crate::stage::{
    agents, disk, initrd, manifest, modules, netboot, owners, payload, rootfs, sbom, tools as tools_tree,
    uki, usr,
};
use crate::tools::Tools;

/// Group of tools that builds the image.
pub const BUILD: &str = "build";
/// Group of tools that runs and judges it.
pub const VM: &str = "vm";
/// Group of tools that has a browser, which judges the status page and the documentation site.
pub const BROWSER: &str = "browser";
/// Group of tools that makes the documentation site.
pub const DOCS: &str = "docs";
/// All groups that `cargo xtask ci` uses.
pub const TESTED: [&str; 4] = [BUILD, VM, BROWSER, DOCS];
/// Package whose version is that of the C library.
const LIBC: &str = "libc6";

/// What a build made.
#[derive(Debug)]
pub struct Built {
    /// Final names.
    pub output: manifest::Output,
    /// Folder of all outputs.
    pub out: PathBuf,
    /// Version of the image.
    pub version: slots::Version,
    /// Whether the trusted keys are the development pair.
    pub insecure_keys: bool,
    /// Our programs by name.
    pub agents: BTreeMap<String, PathBuf>,
}

/// Builds the image: `fetch → tools → agents ∥ owners ∥ rootfs → modules → usr → initrd → uki → disk →
/// payload → manifest`.
pub fn build(ctx: &Ctx, args: &flags::BuildImage) -> anyhow::Result<Built> {
    // Two builds in one checkout would write the same folders; held until this one has ended.
    let _lock = only_build(ctx)?;
    let version = match &args.version {
        Some(version) => version.clone(),
        None => env!("CARGO_PKG_VERSION").parse().context("reading the workspace's version")?,
    };
    let out = match &args.out {
        Some(dir) => std::path::absolute(dir).context("resolving --out")?,
        None => ctx.target.join("image"),
    };
    let keys = Keys::read(ctx, args.keys.as_deref())?;
    let overlays = overlays(ctx, &args.overlay)?;
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    definition.check_without(&args.without)?;
    let converts = args.format.iter().any(|format| DiskFormat::of(*format).is_some());
    let groups = if converts { &[BUILD, VM][..] } else { &[BUILD][..] };
    let inputs = inputs::get(ctx, &definition, &args.inputs, &args.without, groups)?;
    let epoch = inputs.locks.packages.time;
    let tree = tools(ctx, &inputs, BUILD)?;
    let programs = Tools::new(ctx, tree.path);
    programs.probe()?;

    let rows = inputs.locks.packages.image_rows(&args.without);
    let packages_key = packages_key(&rows);
    let paths: Vec<PathBuf> = rows.iter().map(|row| inputs.files[&row.sha256].clone()).collect();
    let debs: Vec<(String, PathBuf)> =
        rows.iter().map(|row| deb_name(row)).zip(paths.iter().cloned()).collect();
    let glibc = rows.iter().find(|row| row.name == LIBC).with_context(|| format!("no {LIBC} is locked"))?;
    let toolchain = agents::toolchain()?;

    let (agents, owners, rootfs) = std::thread::scope(|scope| {
        let agents =
            scope.spawn(|| agents::run(ctx, &agents::Input { glibc: &glibc.version, toolchain: &toolchain }));
        let owners =
            scope.spawn(|| owners::run(ctx, &owners::Input { packages_key: &packages_key, debs: &paths }));
        let rootfs = rootfs::run(
            ctx,
            &programs,
            &rootfs::Input {
                definition: &definition,
                without: &args.without,
                packages_key: &packages_key,
                debs: &debs,
                tools_hash: &tree.hash,
                epoch,
            },
        );
        (joined(agents.join()), joined(owners.join()), rootfs)
    });
    let (rootfs, agents, owners) = (rootfs?, agents?, owners?);
    let modules = modules::run(ctx, &programs, &modules::Input { definition: &definition, rootfs: &rootfs })?;
    let packages: Vec<Package> = rows.iter().map(|row| package(row)).collect();
    let (usr, initrd) = std::thread::scope(|scope| {
        let initrd = scope.spawn(|| {
            initrd::run(
                ctx,
                &programs,
                &initrd::Input {
                    definition: &definition,
                    version: &version,
                    rootfs: &rootfs,
                    modules: &modules,
                    agents: &agents,
                    overlays: &overlays,
                },
            )
        });
        let usr = usr::run(
            ctx,
            &programs,
            &usr::Input {
                definition: &definition,
                version: &version,
                epoch,
                rootfs: &rootfs,
                modules: &modules,
                owners: &owners,
                agents: &agents,
                overlays: &overlays,
                keys: &keys.files,
                packages: &packages,
                tools_hash: &tree.hash,
            },
        );
        (usr, joined(initrd.join()))
    });
    let (usr, initrd) = (usr?, initrd?);
    let uki = uki::run(
        ctx,
        &programs,
        &uki::Input {
            product: &definition.product.value,
            version: &version,
            rootfs: &rootfs,
            modules: &modules,
            initrd: &initrd,
            usr: &usr,
            tools_hash: &tree.hash,
        },
    )?;
    let disk = disk::run(
        ctx,
        &disk::Input {
            definition: &definition,
            version: &version,
            epoch,
            rootfs: &rootfs,
            usr: &usr,
            uki: &uki,
        },
    )?;
    let debs: Vec<(&Row, PathBuf)> = rows.iter().copied().zip(paths.iter().cloned()).collect();
    let sbom = sbom::run(
        ctx,
        &sbom::Input {
            product: &definition.product.value,
            version: &version,
            epoch,
            debs: &debs,
            agents: &agents,
            usr: &usr,
        },
    )?;
    let signing = keys.signing();
    let payload = if signing.is_empty() {
        ctx.log.line("no payload is made: the keys' folder has no secret key (*.key) that is not retired");
        None
    } else {
        let input = payload::Input {
            definition: &definition,
            version: &version,
            epoch,
            rootfs: &rootfs,
            usr: &usr,
            uki: &uki,
            keys: &signing,
        };
        Some(payload::run(ctx, &input)?)
    };
    let netboot = if args.format.contains(&flags::Format::Netboot) {
        let input = netboot::Input {
            product: &definition.product.value,
            version: &version,
            rootfs: &rootfs,
            modules: &modules,
            usr: &usr,
            uki: &uki,
        };
        Some(netboot::run(ctx, &input)?)
    } else {
        None
    };
    let converter = if converts { Tools::new(ctx, tools(ctx, &inputs, VM)?.path) } else { programs };
    let output = manifest::run(
        ctx,
        &converter,
        &manifest::Input {
            definition: &definition,
            lock: &inputs.locks.packages,
            version: &version,
            without: &args.without,
            insecure_keys: keys.insecure(),
            toolchain: &toolchain,
            usr: &usr,
            uki: &uki,
            disk: &disk,
            sbom: &sbom,
            payload: payload.as_ref(),
            netboot: netboot.as_ref(),
            out: &out,
            formats: &args.format,
        },
    )?;
    let timings: Vec<Timing> = [
        &agents.timing,
        &owners.timing,
        &rootfs.timing,
        &modules.timing,
        &usr.timing,
        &initrd.timing,
        &uki.timing,
        &disk.timing,
        &sbom.timing,
    ]
    .into_iter()
    .chain(payload.as_ref().map(|payload| &payload.timing))
    .chain(netboot.as_ref().map(|netboot| &netboot.timing))
    .cloned()
    .collect();
    manifest::report(&out, &timings)?;
    Ok(Built { output, out, version, insecure_keys: keys.insecure(), agents: agents.binaries })
}

/// Makes the tree of a group of tools from the inputs' verified files.
pub fn tools(ctx: &Ctx, inputs: &Inputs, group: &str) -> anyhow::Result<tools_tree::Output> {
    let rows = inputs.locks.tools.rows.iter().filter(|row| row.in_group(group)).collect();
    tools_tree::run(ctx, &tools_tree::Input { rows, files: &inputs.files })
        .with_context(|| format!("making the tools tree `{group}`"))
}

/// Waits until no other build runs in this checkout; the lock ends with the process.
fn only_build(ctx: &Ctx) -> anyhow::Result<File> {
    let path = ctx.target.join("build.lock");
    std::fs::create_dir_all(&ctx.target).with_context(|| format!("creating {}", ctx.target.display()))?;
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if told => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::WouldBlock) => {
                ctx.log.line("waiting for another build in this checkout to end");
                told = true;
            }
            Err(TryLockError::Error(err)) => {
                return Err(err).with_context(|| format!("locking {}", path.display()));
            }
        }
        ctx.cancel.check()?;
    }
}

/// The committed overlays by name, then those of the command line.
fn overlays(ctx: &Ctx, further: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut overlays = Vec::new();
    for (_, path) in crate::hash::sorted_dir(&ctx.repo.join("overlays"))? {
        if path.join("usr").is_dir() {
            overlays.push(path);
        }
    }
    for dir in further {
        let dir = std::path::absolute(dir).context("resolving --overlay")?;
        anyhow::ensure!(dir.join("usr").is_dir(), "--overlay {}: the folder has no `usr`", dir.display());
        overlays.push(dir);
    }
    Ok(overlays)
}

fn packages_key(rows: &[&Row]) -> String {
    let mut key = Key::new("packages", 1);
    for row in rows {
        key.add(&row.name, row.sha256.as_bytes());
    }
    key.finish()
}

/// The name that Debian's archives give the file, which mkosi and reprepro expect.
fn deb_name(row: &Row) -> String {
    row.path.rsplit('/').next().unwrap_or(&row.path).to_owned()
}

fn package(row: &Row) -> Package {
    Package {
        name: row.name.clone(),
        version: row.version.clone(),
        architecture: row.architecture.clone(),
        licence: String::new(),
    }
}

fn joined<T>(result: std::thread::Result<anyhow::Result<T>>) -> anyhow::Result<T> {
    result.unwrap_or_else(|_| Err(anyhow::anyhow!("a stage panicked; please report this")))
}
