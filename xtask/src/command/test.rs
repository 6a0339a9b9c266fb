//! `cargo xtask test`: the tiers of the tests, together or one of them.

mod hardware;
mod image;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::checks::{self, Check, Counts};
use crate::ctx::Ctx;
use crate::disk_format::{self, DiskFormat};
use crate::flags::{self, Tier};
use crate::judges::Judges;
use crate::tools::Tools;
use crate::{cargo, command, pipeline, release};

pub use image::Judged;

/// Judge tests of a crate that run at a time: most of them wait, for etcd's clocks above all.
const JUDGES_AT_ONCE: &str = "6";
/// Versions behind the one under test: as many as three updates need.
const NEXT_IMAGES: u32 = 3;
/// Power cuts of each recording that are judged outside the long run.
const SAMPLE_CUTS: &str = "1000";
/// Most scenarios at a time. A machine has two processors, but it waits half of its time; more than two have not been
/// measured.
const SCENARIOS_MAX: usize = 2;

/// Runs the tier that was asked for, or all of them, and counts.
pub fn run(ctx: &Ctx, args: &flags::Test) -> anyhow::Result<()> {
    let filter = args.filter.as_deref();
    let unit = || Check::counting("unit tests and house rules", || unit(ctx, filter));
    let judge = || Check::counting("judges", || judge(ctx, &args.image, filter));
    let vm = || Check::counting("virtual machines", || vm(ctx, &args.image, filter));
    let checks = match args.tier {
        Some(Tier::Unit) => vec![unit()],
        Some(Tier::Judge) => vec![judge()],
        Some(Tier::Vm) => vec![vm()],
        None => vec![unit(), judge(), vm()],
    };
    let counts = checks::run_all(ctx, checks)?;
    checks::print_total(counts);
    Ok(())
}

/// All crates' tests; the house rules (`tidy.rs`) are tests of this one.
pub fn unit(ctx: &Ctx, filter: Option<&str>) -> anyhow::Result<Counts> {
    let mut command = cargo::command(ctx, &["test", "--workspace", "--locked", "--quiet"]);
    command.args(filter);
    cargo::counted(command, "cargo test")
}

/// Others' programs judge the crates' output and the image.
pub fn judge(ctx: &Ctx, args: &flags::Image, filter: Option<&str>) -> anyhow::Result<Counts> {
    let judged = Judged::read(&image_dir(ctx, args)?, args.seed)?;
    let judges = judges(ctx, args)?;
    let programs = programs(&judges, &judged)?;
    let temporary = judges.work().join("tmp");
    std::fs::create_dir_all(&temporary).with_context(|| format!("creating {}", temporary.display()))?;
    let mut crates = cargo::command(ctx, &["test", "--workspace", "--locked", "--quiet", "--test", "judge"]);
    let tree = command::run::tools(ctx, &args.inputs)?;
    crates.env("RUST_TEST_THREADS", JUDGES_AT_ONCE);
    crates.env("SLIPWAY_JUDGES", &programs).env("SLIPWAY_TOOLS", &tree).env("TMPDIR", &temporary);
    let browser = command::run::tools_of(ctx, &args.inputs, pipeline::BROWSER)?;
    crates.env("SLIPWAY_BROWSER", &browser).env("SLIPWAY_SBOM", judged.artifact("sbom")?);
    let mut all = Vec::new();
    if filter.is_none_or(|filter| "crates".contains(filter)) {
        all.push(Check::counting("crates' judge tests", move || {
            cargo::counted(crates, "cargo test --test judge")
        }));
    }
    if filter.is_none_or(|filter| "Ctrl-C in every stage".contains(filter)) {
        let args =
            ["test", "--package", "xtask", "--locked", "--quiet", "--test", "interrupt", "--", "--ignored"];
        let interrupted = cargo::command(ctx, &args);
        all.push(Check::counting("Ctrl-C in every stage", move || {
            cargo::counted(interrupted, "cargo test --test interrupt")
        }));
    }
    let site = Check::counting("the documentation site in a browser", || {
        command::docs::judge(ctx, &browser, &command::docs::build(ctx, &args.inputs)?)
    });
    let wanted = |check: &Check<'_>| filter.is_none_or(|filter| check.name.contains(filter));
    let formats = Check::new("qcow2, vmdk and vhd hold the same disk", || converted(ctx, args, &judges));
    all.extend([site, formats].into_iter().chain(judged.checks(ctx, &judges)).filter(wanted));
    checks::run_all(ctx, all)
}

/// The judges of an image, and a folder that they may write to.
fn judges(ctx: &Ctx, args: &flags::Image) -> anyhow::Result<Judges> {
    let tree = command::run::tools(ctx, &args.inputs)?;
    Judges::new(&tree, &ctx.target.join("judge"), &[&image_dir(ctx, args)?, &ctx.repo.join("overlays")])
}

/// Makes the folder with others' programs and those of the image, which tests run here.
fn programs(judges: &Judges, judged: &Judged) -> anyhow::Result<PathBuf> {
    let programs = judges.work().join("programs");
    judges.install(&programs)?;
    judges.install_shipped(&programs, &judged.artifact("usr")?)?;
    Ok(programs)
}

/// Makes that folder for the newest image.
pub fn shipped_programs(ctx: &Ctx, args: &flags::Image) -> anyhow::Result<PathBuf> {
    programs(&judges(ctx, args)?, &Judged::read(&image_dir(ctx, args)?, args.seed)?)
}

