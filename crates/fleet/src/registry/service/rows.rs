//! Rows of the API, made of values of the registry.

use fleet_core::model::{MachineId, Report, current_state};
use fleet_core::name::UnitName;
use fleet_core::unit_file::UnitFile;

use crate::api::{Unit, UnitOption, UnitState};
use crate::registry::UnitValue;

/// Makes a unit's row; `machine` is where it has an entry, `report` what that machine says.
pub(super) fn unit_row(
    name: &UnitName,
    value: UnitValue,
    is_global: bool,
    machine: Option<&MachineId>,
    report: Option<&Report>,
) -> Unit {
    let options = UnitFile::parse(&value.content).map(|file| {
        let own = |option: &fleet_core::unit_file::UnitOption| UnitOption {
            section: option.section.clone(),
            name: option.name.clone(),
            value: option.value.clone(),
        };
        file.options().iter().map(own).collect()
    });
    Unit {
        name: name.to_string(),
        // One that cannot be read is shown as it is written.
        options: options.unwrap_or_default(),
        content: Some(value.content),
        desired_state: Some(value.desired),
        current_state: (!is_global).then(|| current_state(machine.is_some(), report)),
        machine_id: machine.map(ToString::to_string),
    }
}

/// Makes a state's row.
pub(super) fn state_row(machine: &MachineId, name: &UnitName, report: Report) -> UnitState {
    UnitState {
        name: name.to_string(),
        hash: report.hash,
        machine_id: machine.to_string(),
        systemd_load_state: report.load,
        systemd_active_state: report.active,
        systemd_sub_state: report.sub,
    }
}
