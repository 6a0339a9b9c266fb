//! What is read out of entities of the API: what a unit's file says, and how a machine is named in tables.

use std::collections::BTreeMap;

use fleet_core::name::UnitName;
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::{UnitFile, UnitFileError, UnitOption};

use super::sight::{Kind, Sight};
use crate::api::{Machine, Unit};

/// Digits of a machine's id in tables.
const ID_DIGITS: usize = 8;
/// Digits of a hash in tables.
const HASH_DIGITS: usize = 7;

/// Whether ids and hashes are shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// They are.
    Short,
    /// They are not.
    Full,
}

/// Whether a unit is on one machine or on all that meet its requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// On one.
    Single,
    /// On all.
    Global,
}

/// What a unit's file says. A file that cannot be read says nothing, as the unit may be older than a rule that it
/// breaks.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The file, if it can be read.
    pub file: Option<UnitFile>,
    /// Where the unit is.
    pub spread: Spread,
}

impl Facts {
    /// Reads a unit's file.
    pub fn of(unit: &Unit) -> Self {
        // What cannot be read says nothing.
        let file = file(unit).ok();
        match (UnitName::parse(&unit.name), file) {
            (Ok(name), Some(file)) => Self::of_file(&name, file),
            (_, file) => Self { file, spread: Spread::Single },
        }
    }

    /// Notes what a file says.
    pub fn of_file(name: &UnitName, file: UnitFile) -> Self {
        let global = Requirements::of(name, &file).is_ok_and(|(requirements, _)| requirements.global);
        Self { file: Some(file), spread: if global { Spread::Global } else { Spread::Single } }
    }

    /// Returns the file's hash, empty if it cannot be read.
    pub fn hash(&self) -> &str {
        self.file.as_ref().map_or("", UnitFile::hash)
    }

    /// Begins to watch whether the unit runs.
    pub fn sight(&self) -> Sight {
        let oneshot = self.file.as_ref().is_some_and(UnitFile::is_oneshot);
        Sight::new(if oneshot { Kind::Oneshot } else { Kind::Lasting }, self.hash().to_owned())
    }

    /// Returns the description, empty if there is none.
    pub fn description(&self) -> &str {
        self.file.as_ref().and_then(UnitFile::description).unwrap_or_default()
    }
}

/// Reads a unit's file: its text, or the options of a server that keeps no text.
///
/// # Errors
/// When it is no unit file.
pub fn file(unit: &Unit) -> Result<UnitFile, UnitFileError> {
    let option = |option: &crate::api::UnitOption| UnitOption {
        section: option.section.clone(),
        name: option.name.clone(),
        value: option.value.clone(),
    };
    match &unit.content {
        Some(content) => UnitFile::parse(content),
        None => UnitFile::from_options(&unit.options.iter().map(option).collect::<Vec<_>>()),
    }
}

/// Machines by their ids.
#[derive(Debug, Clone, Default)]
pub struct MachineNames(BTreeMap<String, String>);

impl MachineNames {
    /// Notes ids and addresses.
    pub fn of(machines: &[Machine]) -> Self {
        Self(machines.iter().map(|machine| (machine.id.clone(), machine.primary_ip.clone())).collect())
    }

    /// Whether a machine is among them.
    pub fn knows(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Returns the cell of a machine: `e1cd2bcd.../172.17.8.101`, without the address if that is not known.
    pub fn cell(&self, id: &str, length: Length) -> String {
        let shown = machine_id(id, length);
        match self.0.get(id).filter(|ip| !ip.is_empty()) {
            Some(ip) => format!("{shown}/{ip}"),
            None => shown,
        }
    }
}

/// Returns a machine's id as tables show it: `e1cd2bcd...`.
pub fn machine_id(id: &str, length: Length) -> String {
    match (length, id.get(..ID_DIGITS)) {
        _ if id.is_empty() => "-".to_owned(),
        (Length::Short, Some(digits)) => format!("{digits}..."),
        _ => id.to_owned(),
    }
}

/// Returns a hash as tables show it.
pub fn hash(hash: &str, length: Length) -> String {
    match (length, hash.get(..HASH_DIGITS)) {
        _ if hash.is_empty() => "-".to_owned(),
        (Length::Short, Some(digits)) => digits.to_owned(),
        _ => hash.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "e1cd2bcd4b9c4ad4a0e5a4c46bdf8a3f";

    fn unit(content: &str) -> Unit {
        Unit {
            name: "foo.service".to_owned(),
            options: Vec::new(),
            content: Some(content.to_owned()),
            desired_state: None,
            current_state: None,
            machine_id: None,
        }
    }

    #[test]
    fn cells_of_machines_are_those_of_the_original() {
        let names = MachineNames::of(&[Machine {
            id: ID.to_owned(),
            primary_ip: "172.17.8.101".to_owned(),
            metadata: BTreeMap::new(),
            hold: None,
        }]);
        assert_eq!(names.cell(ID, Length::Short), "e1cd2bcd.../172.17.8.101");
        assert_eq!(names.cell(ID, Length::Full), format!("{ID}/172.17.8.101"));
        assert_eq!(names.cell("f0f0f0f0f0", Length::Short), "f0f0f0f0...");
        assert_eq!(names.cell("", Length::Short), "-");
    }

    #[test]
    fn an_id_shorter_than_its_short_form_stays() {
        assert_eq!(machine_id("m1", Length::Short), "m1");
        assert_eq!(hash("ab", Length::Short), "ab");
        assert_eq!(hash("", Length::Full), "-");
        assert_eq!(hash("6b92f1a0000", Length::Short), "6b92f1a");
    }

    #[test]
    fn global_units_are_told_by_their_files() {
        assert_eq!(Facts::of(&unit("[X-Fleet]\nGlobal=true\n")).spread, Spread::Global);
        assert_eq!(Facts::of(&unit("[Service]\nExecStart=/bin/a\n")).spread, Spread::Single);
    }

    #[test]
    fn a_server_that_keeps_options_only_gives_the_same_hash() {
        let whole = unit("[Unit]\nDescription=A\n\n[Service]\nExecStart=/bin/a\n");
        let option = |section: &str, name: &str, value: &str| crate::api::UnitOption {
            section: section.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let options = vec![option("Unit", "Description", "A"), option("Service", "ExecStart", "/bin/a")];
        let bare = Unit { options, content: None, ..whole.clone() };
        assert_eq!(Facts::of(&whole).hash(), Facts::of(&bare).hash());
        assert_eq!(Facts::of(&bare).description(), "A");
        assert!(file(&bare).unwrap().content().contains("ExecStart=/bin/a"));
    }
}
