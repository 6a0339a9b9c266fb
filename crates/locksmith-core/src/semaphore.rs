//! The semaphore of a group, as a value: who holds a slot, how many there are, what became of versions.
//!
//! ```json
//! {"semaphore": 0, "max": 1, "holders": ["<machine id>"],
//!  "slots": {"<machine id>": {"since": "2026-11-29T01:00:00Z", "boot": "<boot id>", "version": "2.0.0",
//!                             "member": "8e9e05c52164694d", "drained": true}},
//!  "versions": {"2.0.0": {"state": "good", "by": "<machine id>", "at": "2026-11-29T01:00:00Z"}}}
//! ```
//!
//! | part | where |
//! | --- | --- |
//! | key of a group | [`key`] |
//! | from bytes and back | [`Semaphore::parse`], [`Semaphore::to_bytes`] |
//! | operations and their refusals | `operations.rs` |
//! | what is known of a holder, and of a version | [`Slot`], [`VersionRecord`] |

mod json;
mod key;
mod operations;
mod record;
mod slot;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use slots::Version;

pub use json::Error;
pub use key::{GroupError, key};
pub use operations::{Outcome, Refusal};
pub use record::{State, VersionRecord};
pub use slot::Slot;

/// Largest value in bytes; etcd takes no request of 1.5 MiB.
pub const SIZE_MAX: usize = 1 << 20;
/// Most holders.
pub const HOLDERS_MAX: usize = 1024;
/// Most versions that are kept; of more the newest are.
pub const VERSIONS_MAX: usize = 16;
/// Longest machine id in bytes: `/etc/machine-id` has 32, and other texts are good for tests.
pub const ID_MAX: usize = 128;
/// Longest stage and reason of a failure in characters; the rest is cut off.
pub const TEXT_MAX: usize = 500;

/// The semaphore of one group. It is valid: holders are few enough and have ids that can be shown.
///
/// `semaphore` of the value is computed, whatever was read. Fields that are not ours are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Semaphore {
    max: i64,
    /// Holders, and what is known of them: nothing where another program took the slot.
    holders: BTreeMap<String, Option<Slot>>,
    /// Machines that locksmith drained and whose slot was taken from them: they undrain themselves once they are back.
    undrain: BTreeSet<String>,
    versions: BTreeMap<Version, VersionRecord>,
    /// Entries of `versions` whose name or state is not of ours.
    foreign_versions: Map<String, Value>,
    foreign: Map<String, Value>,
}

impl Default for Semaphore {
    /// The value of a group that nobody has used: one slot, which is free.
    fn default() -> Self {
        Self {
            max: 1,
            holders: BTreeMap::new(),
            undrain: BTreeSet::new(),
            versions: BTreeMap::new(),
            foreign_versions: Map::new(),
            foreign: Map::new(),
        }
    }
}

impl Semaphore {
    /// Returns the slots in total. The original allowed negative numbers.
    pub fn max(&self) -> i64 {
        self.max
    }

    /// Returns the free slots; negative when `max` was lowered below the number of holders.
    pub fn available(&self) -> i64 {
        let n_holders = i64::try_from(self.holders.len()).unwrap_or(i64::MAX);
        self.max.saturating_sub(n_holders)
    }

    /// Returns the holders in the order of their ids, and what is known of each.
    pub fn holders(&self) -> impl Iterator<Item = (&str, Option<&Slot>)> {
        self.holders.iter().map(|(id, slot)| (id.as_str(), slot.as_ref()))
    }

    /// Returns whether a machine holds a slot.
    pub fn holds(&self, id: &str) -> bool {
        self.holders.contains_key(id)
    }

    /// Returns what is known of a holder.
    pub fn slot(&self, id: &str) -> Option<&Slot> {
        self.holders.get(id)?.as_ref()
    }

    /// Returns whether a machine was drained by locksmith when its slot was taken from it, and has not come back since.
    pub fn is_left_drained(&self, id: &str) -> bool {
        self.undrain.contains(id)
    }

    /// Returns what became of versions, oldest first.
    pub fn versions(&self) -> &BTreeMap<Version, VersionRecord> {
        &self.versions
    }

    /// Returns whether a machine of the group has blessed a version, and none has failed with it since.
    pub fn is_good(&self, version: &Version) -> bool {
        self.versions.get(version).is_some_and(|record| record.state == State::Good)
    }

    /// Returns the holder other than `id` that tries a version.
    pub fn tried_by(&self, version: &Version, id: &str) -> Option<&str> {
        let tries = |slot: &Slot| slot.version.as_ref() == Some(version);
        let mut others = self.holders().filter(|(holder, _)| *holder != id);
        others.find(|(_, slot)| slot.is_some_and(tries)).map(|(holder, _)| holder)
    }

    /// Drops the oldest versions beyond [`VERSIONS_MAX`].
    fn keep_newest(&mut self) {
        while VERSIONS_MAX < self.versions.len() {
            self.versions.pop_first();
        }
    }
}