/// Scenarios in virtual machines, with images of higher versions beside the one under test. Of the power cuts in what
/// they record a sample is judged, and of the bad versions a sample comes.
pub fn vm(ctx: &Ctx, args: &flags::Image, filter: Option<&str>) -> anyhow::Result<Counts> {
    let seed = Judged::read(&image_dir(ctx, args)?, args.seed)?.seed.to_string();
    let mut command = e2e(ctx, args)?;
    command.args(["--sample-cuts", SAMPLE_CUTS, "--seed", &seed]);
    if let Some(filter) = filter {
        command.args(["--filter", filter]);
    }
    cargo::counted(command, "e2e")
}

/// All scenarios, with every power cut and every bad version. `found` gets what each says of its cuts, and which of
/// them it started.
pub fn vm_whole(ctx: &Ctx, args: &flags::Image, found: &mut Vec<String>) -> anyhow::Result<Counts> {
    let command = e2e(ctx, args)?;
    cargo::counted_and_read(command, "e2e", |line| {
        let said = line.split_once(": ").map_or("", |(_, said)| said);
        if said.contains(" cuts judged ") || said.starts_with("starting cut ") {
            found.push(said.to_owned());
        }
    })
}

fn e2e(ctx: &Ctx, args: &flags::Image) -> anyhow::Result<Command> {
    let tree = command::run::tools(ctx, &args.inputs)?;
    let image_dir = image_dir(ctx, args)?;
    let work = ctx.target.join("e2e");
    let mut command = cargo::command(ctx, &["run", "--quiet", "--locked", "--package", "e2e", "--"]);
    command.arg("--image-dir").arg(&image_dir);
    for next in next_images(ctx, args)? {
        command.arg("--next-image-dir").arg(&next);
    }
    command.arg("--formats-dir").arg(formats(ctx, args)?);
    let programs = shipped_programs(ctx, args)?;
    command.arg("--judges").arg(&programs);
    command.arg("--tools").arg(&tree).arg("--work").arg(&work);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = cores.min(SCENARIOS_MAX).to_string();
    // Machines that share cores take their time in proportion.
    command.args(["--jobs", &jobs, "--patience", &jobs]);
    Ok(command)
}

/// Writes the image in all formats, from the stages that it was made of.
fn formats(ctx: &Ctx, args: &flags::Image) -> anyhow::Result<PathBuf> {
    let version = Judged::read(&image_dir(ctx, args)?, args.seed)?.manifest.version;
    let build = flags::BuildImage {
        version: Some(version.parse().with_context(|| format!("reading the version `{version}`"))?),
        out: Some(ctx.target.join("image-formats")),
        format: DiskFormat::ALL.map(DiskFormat::wish).into_iter().chain([flags::Format::Netboot]).collect(),
        inputs: args.inputs.clone(),
        ..flags::BuildImage::default()
    };
    Ok(pipeline::build(ctx, &build)?.out)
}

/// Each format of the image converts back to it.
fn converted(ctx: &Ctx, args: &flags::Image, judges: &Judges) -> anyhow::Result<()> {
    let dir = formats(ctx, args)?;
    let manifest = release::read_manifest(&crate::command::report::newest(&dir)?)?;
    let raw = manifest.artifacts.get("raw").context("the manifest names no raw image")?;
    let tools = Tools::new(ctx, command::run::tools(ctx, &args.inputs)?);
    let names = release::Names::of(&manifest);
    for format in DiskFormat::ALL {
        let image = dir.join(names.disk(format));
        disk_format::judge(ctx, &tools, &image, format, (&raw.sha256, raw.size), judges.work())?;
    }
    Ok(())
}

/// Builds the next versions, with one more system user and unit.
fn next_images(ctx: &Ctx, args: &flags::Image) -> anyhow::Result<Vec<PathBuf>> {
    let mut version = Judged::read(&image_dir(ctx, args)?, args.seed)?.manifest.version;
    let mut dirs = vec![];
    for n in 1..=NEXT_IMAGES {
        version = next_version(&version).context("counting the version up")?;
        let built = pipeline::build(
            ctx,
            &flags::BuildImage {
                version: Some(version.parse().with_context(|| format!("reading the version `{version}`"))?),
                out: Some(ctx.target.join(format!("image-next-{n}"))),
                overlay: vec![ctx.repo.join("crates/e2e/next")],
                inputs: args.inputs.clone(),
                ..flags::BuildImage::default()
            },
        )?;
        dirs.push(built.out);
    }
    Ok(dirs)
}

/// `0.1.1` of `0.1.0` and of `0.1.0~rc.1`.
pub fn next_version(version: &str) -> Option<String> {
    let plain = version.split('~').next()?;
    let (start, last) = plain.rsplit_once('.')?;
    Some(format!("{start}.{}", last.parse::<u64>().ok()?.checked_add(1)?))
}

/// The folder of the image under test.
pub fn image_dir(ctx: &Ctx, args: &flags::Image) -> anyhow::Result<PathBuf> {
    match &args.image_dir {
        Some(dir) => std::path::absolute(dir).context("resolving --image-dir"),
        None => Ok(ctx.target.join("image")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_is_higher() {
        for version in ["0.1.0", "0.1.9", "1.2.3~rc.1"] {
            let next = next_version(version).unwrap();
            assert!(slots::compare_version_text(version, &next).is_lt(), "{version} {next}");
        }
        assert_eq!(next_version("x"), None);
    }
}
