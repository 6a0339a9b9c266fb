//! `fleetd`: the API, the engine and the agent of one machine; `fleetd guard` is the guard of its exclusive units.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fleet::daemon::{self, Options};

/// Runs the units of a cluster on this machine, and may place them on others.
#[derive(Debug, Parser)]
#[command(name = "fleetd", version)]
struct Flags {
    /// Settings, in the place of /etc/fleet/fleet.conf; the file must be there.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// What to do, if not to serve.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// End when this machine's lease is not sure to live any more (fleet-guard.service).
    Guard,
    /// Read the settings, say what is wrong with them, and end.
    Check,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let options = Options { config: flags.config };
    let ended = match flags.command {
        None => daemon::run(&options),
        Some(Command::Guard) => daemon::guard(),
        Some(Command::Check) => daemon::check(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            daemon::complain(&err);
            ExitCode::FAILURE
        }
    }
}
