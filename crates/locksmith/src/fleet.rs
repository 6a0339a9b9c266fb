//! fleet, by its command: which machines it sees, what this one has, and moving its units away.

use std::collections::BTreeSet;
use std::time::Duration;

use locksmith_core::order::{Fleet, Hold};
use serde::Deserialize;

use crate::programs::{self, Error};
use crate::system::Unit;

const FLEETCTL: &str = "fleetctl";
const WITHIN: Duration = Duration::from_secs(15);
/// What a command may take beside the time that it was given to wait.
const MARGIN: Duration = Duration::from_secs(15);

/// A machine in the JSON of `list-machines`; only what is used.
#[derive(Debug, Deserialize)]
struct Machine {
    id: String,
    #[serde(default)]
    hold: Option<String>,
}

/// A unit in the JSON of `list-unit-files`; only what is used.
#[derive(Debug, Deserialize)]
struct UnitFile {
    #[serde(default)]
    global: bool,
    #[serde(default, rename = "machineID")]
    machine: Option<String>,
}

/// What a drained machine still has, in the JSON of `drain`.
#[derive(Debug, Deserialize)]
struct Drained {
    #[serde(default)]
    left: Option<Vec<String>>,
}

/// Asks what fleet gives this machine, and which machines it sees.
pub async fn look(unit: &Unit, machine: &str) -> (Fleet, Option<BTreeSet<String>>) {
    if !unit.is_active() {
        let fleet = if unit.is_enabled || unit.is_up() { Fleet::Inactive } else { Fleet::Absent };
        return (fleet, None);
    }
    // That it does not answer is what is to be known; why is in its journal.
    let Ok(machines) = list_machines().await else { return (Fleet::Silent, None) };
    let seen = machines.iter().map(|machine| machine.id.clone()).collect();
    let hold = machines.iter().find(|it| it.id == machine).map(|it| hold(it.hold.as_deref()));
    match (hold, entries(machine).await) {
        (Some(hold), Ok(units)) => (Fleet::Here { hold, units }, Some(seen)),
        // Its agent is not known there yet, or any more.
        (None, _) | (_, Err(_)) => (Fleet::Silent, Some(seen)),
    }
}

/// Returns the ids of the machines that fleet sees.
///
/// # Errors
/// When fleet does not answer.
pub async fn machines() -> Result<BTreeSet<String>, Error> {
    Ok(list_machines().await?.into_iter().map(|machine| machine.id).collect())
}

/// Moves the units of a machine away, and waits for that, but no longer than `timeout`. That some are still there then
/// is no failure.
///
/// # Errors
/// When fleet refuses it or does not answer.
pub async fn drain(machine: &str, timeout: Duration) -> Result<(), Error> {
    let seconds = timeout.as_secs().max(1).to_string();
    let args = ["drain", machine, "--timeout", &seconds, "--json"];
    let said = programs::ask(FLEETCTL, &args, timeout + MARGIN).await?;
    if said.code == Some(0) || has_units_left(&said.stdout) {
        return Ok(());
    }
    Err(said.into_failure(FLEETCTL, &args))
}

/// Lets a machine take units again.
///
/// # Errors
/// When fleet refuses it or does not answer.
pub async fn undrain(machine: &str) -> Result<(), Error> {
    programs::run(FLEETCTL, &["undrain", machine, "--json"], WITHIN).await.map(drop)
}

async fn list_machines() -> Result<Vec<Machine>, Error> {
    let args = ["list-machines", "--json"];
    programs::json(&programs::run(FLEETCTL, &args, WITHIN).await?, FLEETCTL, &args)
}

/// How many units are placed on a machine and on no other: those have to move.
async fn entries(machine: &str) -> Result<usize, Error> {
    let args = ["list-unit-files", "--json"];
    let units: Vec<UnitFile> =
        programs::json(&programs::run(FLEETCTL, &args, WITHIN).await?, FLEETCTL, &args)?;
    Ok(count(&units, machine))
}

fn count(units: &[UnitFile], machine: &str) -> usize {
    units.iter().filter(|unit| !unit.global && unit.machine.as_deref() == Some(machine)).count()
}

fn hold(text: Option<&str>) -> Hold {
    match text {
        Some("draining") => Hold::Draining,
        Some("cordoned") => Hold::Cordoned,
        _ => Hold::None,
    }
}

fn has_units_left(stdout: &str) -> bool {
    // A drain that failed before it began prints nothing.
    let drained: Vec<Drained> = serde_json::from_str(stdout).unwrap_or_default();
    drained.into_iter().any(|it| it.left.is_some_and(|left| !left.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_this_machine_alone_have_to_move() {
        let text = r#"[{"name":"a","global":false,"machineID":"m1"},{"name":"g","global":true,"machineID":null},
                       {"name":"b","global":false,"machineID":"m2"},{"name":"c","global":false,"machineID":null}]"#;
        assert_eq!(count(&serde_json::from_str::<Vec<UnitFile>>(text).unwrap(), "m1"), 1);
    }

    #[test]
    fn a_drain_whose_time_is_over_is_told_from_one_that_failed() {
        assert!(has_units_left(r#"[{"machine":"m1","hold":"draining","left":["a.service"]}]"#));
        assert!(!has_units_left(r#"[{"machine":"m1","hold":"draining","left":[]}]"#));
        assert!(!has_units_left("") && !has_units_left("error: x"));
    }

    #[test]
    fn a_machine_is_drained_or_not() {
        let text = r#"[{"id":"m1","primaryIP":"","metadata":{}},{"id":"m2","hold":"draining"},{"id":"m3","hold":"cordoned"}]"#;
        let machines: Vec<Machine> = serde_json::from_str(text).unwrap();
        let holds: Vec<_> = machines.iter().map(|it| hold(it.hold.as_deref())).collect();
        assert_eq!(holds, [Hold::None, Hold::Draining, Hold::Cordoned]);
    }

    #[tokio::test]
    async fn a_fleet_that_is_not_asked_for_is_absent() {
        let unit = |active: &str, is_enabled| Unit { active: active.to_owned(), is_enabled };
        assert_eq!(look(&unit("inactive", false), "m1").await, (Fleet::Absent, None));
        assert_eq!(look(&unit("inactive", true), "m1").await, (Fleet::Inactive, None));
        assert_eq!(look(&unit("activating", false), "m1").await, (Fleet::Inactive, None));
    }
}
