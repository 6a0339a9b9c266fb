//! `status`, `journal` and `ssh`: what a machine itself says. The exit code is that of the program there.

use fleet_core::model::State;

use super::Context;
use super::failure::{FAILED, Failure};
use super::flags::command::{JournalArgs, SshArgs, StatusArgs};
use super::host::{Output, Task, Way};
use super::local::Argument;
use super::out::Format;
use super::ssh::Agent;
use super::target::{self, TargetError};
use super::view::{Facts, Spread};
use crate::api::{Api, Machine, Unit};

/// `status`: all units, a blank line between two; the exit code is the first that is not 0.
///
/// # Errors
/// When there are none, or the status of one cannot be had or is not 0.
pub async fn status<A: Api>(cx: &Context<A>, args: &StatusArgs) -> Result<(), Failure> {
    if args.units.units.is_empty() {
        return Err(Failure::NoUnits);
    }
    let arguments = Argument::parse_all(&args.units.units)?;
    let machines = cx.fleet.machines().await?;
    let mut states = Vec::new();
    let mut worst = 0;
    for (idx, argument) in arguments.iter().enumerate() {
        let code = match machine_of(cx, &machines, argument, "systemctl status").await {
            Ok(machine) if cx.out.format == Format::Json => {
                states.extend(cx.fleet.state(argument.name.as_str(), &machine.id).await?);
                0
            }
            Ok(machine) => {
                if idx > 0 {
                    cx.out.text("\n")?;
                }
                let way = Way { machine, port: args.ssh_port, agent: Agent::Kept };
                let words = ["systemctl", "status", "-l", argument.name.as_str()];
                cx.reach.run(cx.out, way, Task::Program(&words), Output::Result).await?
            }
            // A unit that is not there does not keep the others from being shown.
            Err(failure) if failure.is_passing() => return Err(failure),
            Err(failure) => {
                cx.out.remark(&failure.to_string());
                FAILED
            }
        };
        worst = if worst == 0 { code } else { worst };
    }
    if cx.out.format == Format::Json {
        cx.out.json(&states)?;
    }
    ended(worst)
}

/// `journal`.
///
/// # Errors
/// When there is no unit, or its log cannot be had.
pub async fn journal<A: Api>(cx: &Context<A>, args: &JournalArgs) -> Result<(), Failure> {
    let argument = Argument::parse(args.unit.as_deref().ok_or(Failure::NoUnits)?)?;
    let machines = cx.fleet.machines().await?;
    let machine = machine_of(cx, &machines, &argument, "journalctl --unit").await?;
    let lines = args.lines.to_string();
    let format = if cx.out.format == Format::Json { "json" } else { &args.output };
    let mut words = Vec::new();
    if args.sudo {
        words.push("sudo");
    }
    words.extend(["journalctl", "--unit", argument.name.as_str(), "--no-pager", "-n", &lines]);
    words.extend(["--output", format]);
    if args.follow {
        words.push("-f");
    }
    let way = Way { machine, port: args.ssh_port, agent: Agent::Kept };
    ended(cx.reach.run(cx.out, way, Task::Program(&words), Output::Result).await?)
}

/// `ssh`.
///
/// # Errors
/// When it cannot be told which machine is meant, or the command there ends with another code than 0.
pub async fn ssh<A: Api>(cx: &Context<A>, args: &SshArgs) -> Result<(), Failure> {
    if cx.out.format == Format::Json {
        let why = "ssh prints what the command prints: give --json to that, after the machine";
        return Err(Failure::Usage(why.to_owned()));
    }
    let machines = cx.fleet.machines().await?;
    let (machine, words) = match (&args.machine, &args.unit, args.words.as_slice()) {
        (Some(given), _, words) => (target::machine(&machines, given)?, words),
        (None, Some(unit), words) => {
            let argument = Argument::parse(unit)?;
            (machine_of(cx, &machines, &argument, "systemctl status").await?, words)
        }
        (None, None, []) => return Err(TargetError::NotGiven.into()),
        (None, None, [given, words @ ..]) => {
            let of_unit = placed_on(cx, &machines, given).await?;
            (target::machine_or_unit(&machines, given, of_unit)?, words)
        }
    };
    let agent = if args.forward_agent { Agent::Lent } else { Agent::Kept };
    let way = Way { machine, port: args.ssh_port, agent };
    // `--` ends our own options, where somebody says so.
    let words = words.strip_prefix(&["--".to_owned()]).unwrap_or(words);
    let command = words.join(" ");
    let task = if words.is_empty() { Task::Login } else { Task::Shell(&command) };
    ended(cx.reach.run(cx.out, way, task, Output::Result).await?)
}

/// Returns the machine that a word means if it is a unit's name.
async fn placed_on<'a, A: Api>(
    cx: &Context<A>,
    machines: &'a [Machine],
    given: &str,
) -> Result<Option<&'a Machine>, Failure> {
    // A word that is no unit's name can still begin a machine's id.
    let Ok(argument) = Argument::parse(given) else { return Ok(None) };
    let unit = cx.fleet.unit(argument.name.as_str()).await?;
    let id = unit.and_then(|unit| unit.machine_id);
    Ok(id.and_then(|id| machines.iter().find(|machine| machine.id == id)))
}

/// Returns the machine of a unit.
async fn machine_of<'a, A: Api>(
    cx: &Context<A>,
    machines: &'a [Machine],
    argument: &Argument,
    command: &str,
) -> Result<&'a Machine, Failure> {
    let name = argument.name.as_str();
    let unit = cx.fleet.unit(name).await?.ok_or_else(|| Failure::NoUnit(name.to_owned()))?;
    if Facts::of(&unit).spread == Spread::Global {
        return global(cx, machines, &unit, command).await;
    }
    let id = unit.machine_id.filter(|_| unit.current_state != Some(State::Inactive));
    let id = id.ok_or_else(|| Failure::NotLoaded(name.to_owned()))?;
    let found = machines.iter().find(|machine| machine.id == id);
    // The machine is lost, and its unit has not moved yet.
    found.ok_or_else(|| TargetError::NoMachine(id).into())
}

/// Returns this machine, if a global unit is here.
async fn global<'a, A: Api>(
    cx: &Context<A>,
    machines: &'a [Machine],
    unit: &Unit,
    command: &str,
) -> Result<&'a Machine, Failure> {
    let here = cx.reach.here.as_deref();
    let here = machines.iter().find(|machine| Some(machine.id.as_str()) == here);
    if let Some(here) = here
        && cx.fleet.state(&unit.name, &here.id).await?.is_some()
    {
        return Ok(here);
    }
    Err(Failure::Global { unit: unit.name.clone(), command: format!("{command} {}", unit.name) })
}

fn ended(code: u8) -> Result<(), Failure> {
    if code == 0 { Ok(()) } else { Err(Failure::Said(code)) }
}
