//! What `[X-Fleet]` of a unit asks of the machine that it runs on.

use std::collections::{BTreeMap, BTreeSet};

/// What a unit asks of its machine, with specifiers expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Only the machine with this id, or whose id begins with these 8 digits.
    pub machine_id: Option<String>,
    /// Only where all of these units are.
    pub machine_of: BTreeSet<String>,
    /// Key to the values of which one must be the machine's.
    pub metadata: BTreeMap<String, BTreeSet<String>>,
    /// Patterns of names of units that must not be on the same machine.
    pub conflicts: Vec<String>,
    /// Patterns of names of units that make room.
    pub replaces: Vec<String>,
    /// On every machine that meets the rest.
    pub global: bool,
    /// Never two copies.
    pub exclusive: bool,
    /// Metadata key across whose values instances of the template are spread.
    pub spread_by: Option<String>,
    /// Whether a finished oneshot unit stays finished when it is placed anew.
    pub run_once: bool,
}

/// Something that an option asks and cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub String);

impl Requirements {
    /// Reads them from a unit file.
    ///
    /// # Errors
    /// When an option's value cannot be understood.
    pub fn of(
        _name: &crate::name::UnitName,
        file: &crate::unit_file::UnitFile,
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let is = |name: &str| file.fleet(name).last() == Some("true");
        let mut it =
            Self { global: is("Global"), exclusive: is("Exclusive"), run_once: true, ..Self::default() };
        for pair in file.fleet("MachineMetadata") {
            let (key, value) = pair.split_once('=').ok_or_else(|| vec![Problem(pair.to_owned())])?;
            it.metadata.entry(key.to_owned()).or_default().insert(value.to_owned());
        }
        Ok((it, Vec::new()))
    }
}
