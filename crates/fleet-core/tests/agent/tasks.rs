//! What follows from what is wanted and what is here.

use std::collections::BTreeMap;

use fleet_core::agent::{Job, Memory, Reading, Wish, reports};
use fleet_core::model::State;
use proptest::prelude::*;

use crate::lab::{Lab, name};

const NOTHING: [&str; 0] = [];

#[test]
fn tasks_come_in_the_order_unload_load_reload_stop_start() {
    let mut lab = Lab::new();
    lab.want("gone.service", "one", State::Launched);
    lab.want("less.service", "one", State::Launched);
    lab.run();
    lab.wanted.entries.clear();
    lab.want("less.service", "one", State::Loaded);
    lab.want("new.service", "one", State::Launched);
    let wanted =
        ["unload gone.service", "load new.service", "reload", "stop less.service", "start new.service"];
    assert_eq!(lab.run(), wanted);
}

#[test]
fn a_loaded_unit_is_not_started() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Loaded);
    assert_eq!(lab.run(), ["load a.service", "reload"]);
    lab.want("a.service", "one", State::Launched);
    assert_eq!(lab.run(), ["start a.service"]);
}

#[test]
fn another_hash_replaces_the_file() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.want("a.service", "two", State::Launched);
    assert_eq!(lab.run(), ["unload a.service", "load a.service", "reload", "start a.service"]);
}

#[test]
fn a_unit_that_failed_is_not_started_again_until_it_is_wished_anew() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.become_("a.service", "failed", "failed");
    assert_eq!(lab.plan(), NOTHING);
    lab.want("a.service", "one", State::Launched);
    assert_eq!(lab.run(), ["start a.service"]);
}

#[test]
fn the_next_process_goes_on_with_the_memory_and_without_it_starts_again() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    let text = serde_json::to_string(&lab.memory).unwrap();
    lab.memory = serde_json::from_str(&text).unwrap();
    assert_eq!(lab.plan(), NOTHING);
    lab.memory = Memory::default();
    assert_eq!(lab.run(), ["start a.service"]);
}

#[test]
fn a_unit_that_runs_for_another_is_not_stopped() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Loaded);
    lab.run();
    lab.become_("a.service", "active", "running");
    assert_eq!(lab.plan(), NOTHING);
}

#[test]
fn a_start_that_was_begun_by_a_process_that_died_is_undone() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    let tasks = fleet_core::agent::plan(&lab.wanted, &lab.here, &lab.memory);
    lab.run();
    lab.memory = Memory::default();
    lab.memory.begin(tasks.last().unwrap());
    lab.want("a.service", "one", State::Loaded);
    assert_eq!(lab.run(), ["stop a.service"]);
}

#[test]
fn a_unit_whose_unload_was_given_up_is_started_again() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    let kept = std::mem::take(&mut lab.wanted.entries);
    let tasks = fleet_core::agent::plan(&lab.wanted, &lab.here, &lab.memory);
    lab.memory.begin(&tasks[0]);
    lab.become_("a.service", "deactivating", "stop-sigterm");
    lab.wanted.entries = kept;
    assert_eq!(lab.run(), ["start a.service"]);
}

#[test]
fn a_finished_unit_is_loaded_and_reported_as_started() {
    let mut lab = Lab::new();
    lab.want("job.service", "one", State::Launched);
    if let Some(Wish::Known(wish)) = lab.wanted.entries.get_mut(&name("job.service")) {
        wish.finished = true;
    }
    assert_eq!(lab.run(), ["load job.service", "reload"]);
    assert!(reports(&lab.wanted, &lab.here, &lab.memory)[&name("job.service")].report.started);
}

#[test]
fn nothing_follows_from_a_reading_in_part() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.wanted.entries.clear();
    lab.want("b.service", "one", State::Launched);
    lab.wanted.reading = Reading::Partial;
    assert_eq!(lab.plan(), NOTHING);
}

#[test]
fn without_a_marker_units_come_and_none_goes() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.want("b.service", "one", State::Launched);
    lab.run();
    lab.wanted.entries.clear();
    lab.want("b.service", "two", State::Launched);
    lab.want("c.service", "one", State::Launched);
    lab.wanted.reading = Reading::Unmarked;
    assert_eq!(lab.run(), ["load c.service", "reload", "start c.service"]);
}

#[test]
fn a_unit_whose_entry_cannot_be_read_stays_as_it_is() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.wanted.entries.insert(name("a.service"), Wish::Frozen);
    lab.wanted.entries.insert(name("b.service"), Wish::Frozen);
    assert_eq!(lab.plan(), NOTHING);
}

#[test]
fn an_inactive_unit_does_not_pass_for_started_until_its_start_has_begun() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.become_("a.service", "inactive", "dead");
    lab.here.units.get_mut(&name("a.service")).unwrap().job = Job::Pending;
    let started = |lab: &Lab| reports(&lab.wanted, &lab.here, &lab.memory)[&name("a.service")].report.started;
    assert!(!started(&lab));
    lab.here.units.get_mut(&name("a.service")).unwrap().job = Job::None;
    assert!(started(&lab));
}

#[test]
fn a_report_is_about_the_wish_as_it_is() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.want("a.service", "one", State::Launched);
    let all = reports(&lab.wanted, &lab.here, &lab.memory);
    let found = &all[&name("a.service")];
    assert_eq!((found.entry, found.report.started), (2, false));
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![Just(State::Inactive), Just(State::Loaded), Just(State::Launched)]
}

proptest! {
    /// From any state that earlier wishes have led to, one plan leads to where the wishes are, in whatever order they
    /// came, and a second one has nothing to do (`run` sees to that).
    #[test]
    fn a_plan_is_complete_and_does_not_depend_on_the_order_of_wishes(
        before in proptest::collection::btree_map(0..5_u8, (state(), 0..2_u8), 0..5),
        after in proptest::collection::btree_map(0..5_u8, (state(), 0..2_u8), 0..5),
    ) {
        let mut ends = Vec::new();
        for backwards in [false, true] {
            let mut lab = Lab::new();
            for wishes in [&before, &after] {
                lab.wanted.entries.clear();
                let mut list: Vec<_> = wishes.iter().collect();
                if backwards {
                    list.reverse();
                }
                for (n, (desired, hash)) in list {
                    lab.want(&format!("u{n}.service"), &format!("{hash}"), *desired);
                }
                lab.run();
            }
            let end: BTreeMap<String, (String, String)> = lab
                .here
                .units
                .iter()
                .map(|(unit, local)| (unit.to_string(), (local.hash.clone(), local.active.clone())))
                .collect();
            let wanted: BTreeMap<String, (String, String)> = after
                .iter()
                .filter(|(_, (desired, _))| *desired != State::Inactive)
                .map(|(n, (desired, hash))| {
                    let active = if *desired == State::Launched { "active" } else { "inactive" };
                    (format!("u{n}.service"), (hash.to_string(), active.to_owned()))
                })
                .collect();
            prop_assert_eq!(&end, &wanted);
            ends.push(end);
        }
        prop_assert_eq!(&ends[0], &ends[1]);
    }
}
