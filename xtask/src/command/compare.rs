//! `cargo xtask compare`: whether two builds are the same, and if not, where they first differ.

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::judges::Judges;
use crate::{command, flags, reproduce};

/// Compares the images of two folders byte by byte.
pub fn run(ctx: &Ctx, args: &flags::Compare) -> anyhow::Result<()> {
    let a = std::path::absolute(&args.a).context("resolving the first folder")?;
    let b = std::path::absolute(&args.b).context("resolving the second folder")?;
    let tree = command::run::tools(ctx, &args.inputs)?;
    let judges = Judges::new(&tree, &ctx.target.join("compare"), &[&a, &b])?;
    reproduce::same(&judges, &a, &b)?;
    ctx.log.line("the same, byte for byte");
    Ok(())
}
