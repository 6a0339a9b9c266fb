//! Time of a cold build, of one with nothing changed and of one with a changed file, against plain mkosi.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

use super::plain::Plain;
use super::{Figure, dir};
use crate::command::run::tools;
use crate::ctx::Ctx;
use crate::reproduce::{self, Agents, Seat};
use crate::{durable, flags};

/// Most seconds of a build with nothing changed.
const UNCHANGED_MAX: f64 = 1.0;
/// Most of a build with one changed file, as a share of the cold one.
const CHANGED_SHARE: f64 = 0.25;

/// Builds in a fresh folder each time. Packages are downloaded and our programs compiled beforehand, for both;
/// the tools tree is part of our cold build only.
pub fn measure(ctx: &Ctx, args: &flags::Bench) -> anyhow::Result<Vec<Figure>> {
    // Everything is fetched and the agents are compiled once before the clock starts.
    let warm = flags::BuildImage { inputs: args.inputs.clone(), ..flags::BuildImage::default() };
    crate::pipeline::build(ctx, &warm)?;
    let plain = Plain::prepare(ctx, &args.inputs)?;
    let tree = tools(ctx, &args.inputs)?;

    let home = dir(ctx).join("plain");
    let (_, plain_took) = plain.build(ctx, &home)?;
    durable::remove_if_there(&home)?;
    let plain_secs = plain_took.as_secs_f64();

    let target = dir(ctx).join("ours");
    let version = env!("CARGO_PKG_VERSION");
    let start = Instant::now();
    reproduce::build_again(ctx, &tree, version, &target, Agents::Taken, Seat::Own)?;
    let cold = start.elapsed().as_secs_f64();

    let unchanged = timed(ctx, &target, None)?;
    let overlay = dir(ctx).join("overlay");
    durable::write(&overlay.join("usr/lib/slipway-bench/changed"), b"one file of an overlay\n")?;
    let changed = timed(ctx, &target, Some(&overlay))?;
    durable::remove_if_there(&target)?;
    Ok(vec![
        Figure::new("plain mkosi, bootable disk", plain_secs, "s"),
        Figure::new("cold build", cold, "s").at_most(plain_secs),
        Figure::new("nothing changed", unchanged, "s").at_most(UNCHANGED_MAX),
        Figure::new("one overlay file changed", changed, "s").at_most(cold * CHANGED_SHARE),
    ])
}

/// Seconds of one more build in the same folder, as a process of its own, as a person runs it.
fn timed(ctx: &Ctx, target: &Path, overlay: Option<&Path>) -> anyhow::Result<f64> {
    let mut command = Command::new(target.join("xtask"));
    command.args(["build-image", "--locked", "--offline", "--out"]).arg(target.join("image"));
    if let Some(overlay) = overlay {
        command.arg("--overlay").arg(overlay);
    }
    let cache = ctx.cache.parent().context("the cache folder has no parent")?;
    command.env("CARGO_TARGET_DIR", target).env("XDG_CACHE_HOME", cache).stdin(Stdio::null());
    let start = Instant::now();
    let output = command.output().context("starting the build")?;
    let took = start.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("the build failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(took)
}
