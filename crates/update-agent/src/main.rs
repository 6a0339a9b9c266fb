//! `slipway-update`: the update agent's commands.
//!
//! Exit codes: 0 done, 1 failed or no, 2 wrong usage.

mod flags;

use std::process::ExitCode;

use agent_support::host::Host;
use clap::Parser;
use update_agent::command::{self, Exit};
use update_agent::source::Limits;

use crate::flags::{Command, Flags};

fn main() -> ExitCode {
    let flags = Flags::parse();
    let (host, limits) = (Host::new(flags.root), Limits::default());
    let res = match flags.command {
        Command::Run => command::run::run(&host, &limits).map(|never| match never {}),
        Command::Status(args) => command::status::status(&host, args.format()),
        Command::Check(args) => command::check::check(&host, &limits, args.format()),
        Command::Apply(args) => {
            command::check::apply(&host, &limits, args.payload.as_deref(), args.format.format())
        }
        Command::Rollback => command::rollback::rollback(&host),
        Command::Hold(args) => command::hold::hold(&host, args.version.as_ref()),
        Command::Unhold(args) => match args.version() {
            Some(version) if args.failure => command::hold::forgive(&host, version),
            version => command::hold::unhold(&host, version),
        },
        Command::Refuse(args) => command::refuse::refuse(&host, &args.version, &args.reason),
        Command::History(args) => command::history(&host, args.format()),
        Command::Watch(args) => command::watch::watch(&host, args.format()).map(|never| match never {}),
        Command::ResetStatus => command::reset::reset_status(&host),
        Command::RebootWanted => command::reboot_wanted(&host),
        Command::Blessed => command::blessed::blessed(&host),
    };
    match res {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::No) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}
