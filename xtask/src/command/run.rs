//! `cargo xtask run`: boots the newest image on a copy-on-write overlay of it.

pub mod handed_in;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use vm::machine::{Machine, Serial};
use vm::terminal::Terminal;
use vm::{Accel, Binds, Home, Sandbox, Vm};

use crate::command::lock::Locks;
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::flags;
use crate::{inputs, pipeline};

/// Smallest disk that the machine gets: root grows to it at first boot.
const DISK_MIN: u64 = 8 << 30;
/// Machine that is thrown away at its end, and the one that `--keep` keeps.
const NAMES: (&str, &str) = ("default", "kept");

/// Boots an image and returns when the machine has ended.
pub fn run(ctx: &Ctx, args: &flags::Run) -> anyhow::Result<()> {
    let entries = match &args.cloud_config {
        Some(file) => handed_in::entries(ctx, file, args.metadata.as_deref())?,
        None => handed_in::Entries::new(),
    };
    let image = image(ctx, args.image.as_deref())?;
    let sandbox = Sandbox::new(tools(ctx, &args.inputs)?);
    sandbox.probe()?;
    let name = if args.keep { NAMES.1 } else { NAMES.0 };
    let home = Home::claim(&sandbox, &runs(ctx).join(name))?;
    disk(ctx, args, &home, &image)?;

    let mut machine = Machine::new(format!("slipway-{name}"), accel(ctx, args, &home)?);
    machine.cpus = args.cpus;
    machine.memory_mib = args.memory;
    machine.cmdline_extra.clone_from(&args.append);
    machine.fw_cfg = entries;
    machine.serial = if args.headless { Serial::Log } else { Serial::Terminal };
    ctx.log.line(&format!("booting {}", image.display()));
    if !args.headless {
        ctx.log.line("the console follows; Ctrl-A x ends the machine, Ctrl-A h lists more keys");
    }
    let terminal = Terminal::remember();
    let vm = Vm::start_with(&home, &machine, Binds { image: Some(&image), ..Binds::default() })?;
    let port = vm.way_in().port();
    let which = if args.keep { format!(" --vm {name}") } else { String::new() };
    ctx.log.line(&format!("log in with: cargo xtask ssh{which}   (port {port} on 127.0.0.1, user core)"));
    if args.headless {
        ctx.log.line(&format!("console: {}", home.dir().join("console.log").display()));
        ctx.log.line("Ctrl-C ends the machine");
    }
    let ended = wait(ctx, vm);
    drop(terminal);
    if !args.keep {
        home.remove()?;
    }
    ended
}

/// Where machines have their folders.
pub fn runs(ctx: &Ctx) -> PathBuf {
    ctx.target.join("run")
}

/// Returns the tools tree that machines run from, made from the locked packages unless it exists.
pub fn tools(ctx: &Ctx, args: &flags::Inputs) -> anyhow::Result<PathBuf> {
    tools_of(ctx, args, pipeline::VM)
}

/// Returns the tools tree of a group, made from the locked packages unless it exists.
pub fn tools_of(ctx: &Ctx, args: &flags::Inputs, group: &str) -> anyhow::Result<PathBuf> {
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    if let Ok(locks) = Locks::read(&ctx.image_dir()) {
        let rows: Vec<_> = locks.tools.rows.iter().filter(|row| row.in_group(group)).collect();
        let tree = ctx.target.join("tools").join(crate::stage::tools::key(&rows));
        if tree.is_dir() {
            return Ok(tree);
        }
    }
    let inputs = inputs::get(ctx, &definition, args, &[], &[group])?;
    Ok(pipeline::tools(ctx, &inputs, group)?.path)
}

/// The disk image asked for, or the newest that was built.
fn image(ctx: &Ctx, wanted: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = wanted {
        let path = std::path::absolute(path).context("resolving --image")?;
        anyhow::ensure!(path.is_file(), "--image {}: no such file", path.display());
        return Ok(path);
    }
    let link = ctx.target.join("image").join("latest");
    let manifest = link
        .canonicalize()
        .with_context(|| format!("following {}: run `cargo xtask build-image` first", link.display()))?;
    let text = std::fs::read(&manifest).with_context(|| format!("reading {}", manifest.display()))?;
    let parsed: crate::manifest::Manifest =
        serde_json::from_slice(&text).with_context(|| format!("parsing {}", manifest.display()))?;
    let raw = parsed.artifacts.get("raw").context("the manifest names no raw image: build it anew")?;
    let path = manifest.with_file_name(&raw.file);
    anyhow::ensure!(path.is_file(), "{} is gone: build the image anew", path.display());
    Ok(path)
}

/// Gives the machine a new disk, except with `--keep` when it has one of this image.
fn disk(ctx: &Ctx, args: &flags::Run, home: &Home, image: &Path) -> anyhow::Result<()> {
    if args.keep && home.disk().exists() {
        if home.has_overlay_of(image) {
            ctx.log.line("the disk of the last run with --keep is used again");
            return Ok(());
        }
        bail!(
            "{} was made from another image than {}, or from one that was built anew since: remove it, or run \
             without --keep",
            home.disk().display(),
            image.display()
        );
    }
    let len = std::fs::metadata(image).with_context(|| format!("reading {}", image.display()))?.len();
    Ok(home.new_overlay(image, len.max(DISK_MIN))?)
}

fn accel(ctx: &Ctx, args: &flags::Run, home: &Home) -> anyhow::Result<Accel> {
    let choice = match args.accel {
        flags::Accel::Kvm => return Ok(Accel::Kvm),
        flags::Accel::Tcg => return Ok(Accel::Tcg),
        flags::Accel::Auto => vm::accel::choose(home.sandbox(), home.dir())?,
    };
    if choice.accel == Accel::Tcg {
        ctx.log.line(&format!("software emulation is used: {}", choice.reason));
    }
    Ok(choice.accel)
}

/// Waits for the machine's end or for Ctrl-C, which ends it.
fn wait(ctx: &Ctx, mut vm: Vm) -> anyhow::Result<()> {
    loop {
        if let Some(status) = vm.ended()? {
            anyhow::ensure!(status.success() || ctx.cancel.is_set(), "QEMU ended with {status}");
            return Ok(());
        }
        if ctx.cancel.is_set() {
            vm.kill();
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
