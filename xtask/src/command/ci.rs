//! `cargo xtask ci`: everything that a change must pass, in the order of cost.

use std::process::Stdio;

use anyhow::Context as _;

use crate::checks::{self, Check};
use crate::command::{build_image, docs, soak, test};
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::judges::Judges;
use crate::reproduce::{Agents, Seat};
use crate::{cargo, command, flags, inputs, pipeline, reproduce};

/// Runs the checks up to the first that fails.
pub fn run(ctx: &Ctx, args: &flags::Ci) -> anyhow::Result<()> {
    let image = flags::Image { seed: args.seed, inputs: args.inputs.clone(), ..flags::Image::default() };
    let build = flags::BuildImage { inputs: args.inputs.clone(), ..flags::BuildImage::default() };
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    let mut all = vec![
        Check::new("format", || cargo::run(ctx, &["fmt", "--all", "--check"])),
        Check::new("lints", || cargo::run(ctx, &clippy)),
        Check::counting("unit tests and house rules", || test::unit(ctx, None)),
        Check::new("packages", || packages(ctx, &args.inputs)),
        Check::new("documentation site", || docs::build(ctx, &args.inputs).map(drop)),
        Check::new("image", || build_image::run(ctx, &build)),
        Check::new("the same bytes again, elsewhere, as an ordinary user", || reproduced(ctx, &image)),
        Check::counting("judges", || test::judge(ctx, &image, None)),
        Check::counting("virtual machines", || test::vm(ctx, &image, None)),
        Check::counting("soak, a sample", || soak::sample(ctx, &image)),
    ];
    if has_cargo_deny(ctx) {
        // Its database of advisories may be out of reach; the rest of deny.toml is a house rule already.
        all.insert(
            2,
            Check::new("deny.toml", || cargo::run(ctx, &["deny", "check", "licenses", "bans", "sources"])),
        );
    }
    let counts = checks::run_until_failure(ctx, all)?;
    checks::print_total(counts);
    Ok(())
}

/// Gets what all later checks need: a package that is gone from the mirror has everything locked again, which must not
/// happen between two images.
fn packages(ctx: &Ctx, args: &flags::Inputs) -> anyhow::Result<()> {
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    inputs::get(ctx, &definition, args, &[], &pipeline::TESTED).map(drop)
}

/// Builds the image again in a fresh folder and compares; our own programs are compiled once.
fn reproduced(ctx: &Ctx, args: &flags::Image) -> anyhow::Result<()> {
    let tree = command::run::tools(ctx, &args.inputs)?;
    let first = test::image_dir(ctx, args)?;
    let version = test::Judged::read(&first, args.seed)?.manifest.version;
    let target = ctx.target.join("again");
    let second = reproduce::build_again(ctx, &tree, &version, &target, Agents::Taken, Seat::OrdinaryUser)?;
    let judges = Judges::new(&tree, &ctx.target.join("compare"), &[&first, &second])?;
    reproduce::same(&judges, &first, &second)?;
    crate::durable::remove_if_there(&target).context("removing the second build")
}

fn has_cargo_deny(ctx: &Ctx) -> bool {
    let mut command = cargo::command(ctx, &["deny", "--version"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
