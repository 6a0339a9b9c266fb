//! Where a unit goes: load, `MachineID=`, `MachineMetadata=`, `MachineOf=`, `Conflicts=`, `Replaces=`, `SpreadBy=`.

use fleet_core::engine::Action;
use fleet_core::model::{Hold, State};

use crate::lab::{Lab, id};

#[test]
fn d02_a_difference_is_scheduled_once() {
    let mut lab = Lab::of(3);
    lab.start("a.service", "");
    let decisions = lab.pass();
    assert!(matches!(&decisions[..], [one] if matches!(one.action, Action::Place { .. })), "{decisions:?}");
    assert_eq!(lab.pass(), []);
}

#[test]
fn d03_the_least_loaded_machine_is_chosen_and_the_first_of_equals() {
    let mut lab = Lab::of(3);
    for (unit, n) in [("a.service", 1), ("b.service", 1), ("c.service", 2), ("d.service", 3)] {
        lab.start(unit, "");
        lab.place(unit, n);
    }
    lab.start("e.service", "");
    lab.settle();
    assert_eq!(lab.at("e.service"), Some(2));
}

#[test]
fn d03_thirty_units_are_ten_for_each_of_three_machines() {
    let mut lab = Lab::of(3);
    (0..30).for_each(|n| lab.start(&format!("u{n}.service"), ""));
    lab.settle();
    assert_eq!(lab.loads(3), [10, 10, 10]);
}

#[test]
fn d04_the_fourth_of_three_that_conflict_waits_for_a_machine() {
    let mut lab = Lab::of(3);
    (1..=4).for_each(|n| lab.start(&format!("web@{n}.service"), "Conflicts=web@*.service"));
    lab.settle();
    assert_eq!(lab.loads(3), [1, 1, 1]);
    assert_eq!(lab.at("web@4.service"), None);
    let (said, of) = lab.explain("web@4.service", 1);
    assert_eq!(said, "web@4.service is on no machine: something speaks against each");
    assert_eq!(of, ["conflict with web@1.service (Conflicts=web@*.service)"]);
    lab.join(4, &[]);
    lab.settle();
    assert_eq!(lab.at("web@4.service"), Some(4));
}

#[test]
fn a_conflict_holds_from_both_sides() {
    let mut lab = Lab::of(1);
    lab.start("a.service", "Conflicts=b*.service");
    lab.settle();
    lab.start("b.service", "");
    lab.settle();
    assert_eq!((lab.at("a.service"), lab.at("b.service")), (Some(1), None));
}

#[test]
fn of_two_placed_units_that_come_to_conflict_the_later_name_yields() {
    let mut lab = Lab::of(2);
    for unit in ["a.service", "b.service"] {
        lab.start(unit, "");
        lab.place(unit, 1);
    }
    lab.start("a.service", "Conflicts=b.service");
    lab.settle();
    assert_eq!((lab.at("a.service"), lab.at("b.service")), (Some(1), Some(2)));
}

#[test]
fn d05_a_unit_follows_the_one_that_it_hangs_on() {
    let mut lab = Lab::of(4);
    lab.start("db.service", "");
    lab.start("app.service", "MachineOf=db.service");
    lab.settle();
    assert_eq!((lab.at("db.service"), lab.at("app.service")), (Some(1), Some(1)));
    lab.lose(&[1]);
    lab.wait(29);
    assert_eq!(lab.pass(), []);
    lab.wait(1);
    lab.settle();
    assert_eq!((lab.at("db.service"), lab.at("app.service")), (Some(2), Some(2)));
}

#[test]
fn units_that_hang_on_each_other_are_never_placed() {
    let mut lab = Lab::of(2);
    lab.start("a.service", "MachineOf=b.service");
    lab.start("b.service", "MachineOf=a.service");
    assert_eq!(lab.settle(), [""; 0]);
}

#[test]
fn d06_only_the_machine_with_all_metadata_is_chosen() {
    let mut lab = Lab::of(0);
    lab.join(1, &[("region", "us"), ("disk", "hdd")]);
    lab.join(2, &[("region", "us"), ("disk", "ssd")]);
    lab.join(3, &[("disk", "ssd")]);
    lab.start("a.service", "MachineMetadata=region=us\nMachineMetadata=disk=ssd");
    lab.settle();
    assert_eq!(lab.at("a.service"), Some(2));
}

