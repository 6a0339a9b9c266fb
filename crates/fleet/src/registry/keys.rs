//! Keys of the registry.

use fleet_core::model::MachineId;
use fleet_core::name::UnitName;

/// Keys below one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

/// What a key is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The registry's beginning.
    Marker,
    /// A unit.
    Unit(UnitName),
    /// A unit of every machine.
    Global(UnitName),
    /// Which machine a unit is on.
    Place(UnitName),
    /// What a machine is told of a unit that is on it.
    Entry(MachineId, UnitName),
    /// What a machine reports of a unit.
    State(MachineId, UnitName),
    /// Who may run an exclusive unit.
    Claim(UnitName),
    /// A machine that is alive.
    Machine(MachineId),
    /// What overlays a machine's metadata, under this name.
    Meta(MachineId, String),
    /// Whether a machine takes units.
    Hold(MachineId),
    /// What the engine tells of a lost machine.
    Lost(MachineId),
    /// Somebody asked for even load.
    Rebalance,
    /// Who is the engine.
    Engine,
}

impl Keys {
    /// Keys below `prefix`, which ends in a slash or gets one.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: format!("{}/", prefix.trim_end_matches('/')) }
    }

    /// Returns what all keys begin with.
    pub fn all(&self) -> &str {
        &self.prefix
    }

    fn of(&self, rest: std::fmt::Arguments<'_>) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// Returns the key of the registry's beginning.
    pub fn marker(&self) -> String {
        self.of(format_args!("marker"))
    }

    /// Returns what keys of units begin with.
    pub fn units(&self) -> String {
        self.of(format_args!("units/"))
    }

    /// Returns the key of a unit.
    pub fn unit(&self, unit: &UnitName) -> String {
        self.of(format_args!("units/{unit}"))
    }

    /// Returns what keys of global units begin with.
    pub fn globals(&self) -> String {
        self.of(format_args!("global/"))
    }

    /// Returns the key of a global unit.
    pub fn global(&self, unit: &UnitName) -> String {
        self.of(format_args!("global/{unit}"))
    }

    /// Returns what keys of places begin with.
    pub fn places(&self) -> String {
        self.of(format_args!("place/"))
    }

    /// Returns the key of a unit's place.
    pub fn place(&self, unit: &UnitName) -> String {
        self.of(format_args!("place/{unit}"))
    }

    /// Returns what keys of all entries begin with.
    pub fn schedule(&self) -> String {
        self.of(format_args!("schedule/"))
    }

    /// Returns what keys of entries of one machine begin with.
    pub fn schedule_of(&self, machine: &MachineId) -> String {
        self.of(format_args!("schedule/{machine}/"))
    }

    /// Returns the key of a unit's entry on a machine.
    pub fn entry(&self, machine: &MachineId, unit: &UnitName) -> String {
        self.of(format_args!("schedule/{machine}/{unit}"))
    }

    /// Returns what keys of all reports begin with.
    pub fn states(&self) -> String {
        self.of(format_args!("state/"))
    }

    /// Returns what keys of one machine's reports begin with.
    pub fn states_of(&self, machine: &MachineId) -> String {
        self.of(format_args!("state/{machine}/"))
    }

    /// Returns the key of a machine's report of a unit.
    pub fn state(&self, machine: &MachineId, unit: &UnitName) -> String {
        self.of(format_args!("state/{machine}/{unit}"))
    }

    /// Returns what keys of claims begin with.
    pub fn claims(&self) -> String {
        self.of(format_args!("claim/"))
    }

    /// Returns the key of a unit's claim.
    pub fn claim(&self, unit: &UnitName) -> String {
        self.of(format_args!("claim/{unit}"))
    }

    /// Returns what keys of machines begin with.
    pub fn machines(&self) -> String {
        self.of(format_args!("machines/"))
    }

    /// Returns the key of a machine.
    pub fn machine(&self, machine: &MachineId) -> String {
        self.of(format_args!("machines/{machine}"))
    }

    /// Returns what keys of metadata of all machines begin with.
    pub fn metas(&self) -> String {
        self.of(format_args!("meta/"))
    }

    /// Returns what keys of a machine's metadata begin with.
    pub fn meta_of(&self, machine: &MachineId) -> String {
        self.of(format_args!("meta/{machine}/"))
    }

    /// Returns the key of one of a machine's metadata.
    pub fn meta(&self, machine: &MachineId, key: &str) -> String {
        self.of(format_args!("meta/{machine}/{key}"))
    }

    /// Returns what keys of holds begin with.
    pub fn holds(&self) -> String {
        self.of(format_args!("hold/"))
    }

    /// Returns the key of a machine's hold.
    pub fn hold(&self, machine: &MachineId) -> String {
        self.of(format_args!("hold/{machine}"))
    }

    /// Returns the key of what the engine tells of a lost machine.
    pub fn lost(&self, machine: &MachineId) -> String {
        self.of(format_args!("lost/{machine}"))
    }

    /// Returns the key of a request for even load.
    pub fn rebalance(&self) -> String {
        self.of(format_args!("rebalance"))
    }

    /// Returns the key of the engine's term.
    pub fn engine(&self) -> String {
        self.of(format_args!("engine"))
    }

    /// Reads a key; none if it is not one of the registry's.
    pub fn parse(&self, key: &str) -> Option<Key> {
        let rest = key.strip_prefix(&self.prefix)?;
        let Some((kind, rest)) = rest.split_once('/') else {
            return match rest {
                "marker" => Some(Key::Marker),
                "rebalance" => Some(Key::Rebalance),
                "engine" => Some(Key::Engine),
                _ => None,
            };
        };
        let unit = |text: &str| UnitName::parse(text).ok();
        let of_machine = || rest.split_once('/').filter(|(machine, _)| !machine.is_empty());
        Some(match kind {
            "units" => Key::Unit(unit(rest)?),
            "global" => Key::Global(unit(rest)?),
            "place" => Key::Place(unit(rest)?),
            "claim" => Key::Claim(unit(rest)?),
            "machines" => Key::Machine(machine(rest)?),
            "hold" => Key::Hold(machine(rest)?),
            "lost" => Key::Lost(machine(rest)?),
            "schedule" => {
                let (id, name) = of_machine()?;
                Key::Entry(machine(id)?, unit(name)?)
            }
            "state" => {
                let (id, name) = of_machine()?;
                Key::State(machine(id)?, unit(name)?)
            }
            "meta" => {
                let (id, key) = of_machine()?;
                Key::Meta(machine(id)?, Some(key).filter(|key| !key.is_empty())?.to_owned())
            }
            _ => return None,
        })
    }
}

