//! `cargo xtask soak`: the long runs, and the small seeded sample of them that CI takes.

mod desk;
mod exhaustive;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{bail, ensure};

use crate::checks::{self, Check, Counts};
use crate::command::test::{self, Judged};
use crate::ctx::Ctx;
use crate::judges::Judges;
use crate::reproduce::{Agents, Seat};
use crate::seeded::Random;
use crate::{cargo, command, durable, flags, reproduce};

/// Cases of each fuzz seed in CI's sample.
const SAMPLE_CASES: u32 = 400;
/// Random histories of each simulation in CI's sample, and in the long run.
const FLEET: Simulation =
    Simulation { package: "fleet-core", variable: "FLEET_HISTORIES", sample: 100_000, long: 1_000_000 };
const LOCKSMITH: Simulation =
    Simulation { package: "locksmith-core", variable: "LOCKSMITH_HISTORIES", sample: 10_000, long: 200_000 };
/// Crates whose property tests are run with all their other tests, which are quick.
const PROPERTIES: [&str; 7] = ["deb", "disk-image", "payload", "slots", "uki", "verity", "write-log"];
/// Crates of which only the tests are run that have properties: others of theirs start programs, or are a run of their
/// own here.
const PROPERTIES_AMONG_OTHERS: [(&str, &[&str]); 7] = [
    ("cloud-config", &["--test", "properties"]),
    ("cluster-page", &["--lib"]),
    ("etcd-rpc", &["--lib"]),
    ("flash", &["--lib"]),
    ("fleet", &["--lib"]),
    ("fleet-core", &["--lib", "--test", "agent"]),
    ("locksmith-core", &["--test", "semaphore", "--test", "window"]),
];
/// Blocks in which the long run lets veritysetup look for a flipped byte: it reads the image each time.
const FOREIGN_FLIPS: usize = 300;

/// Machines of a cluster that fail in every way while a daemon of ours decides; the first numbers are the same in each
/// run.
struct Simulation {
    package: &'static str,
    /// Says how many histories are played.
    variable: &'static str,
    sample: u32,
    long: u32,
}

impl Simulation {
    fn check<'a>(&'a self, ctx: &'a Ctx, count: u32) -> Check<'a> {
        Check::counting(format!("{count} random histories of {}", self.package), move || {
            let args = ["test", "--quiet", "--locked", "--package", self.package, "--test", "simulation"];
            let mut command = cargo::command(ctx, &args);
            command.args(["--", "histories_break_no_rule"]).env(self.variable, count.to_string());
            cargo::counted(command, "cargo test --test simulation")
        })
    }
}

/// Runs everything for long and writes what was done into docs/soak.md, or runs one part of it, or CI's sample.
pub fn run(ctx: &Ctx, args: &flags::Soak) -> anyhow::Result<()> {
    if args.sample {
        checks::print_total(sample(ctx, &args.image)?);
        return Ok(());
    }
    if let Some(date) = &args.date {
        check_date(date)?;
    }
    let tree = command::run::tools(ctx, &args.image.inputs)?;
    let image_dir = test::image_dir(ctx, &args.image)?;
    let judged = Judged::read(&image_dir, args.image.seed)?;
    let judges = Judges::new(&tree, &ctx.target.join("soak"), &[&image_dir])?;
    let n_blocks = judged.manifest.usr_blocks;
    let flips: BTreeSet<u64> = {
        let mut random = Random::new(judged.seed);
        (0..FOREIGN_FLIPS).map(|_| random.below(n_blocks)).collect()
    };
    let n_flips = flips.len();
    let start = Instant::now();
    let mut cuts = Vec::new();
    let mut all = vec![
        Check::counting(format!("property tests, {} cases or their own number", args.cases), || {
            properties(ctx, args.cases)
        }),
        Check::counting(format!("changed seeds of the fuzz targets, {} each", args.cases), || {
            fuzz(ctx, args.cases, judged.seed)
        }),
        FLEET.check(ctx, FLEET.long),
        LOCKSMITH.check(ctx, LOCKSMITH.long),
        Check::new(format!("our verifier finds a flipped byte in each of {n_blocks} blocks"), || {
            exhaustive::every_block(ctx, &judged)
        }),
        Check::new(format!("veritysetup finds a flipped byte in {n_flips} blocks"), || {
            judged.flips(ctx, &judges, &flips)
        }),
    ];
    all.push(Check::counting("all scenarios, with every power cut and every bad version", || {
        test::vm_whole(ctx, &args.image, &mut cuts)
    }));
    all.push(Check::new("three machines on one desk take an update and refuse a bad one", || {
        desk::takes_a_good_and_refuses_a_bad_update(ctx, &image_dir)
    }));
    for n in 1..=args.builds {
        let (tree, judges, image_dir, judged) = (&tree, &judges, &image_dir, &judged);
        all.push(Check::new(format!("build {n} from nothing, elsewhere, is the same"), move || {
            let target = ctx.target.join("again").join(n.to_string());
            let version = &judged.manifest.version;
            let second =
                reproduce::build_again(ctx, tree, version, &target, Agents::Compiled, Seat::OrdinaryUser)?;
            let compare = Judges::new(tree, judges.work(), &[image_dir, &second])?;
            reproduce::same(&compare, image_dir, &second)?;
            durable::remove_if_there(&target)
        }));
    }
    if let Some(only) = &args.only {
        all.retain(|check| check.name.contains(only.as_str()));
        ensure!(!all.is_empty(), "--only {only}: no check's name has that in it");
    }
    let names: Vec<String> = all.iter().map(|check| check.name.clone()).collect();
    let counts = checks::run_all(ctx, all)?;
    let minutes = start.elapsed().as_secs() / 60;
    if let Some(date) = &args.date {
        let path = ctx.repo.join("docs/soak.md");
        durable::write(&path, page(date, &judged, &names, &cuts, counts, minutes).as_bytes())?;
        ctx.log.line(&format!("wrote {}", path.display()));
    }
    checks::print_total(counts);
    Ok(())
}

