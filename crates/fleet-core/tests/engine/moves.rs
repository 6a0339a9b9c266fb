//! Units that move one at a time or in two steps: drain, exclusive units, rebalance, finished oneshots.

use fleet_core::engine::{Action, rebalance};
use fleet_core::model::Hold;

use crate::lab::{Lab, id, name};

#[test]
fn a_drained_machine_loses_its_units() {
    let mut lab = Lab::of(2);
    lab.start("a.service", "");
    lab.settle();
    lab.hold(1, Hold::Draining);
    assert_eq!(lab.settle(), [format!("machine {} is draining", id(1))]);
    assert_eq!(lab.at("a.service"), Some(2));
}

#[test]
fn an_exclusive_unit_waits_for_its_claim_to_go() {
    let mut lab = Lab::of(2);
    lab.start("only.service", "Exclusive=true");
    lab.settle();
    lab.claim("only.service", 1);
    lab.hold(1, Hold::Draining);
    lab.settle();
    assert_eq!(lab.at("only.service"), None);
    let (said, _) = lab.explain("only.service", 2);
    assert_eq!(said, "only.service is exclusive and waits until 1 has stopped it");
    lab.snapshot.claims.clear();
    let decisions = lab.pass();
    assert!(matches!(&decisions[0].action, Action::Place { unclaimed: true, .. }), "{decisions:?}");
    assert_eq!(lab.at("only.service"), Some(2));
}

#[test]
fn the_claim_of_a_lost_machine_is_void_a_margin_after_its_lease_would_be() {
    let mut lab = Lab::of(4);
    lab.start("only.service", "Exclusive=true");
    lab.settle();
    lab.claim("only.service", 1);
    lab.lose(&[1]);
    lab.wait(30);
    lab.settle();
    assert_eq!(lab.at("only.service"), None);
    lab.wait(9);
    assert_eq!(lab.settle(), [""; 0]);
    let (said, _) = lab.explain("only.service", 2);
    let wanted = "only.service is exclusive and its machine 1 is lost: it waits at least until \
                  1970-01-01T00:17:20Z, to be sure that it has stopped there";
    assert_eq!(said, wanted);
    lab.wait(1);
    assert_eq!(lab.settle().len(), 2);
    assert_eq!(lab.at("only.service"), Some(2));
}

#[test]
fn an_exclusive_unit_that_no_other_machine_takes_stays() {
    let mut lab = Lab::of(1);
    lab.start("only.service", "Exclusive=true");
    lab.settle();
    lab.hold(1, Hold::Draining);
    assert_eq!(lab.settle(), [""; 0]);
    assert_eq!(lab.at("only.service"), Some(1));
}

#[test]
fn rebalance_makes_the_fewest_moves_and_then_removes_the_wish() {
    let mut lab = Lab::of(3);
    for n in 0..7 {
        let unit = format!("u{n}.service");
        lab.start(&unit, "");
        lab.place(&unit, 1);
    }
    assert_eq!(lab.settle(), [""; 0], "nothing moves unasked");
    assert_eq!(rebalance(&lab.snapshot, lab.now).len(), 4);
    lab.snapshot.rebalance = true;
    lab.settle();
    assert_eq!(lab.loads(3), [3, 2, 2]);
    assert!(!lab.snapshot.rebalance);
}

#[test]
fn rebalance_moves_neither_exclusive_units_nor_what_others_hang_on() {
    let mut lab = Lab::of(2);
    for (unit, fleet) in [
        ("only.service", "Exclusive=true"),
        ("db.service", ""),
        ("app.service", "MachineOf=db.service"),
        ("a.service", "Conflicts=b.service"),
    ] {
        lab.start(unit, fleet);
        lab.place(unit, 1);
    }
    lab.start("b.service", "");
    lab.place("b.service", 2);
    assert_eq!(rebalance(&lab.snapshot, lab.now), []);
}

#[test]
fn a_finished_oneshot_stays_finished_where_it_moves() {
    let mut lab = Lab::of(4);
    lab.start("job.service", "");
    lab.known("job.service").oneshot = true;
    lab.settle();
    lab.report("job.service", 1, "inactive", "dead");
    assert_eq!(lab.settle(), ["unit has finished and runs once"]);
    lab.lose(&[1]);
    lab.wait(30);
    let decisions = lab.pass();
    assert!(matches!(&decisions[0].action, Action::Move { finished: true, .. }), "{decisions:?}");
}

#[test]
fn a_oneshot_that_does_not_run_once_is_not_marked() {
    let mut lab = Lab::of(1);
    lab.start("job.service", "");
    lab.known("job.service").oneshot = true;
    lab.known("job.service").requirements.run_once = false;
    lab.settle();
    lab.report("job.service", 1, "inactive", "dead");
    assert_eq!(lab.settle(), [""; 0]);
}

#[test]
fn a_report_about_the_entry_before_does_not_mean_finished() {
    let mut lab = Lab::of(1);
    lab.start("job.service", "");
    lab.known("job.service").oneshot = true;
    lab.settle();
    lab.report("job.service", 1, "inactive", "dead");
    lab.place("job.service", 1);
    assert_eq!(lab.settle(), [""; 0]);
    assert!(!lab.snapshot.entries[&name("job.service")].is_empty());
}
