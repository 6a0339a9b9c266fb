//! What `[X-Fleet]` of a unit asks of the machine that it runs on.
//!
//! Names are the original's, of the talk's time (`X-ConditionMachineID`) and later (`MachineID`), and ours:
//! `Exclusive=`, `SpreadBy=`, `RunOnce=`. A name that nobody knows is a warning, a wrong value or combination a
//! problem, each with its line.

mod combinations;
mod misplaced;
mod option;
mod read;
mod specifiers;
mod spelling;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::name::UnitName;
use crate::unit_file::{Line, UnitFile};

/// What a unit asks of its machine, with specifiers expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl Default for Requirements {
    fn default() -> Self {
        Self {
            machine_id: None,
            machine_of: BTreeSet::new(),
            metadata: BTreeMap::new(),
            conflicts: Vec::new(),
            replaces: Vec::new(),
            global: false,
            exclusive: false,
            spread_by: None,
            run_once: true,
        }
    }
}

impl Requirements {
    /// Reads what a file asks. Specifiers of a template stay as they are.
    ///
    /// # Errors
    /// All problems, in the order of the file.
    pub fn of(name: &UnitName, file: &UnitFile) -> Result<(Self, Vec<Remark>), Vec<Remark>> {
        read::read(name, file)
    }
}

/// What is to be said about a line of a unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Line; none about the file as a whole.
    pub line: Option<Line>,
    /// What, with the remedy.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
