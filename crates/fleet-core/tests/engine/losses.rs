//! Machines that are lost, one or many, and what is repaired.

use std::time::Duration;

use fleet_core::engine::{Entry, Seen, Unit};
use fleet_core::model::Hold;

use crate::lab::{Lab, id, name};

/// `count` machines with a unit each.
fn one_each(count: usize) -> Lab {
    let mut lab = Lab::of(count);
    for n in 1..=count {
        let unit = format!("u{n}.service");
        lab.start(&unit, "");
        lab.place(&unit, n);
    }
    assert_eq!(lab.pass(), []);
    lab.wait(100);
    lab
}

/// Checks that one unit moves when so many seconds are over, and not before.
#[track_caller]
fn one_moves_after(lab: &mut Lab, seconds: u64) {
    lab.wait(seconds - 1);
    assert_eq!(lab.settle(), [""; 0]);
    lab.wait(1);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn units_of_a_lost_machine_move_when_its_grace_is_over() {
    let mut lab = one_each(4);
    lab.lose(&[1]);
    lab.wait(29);
    assert_eq!(lab.settle(), [""; 0]);
    let (said, _) = lab.explain("u1.service", 2);
    let wanted = "u1.service is on 1: by hand; the machine is lost since 1970-01-01T00:18:20Z, its units move at \
                  1970-01-01T00:18:50Z";
    assert_eq!(said, wanted);
    lab.wait(1);
    assert_eq!(lab.settle(), [format!("machine {} is lost for 30 s", id(1))]);
    assert_eq!(lab.at("u1.service"), Some(2));
}

#[test]
fn a_machine_that_comes_back_in_time_keeps_its_units() {
    let mut lab = one_each(4);
    lab.lose(&[1]);
    lab.wait(29);
    lab.join(1, &[]);
    lab.wait(60);
    assert_eq!(lab.settle(), [""; 0]);
}

#[test]
fn a_machine_that_comes_back_later_gets_nothing_back() {
    let mut lab = one_each(4);
    lab.lose(&[1]);
    lab.wait(30);
    lab.settle();
    lab.join(1, &[]);
    assert_eq!(lab.settle(), [""; 0]);
    assert_eq!(lab.at("u1.service"), Some(2));
}

#[test]
fn a_loss_of_more_than_a_third_is_not_believed_for_five_minutes() {
    let mut lab = one_each(5);
    lab.lose(&[1, 2]);
    lab.wait(299);
    assert_eq!(lab.settle(), [""; 0]);
    let (said, _) = lab.explain("u1.service", 3);
    let wanted = "u1.service is on 1: by hand; the machine is lost since 1970-01-01T00:18:20Z with more than a third \
                  of the machines, which is not believed until 1970-01-01T00:23:20Z";
    assert_eq!(said, wanted);
    lab.wait(1);
    lab.settle();
    assert_eq!((lab.at("u1.service"), lab.at("u2.service")), (Some(3), Some(4)));
}

#[test]
fn a_third_is_believed_and_so_is_one_of_two() {
    let mut six = one_each(6);
    six.lose(&[1, 2]);
    six.wait(30);
    assert_eq!(six.settle().len(), 2);
    let mut two = one_each(2);
    two.lose(&[1]);
    two.wait(30);
    assert_eq!(two.settle().len(), 1);
}

#[test]
fn machines_that_are_lost_one_after_the_other_within_the_window_are_many() {
    let mut lab = one_each(5);
    lab.lose(&[1]);
    lab.wait(20);
    lab.lose(&[2]);
    lab.wait(60);
    assert_eq!(lab.settle(), [""; 0]);
}

#[test]
fn when_most_of_many_are_back_the_rest_gets_a_grace() {
    let mut lab = one_each(5);
    lab.lose(&[1, 2, 3]);
    lab.wait(100);
    lab.join(2, &[]);
    lab.join(3, &[]);
    lab.wait(0);
    one_moves_after(&mut lab, 30);
}

#[test]
fn a_new_engine_counts_from_its_own_beginning_and_takes_entries_for_machines() {
    let mut lab = one_each(6);
    lab.lose(&[1]);
    lab.wait(25);
    lab.snapshot.losses = Default::default();
    lab.wait(0);
    one_moves_after(&mut lab, 30);
}

#[test]
fn time_without_the_store_does_not_count() {
    let mut lab = one_each(4);
    lab.lose(&[1]);
    lab.wait(10);
    lab.snapshot.losses.away(lab.now);
    lab.wait(100);
    lab.snapshot.losses.back(lab.now);
    one_moves_after(&mut lab, 20);
}

/// What the engine tells: when a loss began by the clock of the day, when it ends, and whether it is one of many.
fn told(since: &str, moves: &str, mass: bool) -> Option<(String, Option<String>, bool)> {
    Some((since.to_owned(), Some(moves.to_owned()), mass))
}

#[test]
fn a_loss_is_told_until_the_machine_is_back_or_forgotten() {
    let mut lab = one_each(4);
    assert_eq!(lab.told_of(1), None);
    lab.lose(&[1]);
    assert_eq!(lab.told_of(1), told("00:18:20Z", "00:18:50Z", false));
    lab.wait(29);
    assert_eq!(lab.told_of(1), told("00:18:20Z", "00:18:50Z", false));
    lab.wait(1);
    assert_eq!(lab.told_of(1), Some(("00:18:20Z".to_owned(), None, false)));
    lab.settle();
    lab.wait(29);
    assert!(lab.told_of(1).is_some(), "it is one of those that a loss is measured by");
    lab.wait(1);
    assert_eq!(lab.told().len(), 0);
    lab.lose(&[2]);
    lab.join(2, &[]);
    lab.wait(0);
    assert_eq!(lab.told().len(), 0);
}

#[test]
fn a_loss_of_many_is_told_as_such_until_most_are_back() {
    let mut lab = one_each(5);
    lab.lose(&[1]);
    lab.wait(10);
    assert_eq!(lab.told_of(1), told("00:18:20Z", "00:18:50Z", false));
    lab.lose(&[2]);
    assert_eq!(lab.told_of(1), told("00:18:20Z", "00:23:20Z", true));
    assert_eq!(lab.told_of(2), told("00:18:30Z", "00:23:30Z", true));
    lab.wait(90);
    lab.join(2, &[]);
    lab.wait(0);
    assert_eq!((lab.told_of(1), lab.told_of(2)), (told("00:18:20Z", "00:20:30Z", false), None));
}

#[test]
fn a_store_that_is_away_puts_off_the_moves_and_not_the_loss() {
    let mut lab = one_each(4);
    lab.lose(&[1]);
    lab.wait(10);
    lab.snapshot.losses.away(lab.now);
    lab.wait(100);
    lab.snapshot.losses.back(lab.now);
    lab.wait(0);
    assert_eq!(lab.told_of(1), told("00:18:20Z", "00:20:30Z", false));
}

#[test]
fn what_no_engine_has_told_is_not_guessed() {
    let mut lab = one_each(4);
    lab.start("only.service", "Exclusive=true");
    lab.claim("only.service", 1);
    lab.lose(&[1]);
    let said = lab.explain_untold("u1.service");
    let wanted = "; the machine is lost, but no engine has seen that yet: its units move 30 s after one has";
    assert!(said.ends_with(wanted), "{said}");
    let said = lab.explain_untold("only.service");
    assert!(said.contains("is lost: it waits for 40 s after an engine has seen that"), "{said}");
}

#[test]
fn it_is_known_when_time_alone_decides_something() {
    let mut lab = one_each(4);
    assert_eq!(lab.snapshot.due(lab.now), None);
    lab.lose(&[1]);
    lab.wait(10);
    assert_eq!(lab.snapshot.due(lab.now), Some(Duration::from_secs(20)));
}

#[test]
fn a_unit_that_no_other_machine_takes_waits_for_its_own() {
    let mut lab = Lab::of(0);
    lab.join(1, &[("disk", "ssd")]);
    lab.join(2, &[]);
    lab.start("a.service", "MachineMetadata=disk=ssd");
    lab.settle();
    lab.lose(&[1]);
    lab.wait(100);
    assert_eq!(lab.settle(), [""; 0]);
    let (said, _) = lab.explain("a.service", 2);
    let wanted = "the machine is lost since 1970-01-01T00:16:40Z, but no other takes a.service";
    assert!(said.ends_with(wanted), "{said}");
}

#[test]
fn entries_of_destroyed_units_are_removed() {
    let mut lab = one_each(2);
    lab.snapshot.units.remove(&name("u1.service"));
    assert_eq!(lab.settle(), ["unit was destroyed"]);
    assert_eq!(lab.at("u1.service"), None);
}

#[test]
fn of_two_entries_that_of_the_machine_which_runs_the_unit_stays() {
    let mut lab = one_each(3);
    lab.place("u1.service", 3);
    lab.report("u1.service", 3, "active", "running");
    assert_eq!(lab.settle(), [format!("unit had two entries; that for machine {} stays", id(3))]);
    assert_eq!(lab.at("u1.service"), Some(3));
}

#[test]
fn what_cannot_be_read_stays_where_it_is() {
    let mut lab = one_each(6);
    lab.snapshot.units.insert(name("u1.service"), Unit::Frozen);
    let entries = lab.snapshot.entries.get_mut(&name("u2.service")).unwrap();
    entries.insert(id(2), Entry::Frozen);
    lab.snapshot.machines.insert(id(3), Seen::Frozen);
    lab.hold(1, Hold::Draining);
    lab.hold(2, Hold::Draining);
    lab.known("u3.service").requirements.machine_id = Some(id(6).0);
    assert_eq!(lab.settle(), [""; 0]);
    lab.lose(&[1, 2]);
    lab.wait(400);
    assert_eq!(lab.settle(), [""; 0]);
    assert!(lab.explain("u1.service", 4).0.contains("cannot be read"));
    assert_eq!(
        lab.explain("u4.service", 3).1,
        ["its entry in the registry cannot be read, so nothing is changed there"]
    );
}

#[test]
fn an_entry_that_says_something_else_than_the_registry_is_put_right() {
    let mut lab = one_each(2);
    lab.start("u1.service", "Conflicts=nobody.service");
    assert_eq!(lab.settle(), ["entry was not what the registry wants"]);
    assert_eq!(lab.at("u1.service"), Some(1));
}
