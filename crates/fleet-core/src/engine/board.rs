//! Where units are while a pass decides: the snapshot with the decisions so far.

use std::collections::{BTreeMap, BTreeSet};

use super::eligible::{conflict, metadata, wants_of};
use super::{Place, Seen, Snapshot, Verdict};
use crate::model::{Machine, MachineId, State};
use crate::moment::Moment;
use crate::name::{UnitName, matches};
use crate::requirements::Requirements;

/// Where units are. Names and ids are borrowed from the snapshot.
pub(super) struct Board<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Moment,
    at: BTreeMap<&'a UnitName, &'a MachineId>,
    on: BTreeMap<&'a MachineId, BTreeSet<&'a UnitName>>,
    /// Global units whose requirements the machine meets, conflicts aside.
    globals: BTreeMap<&'a MachineId, Vec<&'a UnitName>>,
    /// Units that others want to be with.
    hung_on: BTreeSet<&'a str>,
    restricted: bool,
    replacing: bool,
}

impl<'a> Board<'a> {
    /// Lays the snapshot out. Of a unit with several entries the first counts, until a pass has repaired that.
    pub(super) fn new(snapshot: &'a Snapshot, now: Moment) -> Self {
        let known =
            || snapshot.units.values().chain(snapshot.globals.values()).filter_map(|unit| unit.known());
        let mut board = Self {
            snapshot,
            now,
            at: BTreeMap::new(),
            on: BTreeMap::new(),
            globals: BTreeMap::new(),
            hung_on: known().flat_map(|unit| &unit.requirements.machine_of).map(String::as_str).collect(),
            restricted: known().any(|unit| !unit.requirements.conflicts.is_empty()),
            replacing: known().any(|unit| !unit.requirements.replaces.is_empty()),
        };
        for (unit, entries) in &snapshot.entries {
            if let Some(machine) = entries.keys().next() {
                board.put(unit, machine);
            }
        }
        for (id, seen) in &snapshot.machines {
            let Seen::Known(machine) = seen else { continue };
            let suits = |wants: &Requirements| metadata(wants, machine).next().is_none();
            let wanted = snapshot.globals.iter().filter(|(_, unit)| {
                unit.known().is_some_and(|unit| unit.desired != State::Inactive && suits(&unit.requirements))
            });
            let wanted: Vec<&UnitName> = wanted.map(|(name, _)| name).collect();
            if !wanted.is_empty() {
                board.globals.insert(id, wanted);
            }
        }
        board
    }

    /// Puts a unit onto a machine, from wherever it was.
    pub(super) fn put(&mut self, unit: &'a UnitName, machine: &'a MachineId) {
        self.take(unit);
        self.at.insert(unit, machine);
        self.on.entry(machine).or_default().insert(unit);
    }

    /// Takes a unit off its machine.
    pub(super) fn take(&mut self, unit: &UnitName) {
        if let Some(machine) = self.at.remove(unit)
            && let Some(units) = self.on.get_mut(machine)
        {
            units.remove(unit);
        }
    }