fn machine(text: &str) -> Option<MachineId> {
    (!text.is_empty() && !text.contains('/')).then(|| MachineId(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(keys: &Keys, machine: &MachineId, unit: &UnitName, meta: &str) -> Vec<(String, Key)> {
        let (own, name) = (machine.clone(), unit.clone());
        vec![
            (keys.marker(), Key::Marker),
            (keys.unit(unit), Key::Unit(name.clone())),
            (keys.global(unit), Key::Global(name.clone())),
            (keys.place(unit), Key::Place(name.clone())),
            (keys.entry(machine, unit), Key::Entry(own.clone(), name.clone())),
            (keys.state(machine, unit), Key::State(own.clone(), name.clone())),
            (keys.claim(unit), Key::Claim(name)),
            (keys.machine(machine), Key::Machine(own.clone())),
            (keys.meta(machine, meta), Key::Meta(own.clone(), meta.to_owned())),
            (keys.hold(machine), Key::Hold(own.clone())),
            (keys.lost(machine), Key::Lost(own)),
            (keys.rebalance(), Key::Rebalance),
            (keys.engine(), Key::Engine),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            id in "[0-9a-f]{32}", unit in "[a-z@]{1,5}", meta in "[A-Za-z0-9_.-]{1,10}", prefix in "/[a-z/]{0,9}",
        ) {
            let keys = Keys::new(&prefix);
            let Ok(unit) = UnitName::parse(&format!("{unit}.service")) else { return Ok(()) };
            for (key, expected) in samples(&keys, &MachineId(id), &unit, &meta) {
                prop_assert_eq!(keys.parse(&key), Some(expected), "{}", key);
            }
        }

        #[test]
        fn any_text_is_a_key_or_none(text in "/fleet/v1/[a-z/@.]{0,30}") {
            let _read_or_not = Keys::new("/fleet/v1").parse(&text);
        }
    }

    #[test]
    fn keys_of_others_are_none() {
        let keys = Keys::new("/fleet/v1/");
        assert_eq!(keys.marker(), "/fleet/v1/marker");
        for key in [
            "/fleet/v2/marker",
            "/fleet/v1/units/",
            "/fleet/v1/units/a",
            "/fleet/v1/schedule/a.service",
            "/fleet/v1/schedule//a.service",
            "/fleet/v1/machines/a/b",
            "/fleet/v1/meta/a/",
            "/fleet/v1/other/a",
            "/fleet/v1/",
        ] {
            assert_eq!(keys.parse(key), None, "{key}");
        }
    }
}
