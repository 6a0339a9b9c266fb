//! The command line: the only file that knows the parser.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use slots::Version;
use update_agent::command::print::Format;

/// Updates the host: fetches signed versions, writes them to the other slot, and says what became of them.
#[derive(Debug, Parser)]
#[command(name = "slipway-update", version, propagate_version = true)]
pub struct Flags {
    /// Root of the tree to work on; anything but `/` is a copy in which nothing is mounted or restarted.
    #[arg(long, global = true, default_value = "/", hide = true)]
    pub root: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands; those hidden from help are run by units.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check and update for ever, as the settings say (slipway-update.service).
    Run,
    /// Show what is going on, what was taken and what failed.
    Status(FormatArgs),
    /// Ask the server what is on offer, and take nothing.
    Check(FormatArgs),
    /// Take what is on offer now, or a payload from a file or URL.
    Apply(ApplyArgs),
    /// Put the newer version last and hold it; the other one runs after a reboot.
    Rollback,
    /// Take no version any more, or not this one.
    Hold(VersionArgs),
    /// Lift all holds, or that of one version, which may be taken again even if it failed.
    Unhold(UnholdArgs),
    /// Do not take a version that failed on another machine, and take it back if it only waits (locksmithd does this).
    Refuse(RefuseArgs),
    /// Show the last hundred things that happened.
    History(FormatArgs),
    /// Print a line whenever something changes.
    Watch(FormatArgs),
    /// Take back that a version waits for a reboot; what was written stays.
    ResetStatus,
    /// Print the version that waits for a reboot, or say why none does: exit code 0 or 1.
    RebootWanted,
    /// Record the running version as good and replace an older boot loader (slipway-update-blessed.service).
    #[command(hide = true)]
    Blessed,
}

/// Choice of the output format.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// Print JSON of a documented shape (docs/operating/updates.md).
    #[arg(long)]
    pub json: bool,
}

impl FormatArgs {
    /// Returns the format asked for.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

/// Arguments of `slipway-update apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A payload file, or the http or https URL of one; without it, what the channel offers.
    #[arg(long, value_name = "FILE|URL")]
    pub payload: Option<String>,
    /// Choice of the output format.
    #[command(flatten)]
    pub format: FormatArgs,
}

/// A version, or all of them.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// The version; without it, all.
    #[arg(id = "which", value_name = "VERSION")]
    pub version: Option<Version>,
}

/// Arguments of `slipway-update unhold`.
#[derive(Debug, Args)]
pub struct UnholdArgs {
    /// The version; without it, all.
    #[command(flatten)]
    which: VersionArgs,
    /// Only allow the version again that failed or was refused; an operator's hold stays.
    #[arg(long, requires = "which")]
    pub failure: bool,
}

impl UnholdArgs {
    /// Returns the version, or `None` for all.
    pub fn version(&self) -> Option<&Version> {
        self.which.version.as_ref()
    }
}

/// Arguments of `slipway-update refuse`.
#[derive(Debug, Args)]
pub struct RefuseArgs {
    /// The version.
    // Not `version`, which is clap's own flag.
    #[arg(id = "which", value_name = "VERSION")]
    pub version: Version,
    /// Why: which machine it failed on, and how.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}
