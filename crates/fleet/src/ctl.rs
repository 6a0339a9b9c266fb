//! The program `fleetctl`: asks fleetd over the API, waits, and prints in the words of the original.
//!
//! Pure parts say what is printed and run ([`table`], [`show`], [`sight`], [`ssh`], [`target`]); the commands put them
//! between the API and the terminal. `docs/operating/fleetctl.md` is the reference.

mod bring;
mod connect;
mod endpoint;
mod explain;
mod failure;
mod fd_forward;
mod flags;
mod fleet;
mod hold;
mod host;
mod list;
mod local;
mod look;
mod out;
mod plan;
mod show;
mod sight;
mod source;
mod ssh;
mod table;
mod take;
mod target;
mod tunnel;
mod view;
mod wait;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use fleet_core::model::Hold;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::Api;
use failure::Failure;
use flags::command::{Alone, Ask, Command};
use flags::unit_flags::{Bring, Patience, Replace, Take};
use flags::{Flags, Global};
use fleet::Fleet;
use host::Reach;
use out::{Format, Out, Talk};
use source::Replacing;

/// Exit code after an interrupt, as shells have it.
const INTERRUPTED: u8 = 130;

/// What every command has.
#[derive(Debug)]
struct Context<A> {
    /// Who is asked.
    fleet: Fleet<A>,
    /// How machines are reached.
    reach: Reach,
    /// Where results go.
    out: Out,
}

/// Runs `fleetctl` with the arguments of this process.
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    let Some(command) = flags.command else {
        // Asking for nothing is asking what there is.
        return exit(Flags::command().print_help().map_err(Failure::Output));
    };
    exit(run(&flags.global, command))
}

fn exit(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    if let Some(line) = failure.line() {
        eprintln!("{line}");
    }
    ExitCode::from(failure.code())
}

fn run(global: &Global, command: Command) -> Result<(), Failure> {
    let format = if global.json { Format::Json } else { Format::Text };
    let talk = if global.debug { Talk::Debug } else { Talk::Quiet };
    let out = Out { format, talk };
    let command = match command {
        Command::Alone(command) => return alone(out, &command),
        Command::Ask(command) => command,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::Runtime)?.block_on(async {
        let (client, reach) = connect::open(global, out)?;
        let cx = Context { fleet: Fleet::new(client, out), reach, out };
        if matches!(command, Ask::Status(_) | Ask::Journal(_) | Ask::Ssh(_)) {
            // Interrupts are for the program on the machine, whose end is waited for.
            return ask(&cx, command).await;
        }
        let mut interrupts = signal(SignalKind::interrupt()).map_err(Failure::Runtime)?;
        tokio::select! {
            result = ask(&cx, command) => result,
            // Only the waiting ends: what was asked for goes on. An `ssh` of the tunnel ends with it.
            _ = interrupts.recv() => Err(Failure::Said(INTERRUPTED)),
        }
    })
}

fn alone(out: Out, command: &Alone) -> Result<(), Failure> {
    match command {
        Alone::Version => match out.format {
            Format::Text => out.text(&format!("fleetctl {}\n", flags::VERSION)),
            Format::Json => out.json(&serde_json::json!({ "version": env!("CARGO_PKG_VERSION") })),
        },
        Alone::Verify(_) => Err(Failure::Verify),
        Alone::Completion(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Flags::command(), "fleetctl", &mut script);
            out.text(&String::from_utf8_lossy(&script))
        }
        Alone::FdForward(args) => fd_forward::run(&args.socket),
    }
}

async fn ask<A: Api>(cx: &Context<A>, command: Ask) -> Result<(), Failure> {
    match command {
        Ask::Submit(args) => {
            let replacing = replacing(&args.replace);
            bring::run(cx, bring::Verb::Submit, &args.units.units, replacing, Patience::None).await
        }
        Ask::Load(args) => bring_units(cx, bring::Verb::Load, &args).await,
        Ask::Start(args) => bring_units(cx, bring::Verb::Start, &args).await,
        Ask::Stop(args) => take_units(cx, take::Verb::Stop, &args).await,
        Ask::Unload(args) => take_units(cx, take::Verb::Unload, &args).await,
        Ask::Destroy(args) => take::destroy(cx, &args.units.units, args.block.patience()).await,
        Ask::Restart(args) => take::restart(cx, &args.units.units, args.patience()).await,
        Ask::ListMachines(args) => list::machines(cx, &args).await,
        Ask::ListUnits(args) => list::units(cx, &args).await,
        Ask::ListUnitFiles(args) => list::unit_files(cx, &args).await,
        Ask::Cat(args) => list::cat(cx, &args.units).await,
        Ask::Status(args) => look::status(cx, &args).await,
        Ask::Journal(args) => look::journal(cx, &args).await,
        Ask::Ssh(args) => look::ssh(cx, &args).await,
        Ask::Explain(args) => explain::units(cx, &args.units).await,
        Ask::Cordon(args) => hold::set(cx, &args.machines, Hold::Cordoned).await,
        Ask::Uncordon(args) | Ask::Undrain(args) => hold::set(cx, &args.machines, Hold::None).await,
        Ask::Drain(args) => hold::drain(cx, &args).await,
        Ask::Rebalance(args) => explain::rebalance(cx, &args).await,
    }
}

async fn bring_units<A: Api>(cx: &Context<A>, verb: bring::Verb, args: &Bring) -> Result<(), Failure> {
    bring::run(cx, verb, &args.units.units, replacing(&args.replace), args.block.patience()).await
}

async fn take_units<A: Api>(cx: &Context<A>, verb: take::Verb, args: &Take) -> Result<(), Failure> {
    take::run(cx, verb, &args.units.units, args.block.patience()).await
}

fn replacing(args: &Replace) -> Replacing {
    if args.replace { Replacing::Local } else { Replacing::Nothing }
}
