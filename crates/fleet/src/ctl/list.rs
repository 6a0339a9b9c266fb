//! `list-machines`, `list-units`, `list-unit-files` and `cat`: what is there.

use std::path::PathBuf;

use fleet_core::model::State;
use serde::Serialize;

use super::Context;
use super::failure::Failure;
use super::flags::command::ListArgs;
use super::local::{Argument, LocalError};
use super::out::Format;
use super::show::{self, Columns};
use super::table::{Legend, render};
use super::view::{Facts, Length, MachineNames, Spread, file};
use crate::api::{Api, Filter, Unit};

/// A unit in the JSON of `list-unit-files`: without its content, which `cat` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    name: &'a str,
    hash: &'a str,
    description: &'a str,
    global: bool,
    desired_state: Option<State>,
    current_state: Option<State>,
    #[serde(rename = "machineID")]
    machine_id: Option<&'a str>,
}

/// `list-machines`.
///
/// # Errors
/// When a column is unknown, or fleetd does not answer.
pub async fn machines<A: Api>(cx: &Context<A>, args: &ListArgs) -> Result<(), Failure> {
    let columns = show::MACHINES.pick(args.fields.as_deref())?;
    let mut machines = cx.fleet.machines().await?;
    if cx.out.format == Format::Json {
        machines.sort_by(|a, b| a.id.cmp(&b.id));
        return cx.out.json(&machines);
    }
    cx.out.text(&render(&columns, &show::machines(&machines, &columns, length(args)), legend(args)))
}

/// `list-units`.
///
/// # Errors
/// When a column is unknown, or fleetd does not answer.
pub async fn units<A: Api>(cx: &Context<A>, args: &ListArgs) -> Result<(), Failure> {
    let columns = show::UNITS.pick(args.fields.as_deref())?;
    let mut states = cx.fleet.states(Filter::default()).await?;
    if cx.out.format == Format::Json {
        states.sort_by(|a, b| (&a.name, &a.machine_id).cmp(&(&b.name, &b.machine_id)));
        return cx.out.json(&states);
    }
    let names = names(cx, &columns).await?;
    cx.out.text(&render(&columns, &show::units(&states, &names, &columns, length(args)), legend(args)))
}

/// `list-unit-files`.
///
/// # Errors
/// When a column is unknown, or fleetd does not answer.
pub async fn unit_files<A: Api>(cx: &Context<A>, args: &ListArgs) -> Result<(), Failure> {
    let columns = show::UNIT_FILES.pick(args.fields.as_deref())?;
    let mut units = cx.fleet.units().await?;
    if cx.out.format == Format::Json {
        units.sort_by(|a, b| a.name.cmp(&b.name));
        let facts: Vec<Facts> = units.iter().map(Facts::of).collect();
        let listed: Vec<Listed<'_>> = units.iter().zip(&facts).map(listed).collect();
        return cx.out.json(&listed);
    }
    let names = names(cx, &columns).await?;
    cx.out.text(&render(&columns, &show::unit_files(&units, &names, &columns, length(args)), legend(args)))
}

fn listed<'a>((unit, facts): (&'a Unit, &'a Facts)) -> Listed<'a> {
    Listed {
        name: &unit.name,
        hash: facts.hash(),
        description: facts.description(),
        global: facts.spread == Spread::Global,
        desired_state: unit.desired_state,
        current_state: unit.current_state,
        machine_id: unit.machine_id.as_deref(),
    }
}

/// `cat`: the file as it was written, nothing added.
///
/// # Errors
/// When there is no such unit, or fleetd does not answer.
pub async fn cat<A: Api>(cx: &Context<A>, units: &[String]) -> Result<(), Failure> {
    let [unit] = units else {
        return Err(match units {
            [] => Failure::NoUnits,
            _ => Failure::Usage("cat prints one unit: files put together are none".to_owned()),
        });
    };
    let name = Argument::parse(unit)?.name;
    let unit = cx.fleet.unit(name.as_str()).await?.ok_or_else(|| Failure::NoUnit(name.to_string()))?;
    match (cx.out.format, &unit.content) {
        (Format::Json, _) => cx.out.json(&unit),
        // Not read: what is stored may be no unit file any more, and is what is asked for.
        (Format::Text, Some(content)) => cx.out.text(content),
        (Format::Text, None) => {
            let wrong = |source| LocalError::Syntax { path: PathBuf::from(name.as_str()), source };
            cx.out.text(file(&unit).map_err(wrong)?.content())
        }
    }
}

/// Returns names of machines, if a column shows them: one request less for tables without.
async fn names<A: Api>(cx: &Context<A>, columns: &[&str]) -> Result<MachineNames, Failure> {
    if Columns::shows_machines(columns) {
        Ok(MachineNames::of(&cx.fleet.machines().await?))
    } else {
        Ok(MachineNames::default())
    }
}

fn length(args: &ListArgs) -> Length {
    if args.full { Length::Full } else { Length::Short }
}

fn legend(args: &ListArgs) -> Legend {
    if args.no_legend { Legend::Hidden } else { Legend::Shown }
}
