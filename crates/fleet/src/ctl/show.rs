//! The columns of `list-machines`, `list-units` and `list-unit-files`, and what stands in them.

use std::collections::BTreeMap;

use crate::api::{Machine, Unit, UnitState};
use crate::ctl::failure::Failure;
use crate::ctl::table::or_dash;
use crate::ctl::view::{Facts, Length, MachineNames, Spread, hash, machine_id};

/// Columns of `list-machines`.
pub const MACHINES: Columns =
    Columns { usual: &["machine", "ip", "metadata"], all: &["machine", "ip", "metadata", "hold"] };
/// Columns of `list-units`.
pub const UNITS: Columns = Columns {
    usual: &["unit", "machine", "active", "sub"],
    all: &["unit", "machine", "active", "sub", "load", "hash"],
};
/// Columns of `list-unit-files`; `tmachine` is an older word for `target`.
pub const UNIT_FILES: Columns = Columns {
    usual: &["unit", "hash", "dstate", "state", "target"],
    all: &["unit", "hash", "dstate", "state", "target", "global", "desc", "tmachine"],
};

/// The columns that a table has without being told, and all that it can have.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    usual: &'static [&'static str],
    all: &'static [&'static str],
}

impl Columns {
    /// Returns the columns asked for, or the usual ones.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn pick(self, fields: Option<&str>) -> Result<Vec<&'static str>, Failure> {
        let Some(fields) = fields else { return Ok(self.usual.to_vec()) };
        let known = |field: &str| self.all.iter().copied().find(|column| *column == field);
        fields.split(',').map(|field| known(field).ok_or_else(|| Failure::Field(field.to_owned()))).collect()
    }

    /// Whether one of the columns shows machines by id and address.
    pub fn shows_machines(columns: &[&str]) -> bool {
        columns.iter().any(|column| matches!(*column, "machine" | "target" | "tmachine"))
    }
}

/// Returns the rows of `list-machines`.
pub fn machines(machines: &[Machine], columns: &[&str], length: Length) -> Vec<Vec<String>> {
    let mut sorted: Vec<&Machine> = machines.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let cell = |machine: &&Machine, column: &str| match column {
        "machine" => machine_id(&machine.id, length),
        "ip" => or_dash(&machine.primary_ip),
        "metadata" => or_dash(&metadata(&machine.metadata)),
        _ => or_dash(machine.hold.as_deref().unwrap_or_default()),
    };
    rows(&sorted, columns, cell)
}

/// Returns the rows of `list-units`.
pub fn units(
    states: &[UnitState],
    names: &MachineNames,
    columns: &[&str],
    length: Length,
) -> Vec<Vec<String>> {
    let mut sorted: Vec<&UnitState> = states.iter().collect();
    sorted.sort_by(|a, b| (&a.name, &a.machine_id).cmp(&(&b.name, &b.machine_id)));
    let cell = |state: &&UnitState, column: &str| match column {
        "unit" => state.name.clone(),
        "machine" => names.cell(&state.machine_id, length),
        "active" => or_dash(&state.systemd_active_state),
        "sub" => or_dash(&state.systemd_sub_state),
        "load" => or_dash(&state.systemd_load_state),
        _ => hash(&state.hash, length),
    };
    rows(&sorted, columns, cell)
}

/// Returns the rows of `list-unit-files`.
pub fn unit_files(
    units: &[Unit],
    names: &MachineNames,
    columns: &[&str],
    length: Length,
) -> Vec<Vec<String>> {
    let mut sorted: Vec<(&Unit, Facts)> = units.iter().map(|unit| (unit, Facts::of(unit))).collect();
    sorted.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let cell = |(unit, facts): &(&Unit, Facts), column: &str| match column {
        "unit" => unit.name.clone(),
        "hash" => hash(facts.hash(), length),
        "dstate" => unit.desired_state.map_or_else(|| "-".to_owned(), |state| state.to_string()),
        "state" => match facts.spread {
            Spread::Global => "-".to_owned(),
            Spread::Single => unit.current_state.map_or_else(|| "-".to_owned(), |state| state.to_string()),
        },
        "global" => (facts.spread == Spread::Global).to_string(),
        "desc" => or_dash(facts.description()),
        _ => match facts.spread {
            Spread::Global => "global".to_owned(),
            Spread::Single => names.cell(unit.machine_id.as_deref().unwrap_or_default(), length),
        },
    };
    rows(&sorted, columns, cell)
}

