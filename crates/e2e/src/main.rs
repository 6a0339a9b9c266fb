//! The tests that boot the image in virtual machines. `cargo xtask test vm` runs this program.
//!
//! Every scenario is a function in the table of `scenario.rs`; `harness.rs` runs them, `lab.rs` is what they
//! work with.

mod cuts;
mod direct;
mod drive;
mod guest;
mod harness;
mod image;
mod lab;
mod offline;
mod onto;
mod scenario;
mod site;
mod standin;
mod tap;
mod variant;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use vm::{Accel, Sandbox};

use crate::cuts::Choice;

/// Boots the image in virtual machines and checks what must be true of it.
#[derive(Debug, Parser)]
#[command(name = "e2e", max_term_width = 100)]
struct Flags {
    /// Folder with the image: `latest` in it leads to the manifest
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    image_dir: Option<PathBuf>,
    /// Folder with a further image, each of a higher version than the one before, built with `--overlay
    /// crates/e2e/next` (may be given several times)
    #[arg(long, value_name = "DIR")]
    next_image_dir: Vec<PathBuf>,
    /// The tools tree with QEMU, firmware and OpenSSH
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    tools: Option<PathBuf>,
    /// Folder with the image in other formats, and what starts it from the network
    #[arg(long, value_name = "DIR")]
    formats_dir: Option<PathBuf>,
    /// Folder with programs of the image that run here as stand-ins for services of the Internet
    #[arg(long, value_name = "DIR")]
    judges: Option<PathBuf>,
    /// Folder for disks and logs
    #[arg(long, value_name = "DIR", default_value = "target/e2e")]
    work: PathBuf,
    /// Run only scenarios whose name or acceptance id contains this (may be given several times)
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Print the scenarios and end
    #[arg(long)]
    list: bool,
    /// Scenarios at a time
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// What runs the guests' instructions
    #[arg(long, value_enum, default_value_t = AccelWish::Auto)]
    accel: AccelWish,
    /// Multiply all deadlines, for a slow host
    #[arg(long, value_name = "FACTOR", default_value_t = 1)]
    patience: u32,
    /// Keep the disks and logs of failed scenarios
    #[arg(long)]
    keep: bool,
    /// Judge about so many power cuts of each recording instead of all, and run a part of what is rare
    #[arg(long, value_name = "N")]
    sample_cuts: Option<u64>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only judge the power cuts of the recording in this machine's folder, which `--keep` kept
    #[arg(long, value_name = "DIR")]
    recording: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AccelWish {
    /// KVM where a tiny guest runs under it.
    Auto,
    /// The processor.
    Kvm,
    /// Software emulation.
    Tcg,
}

fn main() -> ExitCode {
    match run(Flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all scenarios passed.
fn run(flags: Flags) -> anyhow::Result<bool> {
    let is_sampled = flags.sample_cuts.is_some() && flags.filter.is_empty();
    let left_out = if is_sampled { scenario::left_out(flags.seed) } else { Vec::new() };
    let wanted = scenario::ALL.iter().filter(|scenario| scenario.matches(&flags.filter));
    let chosen: Vec<_> = wanted.filter(|scenario| !left_out.contains(&scenario.name)).collect();
    if flags.list {
        for scenario in chosen {
            println!("{}", scenario.line());
        }
        return Ok(true);
    }
    anyhow::ensure!(!chosen.is_empty(), "no scenario matches the filter: --list shows them");
    let (Some(image_dir), Some(tools)) = (flags.image_dir, flags.tools) else {
        anyhow::bail!("--image-dir and --tools are needed to run scenarios");
    };
    let image = image::Image::latest(&image_dir)?;
    let next = flags.next_image_dir.iter().map(|dir| image::Image::latest(dir)).collect::<Result<_, _>>()?;
    let tools = std::path::absolute(&tools).context("resolving --tools")?;
    let work = std::path::absolute(&flags.work).context("resolving --work")?;
    std::fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
    let sandbox = Sandbox::new(tools);
    sandbox.probe()?;
    let accel = match flags.accel {
        AccelWish::Kvm => Accel::Kvm,
        AccelWish::Tcg => Accel::Tcg,
        AccelWish::Auto => {
            let choice = vm::accel::choose(&sandbox, &work)?;
            println!("accelerator: {}{}", choice.accel, reason(&choice.reason));
            choice.accel
        }
    };
    let formats =
        flags.formats_dir.map(std::path::absolute).transpose().context("resolving --formats-dir")?;
    let judges = flags.judges.map(std::path::absolute).transpose().context("resolving --judges")?;
    let (seed, patience) = (flags.seed, flags.patience.max(1));
    let cuts = flags.sample_cuts.map_or(Choice::All, |n_cuts| Choice::Sample { n_cuts, seed });
    let setup = lab::Setup {
        sandbox,
        image,
        next,
        formats,
        judges,
        work,
        accel,
        patience,
        keep: flags.keep,
        cuts,
        seed,
    };
    if let Some(dir) = flags.recording {
        let home = vm::Home::claim(&setup.sandbox, &dir).context("opening the recording")?;
        let images: Vec<_> = std::iter::once(&setup.image).chain(&setup.next).collect();
        cuts::judge_all(&lab::Lab::new(&setup, "recording"), &home, &images)?;
        return Ok(true);
    }
    for name in left_out {
        println!("left to the long run by seed {seed}: {name}");
    }
    harness::run(&setup, &chosen, flags.jobs.max(1))
}

fn reason(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}