/// A part of each long run that no other check of CI has a part of, chosen by the seed. The property tests are in the
/// unit tier, with other cases in each run.
pub fn sample(ctx: &Ctx, args: &flags::Image) -> anyhow::Result<Counts> {
    let judged = Judged::read(&test::image_dir(ctx, args)?, args.seed)?;
    let seed = judged.seed;
    checks::run_all(
        ctx,
        vec![
            Check::counting(format!("changed seeds of the fuzz targets (seed {seed})"), || {
                fuzz(ctx, SAMPLE_CASES, seed)
            }),
            FLEET.check(ctx, FLEET.sample),
            LOCKSMITH.check(ctx, LOCKSMITH.sample),
            Check::new(
                format!("our verifier finds a flipped byte in any of 64 blocks (seed {seed})"),
                || exhaustive::some_blocks(&judged, 64),
            ),
        ],
    )
}

fn properties(ctx: &Ctx, cases: u32) -> anyhow::Result<Counts> {
    let all = PROPERTIES.map(|name| ["--package", name]).concat();
    let some = PROPERTIES_AMONG_OTHERS.map(|(name, tests)| [&["--package", name][..], tests].concat());
    let mut counts = Counts::default();
    for arguments in some.into_iter().chain([all]) {
        let mut command = cargo::command(ctx, &["test", "--quiet", "--locked"]);
        command.args(arguments).env("PROPTEST_CASES", cases.to_string());
        counts = counts.and(cargo::counted(command, "cargo test")?);
    }
    Ok(counts)
}

/// The fuzz targets are functions: without libFuzzer, seeded changes of their seeds drive them.
/// Compiling them for speed pays only for many.
fn fuzz(ctx: &Ctx, cases: u32, seed: u64) -> anyhow::Result<Counts> {
    let mut command = cargo::command(ctx, &["test", "--quiet", "--locked", "--package", "slipway-fuzz"]);
    if cases > SAMPLE_CASES {
        command.args(["--profile", "fuzz"]);
    }
    command.env("SLIPWAY_FUZZ_CASES", cases.to_string()).env("SLIPWAY_FUZZ_SEED", seed.to_string());
    cargo::counted(command, "cargo test of fuzz/")
}

fn page(
    date: &str,
    judged: &Judged,
    names: &[String],
    cuts: &[String],
    counts: Counts,
    minutes: u64,
) -> String {
    let Judged { manifest, seed, .. } = judged;
    let mut text = String::from(
        "# The long runs\n\nWritten by `cargo xtask soak --date YYYY-MM-DD`; CI runs a seeded sample of the same, \
         `cargo xtask soak --sample`.\n\n| what | value |\n| --- | --- |\n",
    );
    for (what, value) in [
        ("date", date.to_owned()),
        ("commit of the image", format!("`{}`", manifest.commit)),
        ("version", manifest.version.clone()),
        ("root hash", format!("`{}`", manifest.root_hash)),
        ("compiler", manifest.toolchain.get("rustc").cloned().unwrap_or_default()),
        ("seed", seed.to_string()),
        ("minutes", minutes.to_string()),
        ("tests", format!("{} passed, {} failed", counts.passed, counts.failed)),
    ] {
        writeln!(text, "| {what} | {value} |").expect("writing to a string cannot fail");
    }
    text.push_str("\n## What ran\n\n");
    for name in names {
        writeln!(text, "- {name}").expect("writing to a string cannot fail");
    }
    text.push_str("\n## Power cuts\n\n");
    for line in cuts {
        writeln!(text, "- {line}").expect("writing to a string cannot fail");
    }
    text.push_str(
        "\nOur verifier and `veritysetup` answer alike on every sample, so the exhaustive run uses ours: \
         veritysetup reads the whole image for each flipped byte.\n",
    );
    text
}

fn check_date(text: &str) -> anyhow::Result<()> {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.as_slice() {
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => Ok(()),
        _ => bail!("--date {text}: write it as 2026-11-23"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_crate_with_property_tests_is_run() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        let mut have = BTreeSet::new();
        for folder in std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path()) {
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            if manifest.lines().any(|line| line.starts_with("proptest")) {
                have.insert(folder.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
        let run = PROPERTIES_AMONG_OTHERS.map(|(name, _)| name).into_iter().chain(PROPERTIES);
        assert_eq!(run.map(str::to_owned).collect::<BTreeSet<_>>(), have);
    }

    #[test]
    fn a_date_is_year_month_day() {
        check_date("2026-11-23").unwrap();
        for wrong in ["", "23.11.2026", "2026-11", "2026-1-2", "2026-11-23T"] {
            assert!(check_date(wrong).is_err(), "{wrong}");
        }
    }
}
