//! The cluster as text: one table, and below it what did not answer.

use std::collections::BTreeMap;

use super::state::Power;
use super::view::{FailedVersion, Role, Row, View};

/// The columns.
const HEAD: [&str; 8] = ["MACHINE", "ADDRESS", "VERSION", "SLOT", "HEALTH", "ETCD", "LOCK", "UNITS"];
/// What could not be learned.
const DASH: &str = "-";

/// Returns the text, with a line end at its end.
pub fn render(view: &View) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(view.machines.iter().map(cells));
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let padded: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    let below = below(view);
    if !below.is_empty() {
        text.push('\n');
        text.push_str(&below);
    }
    text
}

fn cells(row: &Row) -> [String; HEAD.len()] {
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| DASH.to_owned());
    let role = |role: Role| match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Learner => "learner",
        Role::NoLeader => "no leader",
    };
    let units = row.units.as_ref().map(|units| match &row.hold {
        Some(hold) => format!("{} ({hold})", counts(units)),
        None => counts(units),
    });
    [
        row.name.clone(),
        row.address.clone(),
        or_dash(&row.version),
        or_dash(&row.slot),
        or_dash(&row.boot_complete),
        row.etcd.map_or(DASH, role).to_owned(),
        or_dash(&row.lock),
        or_dash(&units),
    ]
}

fn counts(units: &BTreeMap<String, usize>) -> String {
    if units.is_empty() {
        return "none".to_owned();
    }
    let counts: Vec<_> = units.iter().map(|(state, count)| format!("{count} {state}")).collect();
    counts.join(", ")
}

/// A line for each version that failed, for each machine that is off, and for each program that did not answer.
fn below(view: &View) -> String {
    let mut text: String = view.failed_versions.iter().map(|failed| failure(view, failed)).collect();
    for row in &view.machines {
        match &row.power {
            Power::On(_) => {}
            Power::Waiting => text.push_str(&format!("{}: not started yet\n", row.name)),
            Power::Off(why) => text.push_str(&format!("{}: off, {why}\n", row.name)),
        }
    }
    for row in view.machines.iter().filter(|row| matches!(row.power, Power::On(_))) {
        for missing in &row.missing {
            text.push_str(&format!("{}: {}: {}\n", row.name, missing.program, missing.reason));
        }
    }
    text
}

fn failure(view: &View, failed: &FailedVersion) -> String {
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| DASH.to_owned());
    let tried = view.machines.iter().find(|row| row.id.is_some() && row.id == failed.by);
    let by = tried.map_or_else(|| or_dash(&failed.by), |row| row.name.clone());
    let (stage, reason) = (or_dash(&failed.stage), or_dash(&failed.reason));
    format!("version {} failed on {by}: {stage}: {reason}; no machine takes it\n", failed.version)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::command::cluster::ask::{Program, Said};
    use crate::command::cluster::view::{made, view};

    #[track_caller]
    fn check(said: &[Result<Said, String>], change: impl FnOnce(&mut View), expect: Expect) {
        let mut view = view(&made::state(), said);
        change(&mut view);
        expect.assert_eq(&render(&view));
    }

    #[test]
    fn a_whole_cluster_is_a_table_alone() {
        check(
            &[1, 2, 3].map(|number| Ok(made::said(number))),
            |view| view.machines[2].hold = Some("draining".to_owned()),
            expect![[r#"
                MACHINE  ADDRESS   VERSION  SLOT  HEALTH  ETCD      LOCK             UNITS
                m1       10.7.0.1  0.1.0    A     passed  leader    none             2 active, 1 failed
                m2       10.7.0.2  0.1.0    A     passed  follower  holds for 0.1.1  none
                m3       10.7.0.3  0.1.0    A     passed  follower  idle             1 active (draining)
            "#]],
        );
    }

    #[test]
    fn a_version_that_failed_is_a_line_below_it() {
        let failed = |by: &str| FailedVersion {
            version: "0.1.2".to_owned(),
            by: Some(by.to_owned()),
            stage: Some("loader".to_owned()),
            reason: Some("it left no record of its last try".to_owned()),
            at: None,
        };
        check(
            &[1, 2, 3].map(|number| Ok(made::said(number))),
            |view| view.failed_versions = vec![failed(&format!("2{}", "0".repeat(31))), failed("gone")],
            expect![[r#"
                MACHINE  ADDRESS   VERSION  SLOT  HEALTH  ETCD      LOCK             UNITS
                m1       10.7.0.1  0.1.0    A     passed  leader    none             2 active, 1 failed
                m2       10.7.0.2  0.1.0    A     passed  follower  holds for 0.1.1  none
                m3       10.7.0.3  0.1.0    A     passed  follower  idle             1 active

                version 0.1.2 failed on m2: loader: it left no record of its last try; no machine takes it
                version 0.1.2 failed on gone: loader: it left no record of its last try; no machine takes it
            "#]],
        );
    }

    #[test]
    fn what_is_missing_is_a_dash_with_its_reason_below() {
        let without_locksmith = |number| {
            let mut said = made::said(number);
            for program in [Program::Locks, Program::Coordinators] {
                said.insert(program, Err("this version has no such program".to_owned()));
            }
            said
        };
        let mut first = without_locksmith(1);
        first.insert(Program::Etcd, Err("context deadline exceeded".to_owned()));
        check(
            &[Ok(first), Ok(without_locksmith(2)), Err("Connection refused".to_owned())],
            |view| view.machines[2].power = Power::Off("it was powered off".to_owned()),
            expect![[r#"
                MACHINE  ADDRESS   VERSION  SLOT  HEALTH  ETCD      LOCK  UNITS
                m1       10.7.0.1  0.1.0    A     passed  -         -     2 active, 1 failed
                m2       10.7.0.2  0.1.0    A     passed  follower  -     none
                m3       10.7.0.3  -        -     -       -         -     -

                m3: off, it was powered off
                m1: etcdctl endpoint status: context deadline exceeded
                m1: locksmithctl status: this version has no such program
                m1: locksmithctl machines: this version has no such program
                m2: locksmithctl status: this version has no such program
                m2: locksmithctl machines: this version has no such program
            "#]],
        );
    }
}
