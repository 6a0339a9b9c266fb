//! The command line: every command is a struct, nothing else parses arguments.

mod checks;
mod cluster;
mod flash;
mod release;
mod updates;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use checks::{Bench, Ci, Compare, Docs, Image, Measure, Report, Soak, Test, Tier};
pub use cluster::{Cluster, ClusterApply, ClusterCommand, ClusterUp};
pub use flash::Flash;
pub use release::{Release, VerifyRelease};
pub use updates::{Keys, KeysCommand, Payload, PayloadCommand, Publish, Serve};

/// Builds, runs and checks the Slipway image.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
pub struct Xtask {
    /// Show the output of the programs that are run (otherwise it is kept in target/log)
    #[arg(short, long, global = true)]
    pub verbose: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// One command each; the file of the same name below `command/` runs it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the bootable disk image
    BuildImage(BuildImage),
    /// Refresh the locked inputs and show the difference
    Lock(Lock),
    /// Boot the newest image in a virtual machine
    Run(Run),
    /// Put an image onto a USB stick, a disk or a file; without a device, list those that could be written
    Flash(Flash),
    /// Log in to the running virtual machine, or run a command in it
    Ssh(Ssh),
    /// Start, show, update and end a cluster of virtual machines
    Cluster(Cluster),
    /// Write a page that shows what an image consists of and how it differs from another
    Report(Report),
    /// Make, list and retire the keys that sign updates
    Keys(Keys),
    /// Show or check an update payload
    Payload(Payload),
    /// Offer a payload in a channel, in a folder that any static web server serves
    Publish(Publish),
    /// Make the folder that a release publishes, with everything signed
    Release(Release),
    /// Check a release as somebody who trusts nobody but its keys
    VerifyRelease(VerifyRelease),
    /// Serve a folder over HTTP, with ranges
    Serve(Serve),
    /// Check a cloud-config: exit code 0 if it is right, 1 with errors, 3 with warnings alone
    ValidateConfig(ValidateConfig),
    /// Build the documentation site into target/site and check its links
    Docs(Docs),
    /// Compare two builds byte by byte and name the first difference
    Compare(Compare),
    /// Run every check that CI runs
    Ci(Ci),
    /// Run one tier of the tests, or all of them
    Test(Test),
    /// Run the long tests and write docs/soak.md
    Soak(Soak),
    /// Measure build, boot and sizes, against plain mkosi where that means something
    Bench(Bench),
}

/// Arguments of `lock`.
#[derive(Args, Clone, Debug, Default)]
pub struct Lock {
    /// Base URL below which debian/ and debian-security/ lie [env: SLIPWAY_MIRROR]
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
}

/// Arguments of `build-image`.
#[derive(Args, Clone, Debug, Default)]
pub struct BuildImage {
    /// Version of the image: N.N.N or N.N.N~word.N [default: the workspace's version]
    #[arg(long, value_name = "V")]
    pub version: Option<slots::Version>,
    /// Folder for the image and what belongs to it [default: target/image]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Folder with the public keys that the image trusts and the secret keys that sign its payload [default: the
    /// committed INSECURE development pair]
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Leave out an optional package group (may be given several times)
    #[arg(long, value_name = "GROUP")]
    pub without: Vec<String>,
    /// A further folder laid over /usr after those of overlays/ (may be given several times)
    #[arg(long, value_name = "DIR")]
    pub overlay: Vec<PathBuf>,
    /// What to write beside the raw disk image
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT")]
    pub format: Vec<Format>,
    #[command(flatten)]
    pub inputs: Inputs,
}

/// Arguments of `run`.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// Disk image to boot [default: the newest in target/image]
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Leave the terminal alone; the console goes to a file
    #[arg(long)]
    pub headless: bool,
    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(256..))]
    pub memory: u32,
    /// What runs the guest's instructions; `auto` tries a tiny guest under KVM
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub accel: Accel,
    /// Add a word to the kernel command line (may be given several times)
    #[arg(long, value_name = "WORD")]
    pub append: Vec<String>,
    /// Configure the machine by this file, which is checked before; with --keep it is handed in anew at each run
    #[arg(long, value_name = "FILE")]
    pub cloud_config: Option<PathBuf>,
    /// Metadata beside it: a JSON object with any of hostname, public_keys, private_ipv4 and its kin
    #[arg(long, value_name = "FILE", requires = "cloud_config")]
    pub metadata: Option<PathBuf>,
    /// Keep the disk, and use it again the next time
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub inputs: Inputs,
}

/// What runs a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accel {
    /// KVM where it runs a guest, else software emulation.
    Auto,
    /// The processor.
    Kvm,
    /// Software emulation.
    Tcg,
}

/// Arguments of `ssh`.
#[derive(Args, Clone, Debug)]
pub struct Ssh {
    /// Which machine, when several are running
    #[arg(long, value_name = "NAME")]
    pub vm: Option<String>,
    /// Command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Arguments of `validate-config`.
#[derive(Args, Clone, Debug)]
pub struct ValidateConfig {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Where the locked packages may come from.
#[derive(Args, Clone, Debug, Default)]
pub struct Inputs {
    /// Refuse to build when a locked file is gone or the lock is older than the definition
    #[arg(long)]
    pub locked: bool,
    /// Use only what the cache holds
    #[arg(long)]
    pub offline: bool,
    /// Base URL below which debian/ and debian-security/ lie [env: SLIPWAY_MIRROR]
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
}

/// What else the image is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Format {
    /// Sparse raw image, always written.
    Raw,
    /// QEMU copy-on-write image.
    Qcow2,
    /// VMware's sparse image of one file.
    Vmdk,
    /// Virtual PC's image of fixed length, which Hyper-V and Azure take.
    Vhd,
    /// Kernel and initrd that start without a disk, with a script for iPXE.
    Netboot,
}
