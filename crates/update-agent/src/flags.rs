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
    Unhold(VersionArgs),
    /// Show the last hundred things that happened.
    History(FormatArgs),
    /// Print a line whenever something changes.
    Watch(FormatArgs),
    /// Take back that a version waits for a reboot; what was written stays.
    ResetStatus,
    /// Exit code 0 if the machine is to reboot now, 1 if not (slipway-reboot.service).
    #[command(hide = true)]
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