/// Returns metadata as `k=v,k=v`, sorted by key.
fn metadata(metadata: &BTreeMap<String, String>) -> String {
    metadata.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn rows<T>(items: &[T], columns: &[&str], cell: impl Fn(&T, &str) -> String) -> Vec<Vec<String>> {
    items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use fleet_core::model::State;

    use super::*;
    use crate::ctl::table::{Legend, render};

    const ID: &str = "e1cd2bcd4b9c4ad4a0e5a4c46bdf8a3f";

    fn machine() -> Machine {
        let metadata = [("role", "web"), ("az", "b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        Machine {
            id: ID.to_owned(),
            primary_ip: "172.17.8.101".to_owned(),
            metadata: metadata.into(),
            hold: None,
        }
    }

    fn state(name: &str, machine: &str) -> UnitState {
        UnitState {
            name: name.to_owned(),
            hash: "6b92f1a000000000000000000000000000000000".to_owned(),
            machine_id: machine.to_owned(),
            systemd_load_state: "loaded".to_owned(),
            systemd_active_state: "active".to_owned(),
            systemd_sub_state: "running".to_owned(),
        }
    }

    fn unit(name: &str, content: &str) -> Unit {
        Unit {
            name: name.to_owned(),
            options: Vec::new(),
            content: Some(content.to_owned()),
            desired_state: Some(State::Launched),
            current_state: None,
            machine_id: None,
        }
    }

    /// Checks a table with its tabs made visible where the eye sees them: at multiples of eight.
    #[track_caller]
    fn check(columns: &[&str], rows: &[Vec<String>], expected: &Expect) {
        let text = render(columns, rows, Legend::Shown);
        let widened: String = text.lines().map(|line| format!("{}\n", widen(line))).collect();
        expected.assert_eq(&widened);
    }

    fn widen(line: &str) -> String {
        line.chars().fold(String::new(), |mut wide, c| {
            if c == '\t' {
                let room = 8 - wide.chars().count() % 8;
                wide.extend(std::iter::repeat_n(' ', room));
            } else {
                wide.push(c);
            }
            wide
        })
    }

    #[test]
    fn machines_are_listed_as_in_the_original() {
        let columns = MACHINES.pick(None).unwrap();
        check(
            &columns,
            &machines(&[machine()], &columns, Length::Short),
            &expect![[r#"
                MACHINE         IP              METADATA
                e1cd2bcd...     172.17.8.101    az=b,role=web
            "#]],
        );
    }

    #[test]
    fn units_are_listed_as_in_the_original() {
        let columns = UNITS.pick(None).unwrap();
        let names = MachineNames::of(&[machine()]);
        check(
            &columns,
            &units(&[state("foo.service", ID)], &names, &columns, Length::Short),
            &expect![[r#"
                UNIT            MACHINE                         ACTIVE  SUB
                foo.service     e1cd2bcd.../172.17.8.101        active  running
            "#]],
        );
    }

    #[test]
    fn unit_files_are_listed_as_in_the_original() {
        let columns = UNIT_FILES.pick(None).unwrap();
        let names = MachineNames::of(&[machine()]);
        let placed = Unit {
            current_state: Some(State::Launched),
            machine_id: Some(ID.to_owned()),
            ..unit("foo.service", "[Service]\nExecStart=/usr/bin/sleep 500\n")
        };
        let everywhere = unit("all.service", "[Service]\nExecStart=/bin/a\n[X-Fleet]\nGlobal=true\n");
        let nowhere = Unit {
            current_state: Some(State::Inactive),
            ..unit("lost.service", "[Service]\nExecStart=/bin/b\n")
        };
        let mut rows = unit_files(&[placed, nowhere, everywhere], &names, &columns, Length::Short);
        for row in &mut rows {
            assert!(row[1].len() == 7 && row[1].bytes().all(|digit| digit.is_ascii_hexdigit()), "{row:?}");
            row[1] = "6b92f1a".to_owned();
        }
        check(
            &columns,
            &rows,
            &expect![[r#"
                UNIT            HASH    DSTATE          STATE           TARGET
                all.service     6b92f1a launched        -               global
                foo.service     6b92f1a launched        launched        e1cd2bcd.../172.17.8.101
                lost.service    6b92f1a launched        inactive        -
            "#]],
        );
    }

    #[test]
    fn rows_are_sorted_by_unit_then_machine() {
        let states = [state("b.service", "m1"), state("a.service", "m2"), state("a.service", "m1")];
        let rows = units(&states, &MachineNames::default(), &["unit", "machine"], Length::Full);
        let expected = [["a.service", "m1"], ["a.service", "m2"], ["b.service", "m1"]];
        assert_eq!(rows, expected.map(|row| row.map(str::to_owned).to_vec()));
    }

    #[test]
    fn other_columns_are_there_when_they_are_asked_for() {
        let held = Machine { hold: Some("draining".to_owned()), ..machine() };
        assert_eq!(machines(&[held], &["hold"], Length::Short), [["draining"]]);
        let rows = units(&[state("x", ID)], &MachineNames::default(), &["hash", "load"], Length::Full);
        assert_eq!(rows, [["6b92f1a000000000000000000000000000000000", "loaded"]]);
        let described = unit("x.service", "[Unit]\nDescription=An example\n");
        let columns = UNIT_FILES.pick(Some("desc,global,tmachine")).unwrap();
        let rows = unit_files(&[described], &MachineNames::default(), &columns, Length::Short);
        assert_eq!(rows, [["An example", "false", "-"]]);
    }

    #[test]
    fn a_column_that_there_is_not_is_named() {
        let err = UNITS.pick(Some("unit,x")).unwrap_err();
        assert_eq!(err.to_string(), r#"Invalid key in output format: "x""#);
        assert!(MACHINES.pick(Some("")).is_err());
    }
}
