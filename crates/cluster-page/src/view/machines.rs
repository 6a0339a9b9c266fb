//! Machines: those that fleet sees, and those that said something of themselves.

use std::collections::BTreeMap;

use super::{Machine, moment};
use crate::documents::{self, FleetMachine, Report};
use crate::known::Known;
use crate::source::Source;

/// Returns them by id, without what other parts say of them.
pub(super) fn machines(known: &Known) -> Vec<Machine> {
    let mut found: BTreeMap<String, Machine> = BTreeMap::new();
    let fleet = known.document(&Source::FleetMachines).map(documents::fleet_machines);
    let reports = known.document(&Source::Machines).map(documents::reports);
    for report in reports.into_iter().flat_map(|found| found.rows) {
        found.insert(report.id.clone(), reported(report));
    }
    let is_asked = fleet.is_some();
    for FleetMachine { id, address, hold } in fleet.into_iter().flat_map(|found| found.rows) {
        let machine = found.entry(id.clone()).or_insert_with(|| Machine { id, ..Machine::default() });
        (machine.address, machine.hold, machine.alive) = (address, hold, Some(true));
    }
    if is_asked {
        for machine in found.values_mut() {
            machine.alive = Some(machine.alive.unwrap_or(false));
        }
    }
    found.into_values().collect()
}

fn reported(report: Report) -> Machine {
    let Report { id, version, slot, strategy, group, phase, why, waiting, at } = report;
    let (group, reported_at) = (Some(group), moment(at.as_ref()));
    Machine { id, version, slot, strategy, group, phase, why, waiting, reported_at, ..Machine::default() }
}
