//! Arguments of the commands that check, measure and report.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Inputs;

/// Arguments of `ci`.
#[derive(Args, Clone, Debug, Default)]
pub struct Ci {
    /// Seed of the sampled checks [default: from the commit]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub inputs: Inputs,
}

/// Arguments of `docs`.
#[derive(Args, Clone, Debug, Default)]
pub struct Docs {
    #[command(flatten)]
    pub inputs: Inputs,
}

/// Arguments of `test`.
#[derive(Args, Clone, Debug)]
pub struct Test {
    /// Which tests; all of them when left out
    #[arg(value_enum)]
    pub tier: Option<Tier>,
    /// Run only tests whose name contains this, or scenarios of this acceptance id
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    #[command(flatten)]
    pub image: Image,
}

/// An image to check.
#[derive(Args, Clone, Debug, Default)]
pub struct Image {
    /// Folder of the image to check [default: target/image]
    #[arg(long, value_name = "DIR")]
    pub image_dir: Option<PathBuf>,
    /// Seed of the sampled checks [default: from the commit]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub inputs: Inputs,
}

/// The tiers of the tests, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// Tests of all crates and the house rules.
    Unit,
    /// Other people's programs judge our formats and the newest image.
    Judge,
    /// Scenarios in virtual machines.
    Vm,
}

/// Arguments of `soak`.
#[derive(Args, Clone, Debug)]
pub struct Soak {
    /// Day to write into docs/soak.md
    #[arg(long, value_name = "YYYY-MM-DD", required_unless_present_any = ["sample", "only"])]
    pub date: Option<String>,
    /// Only the seeded sample that CI runs; writes nothing
    #[arg(long, conflicts_with = "date")]
    pub sample: bool,
    /// Only the long runs whose names have WORD in them; writes nothing
    #[arg(long, value_name = "WORD", conflicts_with_all = ["date", "sample"])]
    pub only: Option<String>,
    /// Cases of each property test
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub cases: u32,
    /// Builds that are compared with each other
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub builds: u32,
    #[command(flatten)]
    pub image: Image,
}

/// Arguments of `bench`.
#[derive(Args, Clone, Debug)]
pub struct Bench {
    /// What to measure; everything when left out
    #[arg(value_enum)]
    pub what: Option<Measure>,
    /// Boots of each image
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub runs: u32,
    /// Only this pair of versions of image/update-pairs.yaml (may be given several times)
    #[arg(long, value_name = "NAME")]
    pub pair: Vec<String>,
    #[command(flatten)]
    pub inputs: Inputs,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Cold, unchanged and small builds, against plain mkosi.
    Build,
    /// Time to a running Docker and memory, against plain mkosi's image.
    Boot,
    /// Lengths of the artifacts, against their budgets.
    Size,
    /// What machines fetch between pairs of versions, against other ways to update.
    Update,
    /// What fleet takes and how fast it is, with few machines and with many.
    Fleet,
}

/// Arguments of `report`.
#[derive(Args, Clone, Debug, Default)]
pub struct Report {
    /// Build manifest to show [default: that of the newest image in target/image]
    #[arg(value_name = "MANIFEST")]
    pub manifest: Option<PathBuf>,
    /// Build manifest to compare with
    #[arg(long, value_name = "MANIFEST")]
    pub against: Option<PathBuf>,
    /// Where to write the page [default: report.html beside the manifest]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `compare`.
#[derive(Args, Clone, Debug)]
pub struct Compare {
    /// Folder of a build's outputs
    #[arg(value_name = "DIR")]
    pub a: PathBuf,
    /// Folder of another's
    #[arg(value_name = "DIR")]
    pub b: PathBuf,
    #[command(flatten)]
    pub inputs: Inputs,
}
