//! The subcommands of `fleetctl` and their flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::seconds;
use super::unit_flags::{Bring, Patience, Replace, Take, Units};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Something about the cluster.
    #[command(flatten)]
    Ask(Ask),
    /// Something about fleetctl itself.
    #[command(flatten)]
    Alone(Alone),
}

/// Commands that ask fleetd.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Store units without placing them.
    Submit(SubmitArgs),
    /// Place units on machines without starting them; stores them first if needed.
    Load(Bring),
    /// Start units, and wait until they run; stores and places them first if needed.
    Start(Bring),
    /// Stop units; they stay where they are.
    Stop(Take),
    /// Stop units and take them from their machines; they stay stored.
    Unload(Take),
    /// Stop units and forget them.
    Destroy(Take),
    /// Stop and start units, one after the other.
    Restart(RestartArgs),
    /// List the machines that are alive.
    ListMachines(ListArgs),
    /// List what runs: the units on machines and what systemd says of them.
    ListUnits(ListArgs),
    /// List what is stored: units, what is wanted of them and where they are placed.
    ListUnitFiles(ListArgs),
    /// Print a unit's file as it is stored.
    Cat(Units),
    /// Show what `systemctl status` says of units, on their machines.
    Status(StatusArgs),
    /// Show the log of a unit, from its machine.
    Journal(JournalArgs),
    /// Open a shell or run a command on a machine, or on that of a unit.
    Ssh(SshArgs),
    /// Say why a unit is where it is, or nowhere.
    Explain(Units),
    /// Keep new units away from machines.
    Cordon(Machines),
    /// Let machines take units again.
    Uncordon(Machines),
    /// Move all units away from a machine, and wait until it has none.
    Drain(DrainArgs),
    /// Let a drained machine take units again.
    Undrain(Machines),
    /// Move units so that all machines have about as many.
    Rebalance(RebalanceArgs),
}

/// Commands that ask nobody.
#[derive(Debug, Subcommand)]
pub enum Alone {
    /// Gone: units were once signed.
    #[command(hide = true)]
    Verify(Units),
    /// Print the version.
    Version,
    /// Print a script that completes fleetctl's command line in a shell.
    Completion(CompletionArgs),
    /// Connect standard input and output with a unix socket (what --tunnel runs on the other side).
    #[command(hide = true)]
    FdForward(FdForwardArgs),
}

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// Whether content is replaced.
    #[command(flatten)]
    pub replace: Replace,
}

/// Arguments of `restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// Give up after so many attempts of 2 seconds each, for each unit; 0 waits without an end.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub block_attempts: u32,
}

impl RestartArgs {
    /// Returns how long to wait. There is no way not to: a unit that is told to stop and to start at once does neither.
    pub fn patience(&self) -> Patience {
        if self.block_attempts == 0 { Patience::Endless } else { Patience::Attempts(self.block_attempts) }
    }
}

/// Arguments of the commands that print a table.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Do not shorten machine ids and hashes.
    #[arg(long, short = 'l')]
    pub full: bool,
    /// Print no line of column names.
    #[arg(long)]
    pub no_legend: bool,
    /// Columns to print, separated by commas.
    #[arg(long, value_name = "COLUMNS")]
    pub fields: Option<String>,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// Port of SSH on the machine.
    #[arg(long, value_name = "PORT", default_value_t = 22)]
    pub ssh_port: u16,
}

/// Arguments of `journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// Which unit.
    #[arg(value_name = "UNIT")]
    pub unit: Option<String>,
    /// Number of lines from the end.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub lines: u32,
    /// Go on with new lines until interrupted.
    #[arg(long, short = 'f')]
    pub follow: bool,
    /// Format of the lines, as journalctl knows them.
    #[arg(long, value_name = "FORMAT", default_value = "short")]
    pub output: String,
    /// Run journalctl as root, by sudo.
    #[arg(long)]
    pub sudo: bool,
    /// Port of SSH on the machine.
    #[arg(long, value_name = "PORT", default_value_t = 22)]
    pub ssh_port: u16,
}

/// Arguments of `ssh`.
#[derive(Debug, Args)]
pub struct SshArgs {
    /// Lend the SSH agent to the machine.
    #[arg(short = 'A', long)]
    pub forward_agent: bool,
    /// Machine, by the beginning of its id; then all words are the command.
    #[arg(long, short = 'm', value_name = "MACHINE", conflicts_with = "unit")]
    pub machine: Option<String>,
    /// Unit whose machine is meant; then all words are the command.
    #[arg(long, short = 'u', value_name = "UNIT")]
    pub unit: Option<String>,
    /// Port of SSH on the machine.
    #[arg(long, value_name = "PORT", default_value_t = 22)]
    pub ssh_port: u16,
    /// Beginning of a machine's id or name of a unit, then a command; without one a shell is opened.
    #[arg(value_name = "TARGET [COMMAND]", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// Machines of a command.
#[derive(Debug, Args)]
pub struct Machines {
    /// Beginnings of machine ids.
    #[arg(value_name = "MACHINE", required = true)]
    pub machines: Vec<String>,
}

/// Arguments of `drain`.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Beginning of the machine's id.
    #[arg(value_name = "MACHINE")]
    pub machine: String,
    /// Longest wait until the machine has no units, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub timeout: Duration,
    /// Ask for it and do not wait.
    #[arg(long)]
    pub no_block: bool,
}

/// Arguments of `rebalance`.
#[derive(Debug, Args)]
pub struct RebalanceArgs {
    /// Only say what would be moved.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `fd-forward`.
#[derive(Debug, Args)]
pub struct FdForwardArgs {
    /// The socket.
    pub socket: PathBuf,
}