#[test]
fn d06_without_such_a_machine_the_reason_is_visible() {
    let mut lab = Lab::of(0);
    lab.join(1, &[("region", "eu")]);
    lab.start("a.service", "MachineMetadata=region=us\nMachineMetadata=disk=ssd");
    lab.settle();
    assert_eq!(lab.at("a.service"), None);
    let (_, of) = lab.explain("a.service", 1);
    let wanted = [
        "MachineMetadata wants disk=ssd, it has no disk",
        "MachineMetadata wants region=us, it has region=eu",
    ];
    assert_eq!(of, wanted);
}

#[test]
fn machine_id_names_the_machine_in_full_or_by_eight_digits() {
    let mut lab = Lab::of(3);
    let id = id(2).0;
    lab.start("full.service", &format!("MachineID={id}"));
    lab.settle();
    assert_eq!(lab.at("full.service"), Some(2));
    lab.known("full.service").requirements.machine_id = Some("00000001".to_owned());
    lab.settle();
    assert_eq!(lab.at("full.service"), None, "no machine's id begins so");
}

#[test]
fn d07_global_units_count_where_they_run() {
    let mut lab = Lab::of(0);
    lab.join(1, &[("role", "log")]);
    lab.join(2, &[]);
    lab.start("log.service", "Global=true\nMachineMetadata=role=log");
    lab.start("a.service", "");
    lab.settle();
    assert_eq!(lab.at("a.service"), Some(2));
    assert_eq!(lab.at("log.service"), None, "no engine places it");
    let (said, of) = lab.explain("log.service", 2);
    assert_eq!(said, "log.service is a global unit: 1 of 2 machines take it");
    assert_eq!(of, ["MachineMetadata wants role=log, it has no role"]);
}

#[test]
fn a_unit_that_replaces_pushes_the_other_away() {
    let mut lab = Lab::of(2);
    lab.start("old.service", "");
    lab.place("old.service", 1);
    lab.start("b.service", "");
    lab.place("b.service", 2);
    lab.start("new.service", "Replaces=old.service");
    lab.settle();
    assert_eq!((lab.at("new.service"), lab.at("old.service")), (Some(1), Some(2)));
}

#[test]
fn units_that_replace_each_other_in_a_circle_stay() {
    let mut lab = Lab::of(1);
    lab.start("a.service", "Replaces=b.service");
    lab.start("b.service", "Replaces=c.service");
    lab.start("c.service", "Replaces=a.service");
    lab.settle();
    assert_eq!(lab.loads(1), [3]);
}

#[test]
fn instances_are_spread_over_the_values_of_a_key_before_load_counts() {
    let mut lab = Lab::of(0);
    lab.join(1, &[("az", "a")]);
    lab.join(2, &[("az", "a")]);
    lab.join(3, &[("az", "b")]);
    for n in 0..4 {
        let unit = format!("other{n}.service");
        lab.start(&unit, "");
        lab.place(&unit, 3);
    }
    lab.start("db@1.service", "SpreadBy=az");
    lab.start("db@2.service", "SpreadBy=az");
    lab.settle();
    assert_eq!((lab.at("db@1.service"), lab.at("db@2.service")), (Some(1), Some(3)));
}

#[test]
fn held_machines_take_nothing_and_a_cordoned_one_keeps_what_it_has() {
    let mut lab = Lab::of(2);
    lab.start("a.service", "");
    lab.place("a.service", 1);
    lab.hold(1, Hold::Cordoned);
    lab.hold(2, Hold::Draining);
    lab.start("b.service", "");
    assert_eq!(lab.settle(), [""; 0]);
    let (_, of) = lab.explain("b.service", 1);
    assert_eq!(of, ["is cordoned; fleetctl uncordon lets units come"]);
}

#[test]
fn a_unit_that_is_not_wanted_loses_its_entry() {
    let mut lab = Lab::of(1);
    lab.start("a.service", "");
    lab.settle();
    lab.known("a.service").desired = State::Inactive;
    assert_eq!(lab.settle(), ["target state is inactive"]);
    assert_eq!(lab.at("a.service"), None);
}
