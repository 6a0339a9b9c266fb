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
