//! Which machine is meant by the beginning of its id, or by a unit.

use crate::api::Machine;

/// Why it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No id begins so.
    #[error("no machine that is alive has an id that begins with {0:?}; list-machines shows them")]
    NoMachine(String),
    /// Several ids begin so.
    #[error("{given:?} begins the ids of {}; give more of it", .ids.join(" and "))]
    SeveralMachines {
        /// What was given.
        given: String,
        /// Ids.
        ids: Vec<String>,
    },
    /// Neither a machine nor a unit.
    #[error("{0:?} is neither the beginning of a machine's id nor a unit on a machine")]
    Nothing(String),
    /// A machine and a unit.
    #[error("{0:?} is both the beginning of a machine's id and a unit: say --machine or --unit")]
    Both(String),
    /// A machine without an address.
    #[error("machine {0} has no address: set public_ip in its /etc/fleet/fleet.conf")]
    NoAddress(String),
    /// Nothing given.
    #[error("one machine or unit must be provided")]
    NotGiven,
}

/// Returns the machine whose id begins as given.
///
/// # Errors
/// When there is none, or more than one.
pub fn machine<'a>(machines: &'a [Machine], given: &str) -> Result<&'a Machine, TargetError> {
    // An id is its own beginning even where another one goes on.
    let whole = machines.iter().find(|machine| machine.id == given);
    let mut found = machines.iter().filter(|machine| !given.is_empty() && machine.id.starts_with(given));
    let Some(first) = whole.or_else(|| found.next()) else {
        return Err(TargetError::NoMachine(given.to_owned()));
    };
    let others: Vec<String> = if whole.is_some() { Vec::new() } else { found.map(id).collect() };
    if others.is_empty() {
        return Ok(first);
    }
    let ids = std::iter::once(first.id.clone()).chain(others).collect();
    Err(TargetError::SeveralMachines { given: given.to_owned(), ids })
}

/// Returns the machine that a word means, which may be the beginning of an id or a unit on `of_unit`.
///
/// # Errors
/// When it is neither, or both.
pub fn machine_or_unit<'a>(
    machines: &'a [Machine],
    given: &str,
    of_unit: Option<&'a Machine>,
) -> Result<&'a Machine, TargetError> {
    match (machine(machines, given), of_unit) {
        (Ok(_), Some(_)) => Err(TargetError::Both(given.to_owned())),
        (Ok(machine), None) | (Err(TargetError::NoMachine(_)), Some(machine)) => Ok(machine),
        (Err(TargetError::NoMachine(_)), None) => Err(TargetError::Nothing(given.to_owned())),
        (Err(err), _) => Err(err),
    }
}

fn id(machine: &Machine) -> String {
    machine.id.clone()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn machines(ids: &[&str]) -> Vec<Machine> {
        let machine = |id: &&str| Machine {
            id: (*id).to_owned(),
            primary_ip: String::new(),
            metadata: BTreeMap::new(),
            hold: None,
        };
        ids.iter().map(machine).collect()
    }

    #[test]
    fn the_beginning_of_an_id_is_enough() {
        let all = machines(&["e1cd2bcd", "e1aa", "f0"]);
        assert_eq!(machine(&all, "e1c").unwrap().id, "e1cd2bcd");
        assert_eq!(machine(&all, "f0").unwrap().id, "f0");
    }

    #[test]
    fn a_beginning_of_two_ids_names_both() {
        let all = machines(&["e1cd", "e1aa", "f0"]);
        let err = machine(&all, "e1").unwrap_err();
        assert_eq!(err.to_string(), "\"e1\" begins the ids of e1cd and e1aa; give more of it");
    }

    #[test]
    fn nothing_is_the_beginning_of_no_id() {
        assert!(matches!(machine(&machines(&["e1"]), ""), Err(TargetError::NoMachine(_))));
        assert!(matches!(machine(&machines(&["e1"]), "e2"), Err(TargetError::NoMachine(_))));
    }

    #[test]
    fn a_whole_id_is_not_ambiguous() {
        assert_eq!(machine(&machines(&["e1cd", "e1"]), "e1").unwrap().id, "e1");
    }

    #[test]
    fn a_word_is_a_machine_or_a_unit_but_not_both() {
        let all = machines(&["e1cd", "e1aa"]);
        let other = &all[1];
        assert_eq!(machine_or_unit(&all, "foo", Some(other)).unwrap().id, "e1aa");
        assert_eq!(machine_or_unit(&all, "e1c", None).unwrap().id, "e1cd");
        assert!(matches!(machine_or_unit(&all, "e1c", Some(other)), Err(TargetError::Both(_))));
        assert!(matches!(machine_or_unit(&all, "foo", None), Err(TargetError::Nothing(_))));
        assert!(matches!(machine_or_unit(&all, "e1", None), Err(TargetError::SeveralMachines { .. })));
    }
}
