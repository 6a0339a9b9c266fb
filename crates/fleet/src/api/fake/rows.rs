//! What the fake knows at one revision, and how a wish changes it.

use std::collections::BTreeMap;

use fleet_core::model::{Hold, Report, State, current_state};
use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::UnitFile;

use crate::api::{
    Error, ErrorKind, Explanation, Filter, Machine, MetadataChange, Put, Unit, UnitState, Wish,
};

/// All that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pub(super) units: BTreeMap<String, Stored>,
    pub(super) machines: BTreeMap<String, Machine>,
    pub(super) placed: BTreeMap<String, String>,
    /// By unit and machine.
    pub(super) reports: BTreeMap<(String, String), UnitState>,
}

/// A unit.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    file: UnitFile,
    desired: State,
    requirements: Requirements,
}

impl Rows {
    /// Returns what is known after a wish came in.
    pub(super) fn with(&self, name: &str, wish: Wish) -> Result<(Self, Put), Error> {
        let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
        let conflict = |message: &str| Error::new(ErrorKind::Conflict, message);
        let parsed = UnitName::parse(name).map_err(|err| invalid(err.to_string()))?;
        let file = wish.content.as_deref().map(UnitFile::parse).transpose();
        let file = file.map_err(|err| invalid(err.to_string()))?;
        let known = self.units.get(name);
        let (file, put) = match (known, file) {
            (None, None) => {
                return Err(conflict("unit does not exist and options field empty: send its content"));
            }
            (None, Some(file)) => (file, Put::Created),
            (Some(known), Some(file)) if known.file.hash() != file.hash() => (file, Put::Replaced),
            (Some(known), _) if wish.desired.is_some() => (known.file.clone(), Put::Kept),
            (Some(_), _) => return Err(conflict("must provide DesiredState to update existing unit")),
        };
        let desired = wish.desired.or(known.map(|known| known.desired)).unwrap_or(State::Inactive);
        if parsed.is_template() && desired != State::Inactive {
            return Err(invalid(format!("cannot activate template {name:?}: start an instance of it")));
        }
        let (requirements, _) = Requirements::of(&parsed, &file).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            invalid(problems.join("; "))
        })?;
        let mut after = self.clone();
        after.units.insert(name.to_owned(), Stored { file, desired, requirements });
        Ok((after, put))
    }

    /// Lets a unit be as it is wanted.
    pub(super) fn obey(&mut self, name: &str) {
        let Some(unit) = self.units.get(name).cloned() else { return };
        self.reports.retain(|(unit, _), _| unit != name);
        if unit.desired == State::Inactive {
            self.placed.remove(name);
            return;
        }
        let machines: Vec<String> = if unit.requirements.global {
            self.machines.keys().cloned().collect()
        } else {
            let machine = self.placed.get(name).cloned().or_else(|| self.emptiest());
            machine.into_iter().inspect(|id| drop(self.placed.insert(name.to_owned(), id.clone()))).collect()
        };
        let (active, sub) =
            if unit.desired == State::Launched { ("active", "running") } else { ("inactive", "dead") };
        for machine in machines {
            let state = UnitState {
                name: name.to_owned(),
                hash: unit.file.hash().to_owned(),
                machine_id: machine.clone(),
                systemd_load_state: "loaded".to_owned(),
                systemd_active_state: active.to_owned(),
                systemd_sub_state: sub.to_owned(),
            };
            self.reports.insert((name.to_owned(), machine), state);
        }
    }

    /// Returns the machine that takes units and has the fewest.
    fn emptiest(&self) -> Option<String> {
        let open = self.machines.values().filter(|machine| machine.hold.is_none());
        let load = |machine: &&Machine| self.placed.values().filter(|id| **id == machine.id).count();
        open.min_by_key(load).map(|machine| machine.id.clone())
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.units.remove(name);
        self.placed.remove(name);
        self.reports.retain(|(unit, _), _| unit != name);
    }

    pub(super) fn all_units(&self) -> Vec<(String, Unit)> {
        self.units.keys().filter_map(|name| Some((name.clone(), self.unit(name)?))).collect()
    }

    pub(super) fn unit(&self, name: &str) -> Option<Unit> {
        let Stored { file, desired, requirements } = self.units.get(name)?;
        let machine = self.placed.get(name);
        let report = machine.and_then(|machine| self.reports.get(&(name.to_owned(), machine.clone())));
        let report = report.map(|state| Report {
            hash: state.hash.clone(),
            load: state.systemd_load_state.clone(),
            active: state.systemd_active_state.clone(),
            sub: state.systemd_sub_state.clone(),
            started: state.systemd_active_state != "inactive",
        });
        Some(Unit {
            name: name.to_owned(),
            options: file.options().to_vec(),
            content: Some(file.content().to_owned()),
            desired_state: Some(*desired),
            current_state: (!requirements.global).then(|| current_state(machine.is_some(), report.as_ref())),
            machine_id: machine.cloned(),
        })
    }

    pub(super) fn states(&self, filter: &Filter) -> Vec<(String, UnitState)> {
        let fits = |wanted: &Option<String>, is: &String| wanted.as_ref().is_none_or(|wanted| wanted == is);
        self.reports
            .iter()
            .filter(|((unit, machine), _)| fits(&filter.unit, unit) && fits(&filter.machine, machine))
            .map(|((unit, machine), state)| (format!("{unit}/{machine}"), state.clone()))
            .collect()
    }

    /// Changes metadata; a machine that is not there has none that is shown.
    pub(super) fn overlay(&mut self, change: MetadataChange) {
        let Some(machine) = self.machines.get_mut(&change.machine) else { return };
        match change.value.filter(|value| !value.is_empty()) {
            Some(value) => drop(machine.metadata.insert(change.key, value)),
            None => drop(machine.metadata.remove(&change.key)),
        }
    }

    pub(super) fn hold(&mut self, machine: &str, hold: Hold) {
        let Some(machine) = self.machines.get_mut(machine) else { return };
        machine.hold = match hold {
            Hold::None => None,
            Hold::Cordoned => Some("cordoned".to_owned()),
            Hold::Draining => Some("draining".to_owned()),
        };
    }

    pub(super) fn explain(&self, name: &str) -> Option<Explanation> {
        let unit = self.units.get(name)?;
        let summary = match self.placed.get(name) {
            Some(machine) => format!("{name} is on {machine}"),
            None => format!("{name} is wanted {} and on no machine", unit.desired),
        };
        let against = |machine: &Machine| machine.hold.iter().map(|hold| format!("it is {hold}")).collect();
        let machines = self.machines.values().map(|machine| (machine.id.clone(), against(machine))).collect();
        Some(Explanation { summary, machines, lost: None })
    }
}
