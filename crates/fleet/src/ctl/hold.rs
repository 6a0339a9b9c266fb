//! `cordon`, `uncordon`, `drain` and `undrain`: which machines take units.

use std::collections::BTreeSet;
use std::time::Duration;

use fleet_core::model::Hold;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::Context;
use super::failure::Failure;
use super::flags::command::DrainArgs;
use super::out::Format;
use super::target;
use super::view::{Facts, Length, MachineNames, Spread};
use super::wait::Outage;
use crate::api::{Api, Filter, Unit, UnitState};

/// Pause between two looks at a machine that is drained. A look reads all units, so it is not a short one.
const INTERVAL: Duration = Duration::from_secs(1);
/// Units of which it is explained why they are still there.
const EXPLAINED: usize = 10;

/// What was done to a machine.
#[derive(Debug, Serialize)]
struct Held {
    machine: String,
    hold: Hold,
    /// Units of its own that it still has, where that was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Vec<String>>,
}

/// `cordon`, and with [`Hold::None`] `uncordon` and `undrain`.
///
/// # Errors
/// When a machine cannot be told, or fleetd refuses it.
pub async fn set<A: Api>(cx: &Context<A>, given: &[String], hold: Hold) -> Result<(), Failure> {
    let machines = cx.fleet.machines().await?;
    let names = MachineNames::of(&machines);
    let ids = given.iter().map(|given| match target::machine(&machines, given) {
        Ok(machine) => Ok(machine.id.clone()),
        // A machine that is away can be freed by its whole id, so that nothing is left of one that never comes back.
        Err(_) if hold == Hold::None && is_whole_id(given) => Ok(given.clone()),
        Err(err) => Err(Failure::from(err)),
    });
    let ids = ids.collect::<Result<Vec<String>, Failure>>()?;
    let mut held = Vec::new();
    for machine in ids {
        cx.fleet.hold(&machine, hold).await?;
        if cx.out.format == Format::Text {
            let cell = names.cell(&machine, Length::Short);
            cx.out.text(&format!("Machine {cell} {}\n", done(hold)))?;
        }
        held.push(Held { machine, hold, left: None });
    }
    if cx.out.format == Format::Json { cx.out.json(&held) } else { Ok(()) }
}

/// `drain`: waits until the machine has no units of its own. Global ones stay, as they have nowhere else to go.
///
/// # Errors
/// When units are left after the time given, the machine cannot be told, or fleetd refuses it.
pub async fn drain<A: Api>(cx: &Context<A>, args: &DrainArgs) -> Result<(), Failure> {
    let machines = cx.fleet.machines().await?;
    let machine = target::machine(&machines, &args.machine)?;
    let cell = MachineNames::of(&machines).cell(&machine.id, Length::Short);
    cx.fleet.hold(&machine.id, Hold::Draining).await?;
    cx.out.remark(&format!("Machine {cell} {}", done(Hold::Draining)));
    let left = if args.no_block { None } else { Some(wait(cx, &machine.id, &cell, args.timeout).await?) };
    if cx.out.format == Format::Json {
        let held = Held { machine: machine.id.clone(), hold: Hold::Draining, left: left.clone() };
        cx.out.json(&[held])?;
    }
    match left {
        None => Ok(()),
        Some(left) if left.is_empty() => {
            if cx.out.format == Format::Text {
                cx.out.text(&format!("Machine {cell} drained\n"))?;
            }
            Ok(())
        }
        Some(left) => {
            explain(cx, &left).await;
            Err(Failure::NotDrained { machine: machine.id.clone(), left, after: args.timeout })
        }
    }
}

