//! Units: what is on machines, and what is wanted and on none.

use std::collections::{BTreeMap, BTreeSet};

use super::Unit;
use crate::documents::{self, UnitFile, UnitOn};
use crate::known::Known;
use crate::source::Source;

/// Returns them by name and machine; `None` if fleet never said.
pub(super) fn units(known: &Known) -> Option<Vec<Unit>> {
    let on = known.document(&Source::Units).map(documents::units);
    let files = known.document(&Source::UnitFiles).map(documents::unit_files);
    if on.is_none() && files.is_none() {
        return None;
    }
    let files: BTreeMap<String, UnitFile> =
        files.into_iter().flat_map(|found| found.rows).map(|file| (file.name.clone(), file)).collect();
    let mut units: Vec<Unit> = on
        .into_iter()
        .flat_map(|found| found.rows)
        .filter(|on| on.machine.is_some())
        .map(|on| placed(files.get(&on.name), on))
        .collect();
    let there: BTreeSet<String> = units.iter().map(|unit| unit.name.clone()).collect();
    let away = files.into_values().filter(|file| !there.contains(&file.name));
    units.extend(away.filter_map(without_state));
    units.sort_by(|a, b| (&a.name, &a.machine).cmp(&(&b.name, &b.machine)));
    Some(units)
}

fn placed(file: Option<&UnitFile>, on: UnitOn) -> Unit {
    let UnitOn { name, machine, load, active, sub } = on;
    let (desired, global) = file.map_or((None, false), |file| (file.desired.clone(), file.global));
    Unit { name, machine, desired, global, load, active, sub }
}

/// A unit of which no machine says anything: one that has just been placed, or one that is wanted and on none.
fn without_state(file: UnitFile) -> Option<Unit> {
    let UnitFile { name, desired, global, machine } = file;
    let is_wanted = desired.as_deref().is_some_and(|desired| desired != "inactive");
    // A global unit is on no machine where none suits, and that is as it should be.
    (machine.is_some() || is_wanted && !global).then_some(Unit {
        name,
        machine,
        desired,
        global,
        load: None,
        active: None,
        sub: None,
    })
}
