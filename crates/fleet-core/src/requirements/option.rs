//! Names of the options in `[X-Fleet]`.

use super::spelling::distance;

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    MachineId,
    MachineOf,
    MachineMetadata,
    Conflicts,
    Replaces,
    Global,
    Exclusive,
    SpreadBy,
    RunOnce,
    /// What the original took and never kept to.
    Reservation,
}

/// Every name that is understood; the first of several for one option is the one to write.
const NAMES: [(&str, Name); 16] = [
    ("MachineID", Name::MachineId),
    ("X-ConditionMachineID", Name::MachineId),
    ("MachineOf", Name::MachineOf),
    ("X-ConditionMachineOf", Name::MachineOf),
    ("MachineMetadata", Name::MachineMetadata),
    ("X-ConditionMachineMetadata", Name::MachineMetadata),
    ("Conflicts", Name::Conflicts),
    ("X-Conflicts", Name::Conflicts),
    ("Replaces", Name::Replaces),
    ("Global", Name::Global),
    ("Exclusive", Name::Exclusive),
    ("SpreadBy", Name::SpreadBy),
    ("RunOnce", Name::RunOnce),
    ("X-MemoryReservation", Name::Reservation),
    ("X-CoresReservation", Name::Reservation),
    ("X-DiskReservation", Name::Reservation),
];

impl Name {
    /// Reads a name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, option)| *option)
    }

    /// Returns the name that is meant by a misspelt one, if one is near.
    pub(super) fn nearest(text: &str) -> Option<&'static str> {
        const APART_MAX: usize = 3;
        let near = NAMES.iter().map(|(name, _)| (distance(text, name), *name));
        near.filter(|(apart, _)| *apart <= APART_MAX).min().map(|(_, name)| name)
    }

    /// Returns the name to write.
    pub(super) fn as_str(self) -> &'static str {
        NAMES.iter().find(|(_, option)| *option == self).map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_names_are_one() {
        assert_eq!(Name::parse("X-ConditionMachineOf"), Name::parse("MachineOf"));
        assert_eq!(Name::parse("X-ConditionMachineID").map(Name::as_str), Some("MachineID"));
        assert_eq!(Name::parse("machineid"), None);
    }

    #[test]
    fn a_misspelt_name_finds_the_right_one() {
        for (text, expected) in [
            ("MachineMetaData", Some("MachineMetadata")),
            ("machineof", Some("MachineOf")),
            ("Conflict", Some("Conflicts")),
            ("Golbal", Some("Global")),
            ("Description", None),
        ] {
            assert_eq!(Name::nearest(text), expected, "{text}");
        }
    }

    #[test]
    fn the_page_of_the_format_has_every_name() {
        let page = include_str!("../../../../docs/formats/fleet-units.md");
        let missing = NAMES.iter().filter(|(name, _)| !page.contains(&format!("`{name}`")));
        assert_eq!(missing.map(|(name, _)| *name).collect::<Vec<_>>(), [""; 0]);
    }
}