/// Waits until a machine has no units of its own, and returns those that it still has at the end of the time.
async fn wait<A: Api>(
    cx: &Context<A>,
    machine: &str,
    cell: &str,
    timeout: Duration,
) -> Result<Vec<String>, Failure> {
    // Later than any clock goes is never.
    let end = Instant::now().checked_add(timeout);
    let mut outage = Outage::default();
    let mut shown = None;
    loop {
        let look = async {
            let units = cx.fleet.units().await?;
            let filter = Filter { machine: Some(machine.to_owned()), unit: None };
            Ok((units, cx.fleet.states(filter).await?))
        };
        if let Some((units, states)) = outage.bridge(cx.out, look.await)? {
            let left = own(machine, &units, &states);
            if left.is_empty() {
                return Ok(left);
            }
            if shown != Some(left.len()) {
                cx.out.remark(&format!("{} left on {cell}: {}", left.len(), left.join(" ")));
                shown = Some(left.len());
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                return Ok(left);
            }
        } else if end.is_some_and(|end| Instant::now() >= end) {
            return Err(Failure::NotLooked { machine: machine.to_owned(), after: timeout });
        }
        sleep(INTERVAL).await;
    }
}

/// Returns the units of a machine that are not global: placed there, or still reported from there.
fn own(machine: &str, units: &[Unit], states: &[UnitState]) -> Vec<String> {
    let is_global = |unit: &Unit| Facts::of(unit).spread == Spread::Global;
    let placed = units.iter().filter(|unit| unit.machine_id.as_deref() == Some(machine));
    let mut left: BTreeSet<&str> = placed.map(|unit| unit.name.as_str()).collect();
    for state in states.iter().filter(|state| state.machine_id == machine) {
        let unit = units.iter().find(|unit| unit.name == state.name);
        // A unit that was destroyed meanwhile is still being stopped.
        if !unit.is_some_and(is_global) {
            left.insert(&state.name);
        }
    }
    left.into_iter().map(str::to_owned).collect()
}

async fn explain<A: Api>(cx: &Context<A>, units: &[String]) {
    for name in units.iter().take(EXPLAINED) {
        // Which units are left is said anyway; why is an addition.
        if let Ok(Some(why)) = cx.fleet.explain(name).await {
            cx.out.remark(&format!("{name}: {}", why.summary));
        }
    }
}

fn done(hold: Hold) -> &'static str {
    match hold {
        Hold::None => "takes units",
        Hold::Cordoned => "cordoned",
        Hold::Draining => "draining",
    }
}

/// Whether this is a whole machine id and not only its beginning.
fn is_whole_id(given: &str) -> bool {
    given.len() == 32 && given.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, machine: Option<&str>, content: &str) -> Unit {
        Unit {
            name: name.to_owned(),
            options: Vec::new(),
            content: Some(content.to_owned()),
            desired_state: None,
            current_state: None,
            machine_id: machine.map(str::to_owned),
        }
    }

    fn state(name: &str, machine: &str) -> UnitState {
        UnitState {
            name: name.to_owned(),
            hash: String::new(),
            machine_id: machine.to_owned(),
            systemd_load_state: String::new(),
            systemd_active_state: String::new(),
            systemd_sub_state: String::new(),
        }
    }

    #[test]
    fn units_placed_there_and_units_not_yet_stopped_there_are_left() {
        let units = [unit("a.service", Some("m1"), ""), unit("b.service", Some("m2"), "")];
        let states = [state("a.service", "m1"), state("b.service", "m1"), state("gone.service", "m1")];
        assert_eq!(own("m1", &units, &states), ["a.service", "b.service", "gone.service"]);
        assert_eq!(own("m2", &units, &states), ["b.service"]);
    }

    #[test]
    fn global_units_stay() {
        let units = [unit("all.service", None, "[X-Fleet]\nGlobal=true\n")];
        assert!(own("m1", &units, &[state("all.service", "m1")]).is_empty());
    }

    #[test]
    fn only_a_whole_id_frees_a_machine_that_is_away() {
        assert!(is_whole_id("e1cd2bcd4b9c4ad4a0e5a4c46bdf8a3f"));
        assert!(!is_whole_id("e1cd2bcd"));
        assert!(!is_whole_id("E1CD2BCD4B9C4AD4A0E5A4C46BDF8A3F"));
    }
}
