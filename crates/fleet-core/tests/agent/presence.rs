//! Global units, units that went elsewhere, exclusive units.

use std::collections::BTreeMap;

use fleet_core::agent::{Elsewhere, Lease, Reading};
use fleet_core::model::{Hold, State};
use fleet_core::requirements::Requirements;

use crate::lab::{Lab, name};

const NOTHING: [&str; 0] = [];

fn conflicts(pattern: &str) -> Requirements {
    Requirements { conflicts: vec![pattern.to_owned()], ..Requirements::default() }
}

fn zone(value: &str) -> Requirements {
    let metadata = BTreeMap::from([("az".to_owned(), [value.to_owned()].into())]);
    Requirements { metadata, ..Requirements::default() }
}

#[test]
fn d07_a_global_unit_runs_where_its_metadata_fit() {
    let mut lab = Lab::new();
    lab.want_global("here.service", zone("a"));
    lab.want_global("not.service", zone("b"));
    assert_eq!(lab.run(), ["load here.service", "reload", "start here.service"]);
}

#[test]
fn a_global_unit_makes_way_for_one_that_is_placed() {
    let mut lab = Lab::new();
    lab.want_global("guest.service", conflicts("web@*.service"));
    lab.run();
    lab.want("web@1.service", "one", State::Launched);
    let wanted = ["unload guest.service", "load web@1.service", "reload", "start web@1.service"];
    assert_eq!(lab.run(), wanted);
}

#[test]
fn of_two_global_units_that_conflict_the_first_runs() {
    let mut lab = Lab::new();
    lab.want_global("b.service", conflicts("a.service"));
    lab.want_global("a.service", Requirements::default());
    assert_eq!(lab.run(), ["load a.service", "reload", "start a.service"]);
}

#[test]
fn a_cordoned_or_draining_machine_keeps_global_units_and_takes_no_new_one() {
    let mut lab = Lab::new();
    lab.want_global("a.service", Requirements::default());
    lab.run();
    lab.hold(Hold::Cordoned);
    lab.want_global("b.service", Requirements::default());
    assert_eq!(lab.plan(), NOTHING);
    lab.hold(Hold::Draining);
    assert_eq!(lab.plan(), NOTHING);
}

#[test]
fn without_its_own_metadata_a_machine_changes_no_global_unit() {
    let mut lab = Lab::new();
    lab.want_global("a.service", zone("a"));
    lab.run();
    lab.wanted.machine = None;
    lab.want_global("b.service", Requirements::default());
    assert_eq!(lab.plan(), NOTHING);
}

/// A unit runs here, and is placed elsewhere while the machine is lost.
fn returned() -> Lab {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.wanted.entries.clear();
    lab.came_back();
    lab
}

#[test]
fn a_unit_that_went_elsewhere_stays_until_it_is_active_there() {
    let mut lab = returned();
    assert_eq!(lab.plan(), NOTHING);
    lab.here.elsewhere.insert(name("a.service"), Elsewhere::Coming);
    assert_eq!(lab.plan(), NOTHING);
    lab.here.elsewhere.insert(name("a.service"), Elsewhere::Active);
    assert_eq!(lab.run(), ["unload a.service", "reload"]);
}

#[test]
fn a_unit_that_went_elsewhere_stays_no_longer_than_the_grace() {
    let mut lab = returned();
    lab.wait(29);
    assert_eq!(lab.plan(), NOTHING);
    lab.wait(1);
    assert_eq!(lab.run(), ["unload a.service", "reload"]);
}

#[test]
fn a_unit_that_was_destroyed_meanwhile_goes_at_once() {
    let mut lab = returned();
    lab.here.elsewhere.insert(name("a.service"), Elsewhere::Nowhere);
    assert_eq!(lab.run(), ["unload a.service", "reload"]);
}

#[test]
fn a_unit_that_leaves_a_machine_that_was_there_goes_at_once() {
    let mut lab = Lab::new();
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.came_back();
    lab.wanted.entries.clear();
    assert_eq!(lab.run(), ["unload a.service", "reload"]);
}

#[test]
fn an_exclusive_unit_is_claimed_before_it_starts_and_released_after_it_stopped() {
    let mut lab = Lab::new();
    lab.want_exclusive("only.service");
    assert_eq!(lab.run(), ["load only.service", "reload", "claim only.service", "start only.service"]);
    lab.wanted.entries.clear();
    lab.here.units.get_mut(&name("only.service")).unwrap().active = "deactivating".to_owned();
    assert_eq!(lab.plan(), ["unload only.service", "reload"]);
    assert_eq!(lab.run(), ["unload only.service", "reload", "release only.service"]);
}

#[test]
fn a_claim_is_kept_while_a_failed_unit_is_wanted() {
    let mut lab = Lab::new();
    lab.want_exclusive("only.service");
    lab.run();
    lab.become_("only.service", "failed", "failed");
    assert_eq!(lab.plan(), NOTHING);
}

#[test]
fn an_overdue_lease_stops_exclusive_units_even_if_nothing_is_read() {
    let mut lab = Lab::new();
    lab.want_exclusive("only.service");
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.here.lease = Lease::Overdue;
    assert_eq!(lab.plan(), ["stop only.service"]);
    lab.wanted.reading = Reading::Partial;
    assert_eq!(lab.plan(), ["stop only.service"]);
}

#[test]
fn under_a_new_lease_an_exclusive_unit_is_claimed_and_started_again() {
    let mut lab = Lab::new();
    lab.want_exclusive("only.service");
    lab.want("a.service", "one", State::Launched);
    lab.run();
    lab.here.lease = Lease::Overdue;
    lab.memory.overdue();
    lab.become_("only.service", "inactive", "dead");
    assert_eq!(lab.plan(), NOTHING);
    lab.here.lease = Lease::Alive;
    assert_eq!(lab.run(), ["claim only.service", "start only.service"]);
}

#[test]
fn an_exclusive_unit_that_runs_on_is_stopped_if_it_is_only_to_be_loaded() {
    let mut lab = Lab::new();
    lab.want_exclusive("only.service");
    lab.run();
    lab.memory.overdue();
    lab.memory.claims_read([name("only.service")]);
    lab.want("only.service", "one", State::Loaded);
    assert_eq!(lab.run(), ["stop only.service", "release only.service"]);
}

#[test]
fn a_claim_from_before_a_reboot_is_released_if_the_unit_is_not_wanted() {
    let mut lab = Lab::new();
    lab.memory.claims_read([name("only.service")]);
    assert_eq!(lab.plan(), ["release only.service"]);
}