    /// Returns where a unit is.
    pub(super) fn place(&self, unit: &UnitName) -> Option<&'a MachineId> {
        self.at.get(unit).copied()
    }

    /// Returns where a unit is and its entry there; none where that cannot be read.
    pub(super) fn residence(&self, name: &UnitName) -> Option<(&'a MachineId, &'a Place)> {
        let machine = self.place(name)?;
        let place = self.snapshot.entries.get(name)?.get(machine)?.known()?;
        Some((machine, place))
    }

    /// Returns where the unit with this name is; a text that is no name is nowhere.
    pub(super) fn place_of(&self, unit: &str) -> Option<&'a MachineId> {
        self.place(&UnitName::parse(unit).ok()?)
    }

    /// Returns the units that have their entry for a machine, by name.
    pub(super) fn units_on(&self, machine: &MachineId) -> impl Iterator<Item = &'a UnitName> {
        self.on.get(machine).into_iter().flatten().copied()
    }

    /// Returns the global units that run on a machine, by name: those that suit and conflict neither with a unit that
    /// is placed there nor with one before them.
    pub(super) fn globals_on(&self, machine: &MachineId) -> Vec<&'a UnitName> {
        let Some(suiting) = self.globals.get(machine) else { return Vec::new() };
        if !self.restricted {
            return suiting.clone();
        }
        let mut running: Vec<&'a UnitName> = Vec::new();
        for name in suiting {
            let Some(wants) = wants_of(self.snapshot.globals.get(*name)) else { continue };
            let clash = |other: &UnitName| conflict(name, wants, other, self.wants(other)).is_some();
            if !self.units_on(machine).any(clash) && !running.iter().any(|other| clash(other)) {
                running.push(name);
            }
        }
        running
    }

    /// Returns how many units a machine has, global ones included.
    pub(super) fn load(&self, machine: &MachineId) -> usize {
        let placed = self.on.get(machine).map_or(0, BTreeSet::len);
        let global = match self.globals.get(machine) {
            Some(suiting) if !self.restricted => suiting.len(),
            Some(_) => self.globals_on(machine).len(),
            None => 0,
        };
        placed + global
    }

    /// Returns how many other instances of the unit's template are on machines with the same value of the key that the
    /// unit is spread by; none if it is not spread.
    pub(super) fn crowd(&self, name: &UnitName, wants: &Requirements, machine: &Machine) -> usize {
        let (Some(key), Some(template)) = (&wants.spread_by, name.template()) else { return 0 };
        let value = machine.metadata.get(key);
        let near = |place: &MachineId| match self.snapshot.machines.get(place) {
            Some(Seen::Known(other)) => other.metadata.get(key) == value,
            _ => false,
        };
        let others = self.at.iter().filter(|(other, place)| {
            **other != name && near(place) && other.template().as_ref() == Some(&template)
        });
        others.count()
    }

    /// Returns the requirements of a unit or global unit if they are known.
    pub(super) fn wants(&self, name: &UnitName) -> Option<&'a Requirements> {
        wants_of(self.snapshot.units.get(name)).or_else(|| wants_of(self.snapshot.globals.get(name)))
    }

    /// Whether a unit stays where it is because a value about it cannot be read.
    pub(super) fn is_frozen(&self, name: &UnitName) -> bool {
        let unit = self.snapshot.units.get(name).is_some_and(|unit| unit.known().is_none());
        let entry =
            |entries: &BTreeMap<_, super::Entry>| entries.values().any(|entry| entry.known().is_none());
        unit || self.snapshot.entries.get(name).is_some_and(entry)
    }

    /// Whether a unit is named by `MachineOf=` of another.
    pub(super) fn is_hung_on(&self, name: &UnitName) -> bool {
        self.hung_on.contains(name.as_str())
    }

    /// Whether any unit has conflicts.
    pub(super) fn restricted(&self) -> bool {
        self.restricted
    }

    /// Whether any unit replaces others.
    pub(super) fn replacing(&self) -> bool {
        self.replacing
    }

    /// Whether `new` pushes `old` away: its pattern matches and `old` does not replace it in turn, not even by way of
    /// others, because such a circle would move units for ever.
    pub(super) fn replaces(&self, new: &UnitName, old: &UnitName) -> bool {
        let matching = |by: &UnitName, other: &UnitName| {
            let patterns = self.wants(by).map(|wants| wants.replaces.as_slice()).unwrap_or_default();
            by != other && patterns.iter().any(|pattern| matches(pattern, other.as_str()))
        };
        if !matching(new, old) {
            return false;
        }
        let mut reached = BTreeSet::from([old]);
        let mut open = vec![old];
        while let Some(by) = open.pop() {
            if matching(by, new) {
                return false;
            }
            for other in self.snapshot.units.keys() {
                if matching(by, other) && reached.insert(other) {
                    open.push(other);
                }
            }
        }
        true
    }

    /// Returns what is to be thought of a machine; none if it is there.
    pub(super) fn verdict(&self, machine: &MachineId) -> Option<Verdict> {
        let settings = &self.snapshot.settings;
        match self.snapshot.machines.contains_key(machine) {
            true => None,
            false => self.snapshot.losses.verdict(machine, self.now, settings),
        }
    }
}
