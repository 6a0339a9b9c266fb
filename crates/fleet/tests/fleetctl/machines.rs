//! Machines held, drained and evened out, and units explained.

use std::time::{Duration, Instant};

use fleet::api::Move;
use fleet_core::model::State;

use super::lab::{HERE, Lab, SLEEP};

const OTHER: &str = "f2a8c0de4b9c4ad4a0e5a4c46bdf8a3f";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.cluster.machine(OTHER, "172.17.8.102");
    lab
}

#[test]
fn cordons_are_set_and_taken_back() {
    let lab = lab();
    assert_eq!(lab.ctl(&["cordon", "e1"]).stdout, "Machine e1cd2bcd.../172.17.8.101 cordoned\n");
    assert!(lab.ctl(&["list-machines", "--fields=hold", "--no-legend"]).stdout.starts_with("cordoned\n"));
    assert_eq!(lab.ctl(&["uncordon", "e1"]).stdout, "Machine e1cd2bcd.../172.17.8.101 takes units\n");
    assert_eq!(lab.cluster.changes(), [format!("hold {HERE} Cordoned"), format!("hold {HERE} None")]);
}

#[test]
fn a_machine_that_is_not_there_cannot_be_held_but_freed() {
    let lab = lab();
    let said = lab.ctl(&["cordon", "00"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("begins with \"00\""), "{}", said.stderr);
    assert_eq!(lab.ctl(&["undrain", "00"]).code, 1);
    let gone = "0".repeat(32);
    assert_eq!(lab.ctl(&["undrain", &gone]).stdout, "Machine 00000000... takes units\n");
}

#[test]
fn a_drain_ends_when_the_machine_has_no_units_of_its_own() {
    let lab = lab();
    lab.cluster.unit("a.service", SLEEP, State::Launched);
    lab.cluster.unit("all.service", &format!("{SLEEP}[X-Fleet]\nGlobal=true\n"), State::Launched);
    let said = lab.ctl(&["drain", "e1"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(said.stdout, "Machine e1cd2bcd.../172.17.8.101 drained\n");
    assert_eq!(lab.cluster.inner().units["a.service"].machine.as_deref(), Some(OTHER));
}

#[test]
fn a_drain_that_does_not_end_names_what_is_left_and_why() {
    let lab = lab();
    lab.cluster.unit("a.service", SLEEP, State::Launched);
    lab.cluster.inner().stuck.push("a.service".to_owned());
    let begin = Instant::now();
    let said = lab.ctl(&["drain", "e1", "--timeout=1.5"]);
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.contains("1 left on e1cd2bcd.../172.17.8.101: a.service\n"), "{}", said.stderr);
    assert!(said.stderr.contains(&format!("a.service: on {HERE}\n")), "{}", said.stderr);
    assert!(said.stderr.contains("still has 1 unit after"), "{}", said.stderr);
    assert!(said.stderr.contains("fleetctl undrain"), "{}", said.stderr);
}

#[test]
fn a_drain_in_json_says_what_is_left() {
    let lab = lab();
    lab.cluster.unit("a.service", SLEEP, State::Launched);
    lab.cluster.inner().stuck.push("a.service".to_owned());
    let said = lab.ctl(&["--json", "drain", "e1", "--timeout=0.5"]);
    assert_eq!(said.code, 1);
    let document: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document[0]["left"][0], "a.service");
    assert_eq!(document[0]["hold"], "draining");
}

#[test]
fn a_drain_can_be_asked_for_without_waiting() {
    let lab = lab();
    lab.cluster.unit("a.service", SLEEP, State::Launched);
    lab.cluster.inner().stuck.push("a.service".to_owned());
    let said = lab.ctl(&["drain", "--no-block", "e1"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, ""));
    assert_eq!(said.stderr, "Machine e1cd2bcd.../172.17.8.101 draining\n");
}

#[test]
fn rebalance_asks_unless_it_only_looks() {
    let lab = lab();
    assert_eq!(lab.ctl(&["rebalance", "--dry-run"]).stdout, "Nothing to move\n");
    let one = Move { unit: "a.service".to_owned(), from: HERE.to_owned(), to: OTHER.to_owned() };
    lab.cluster.inner().moves.push(one);
    let way = "from e1cd2bcd.../172.17.8.101 to f2a8c0de.../172.17.8.102\n";
    assert_eq!(lab.ctl(&["rebalance", "--dry-run"]).stdout, format!("Unit a.service would move {way}"));
    assert!(lab.cluster.changes().is_empty());
    assert_eq!(lab.ctl(&["rebalance"]).stdout, format!("Unit a.service moves {way}"));
    assert_eq!(lab.cluster.changes(), ["rebalance"]);
    assert_eq!(lab.json(&["rebalance", "--dry-run"])[0]["to"], OTHER);
}

#[test]
fn an_explanation_says_what_speaks_against_each_machine() {
    let lab = lab();
    lab.ctl(&["cordon", "f2"]);
    let content = format!("{SLEEP}[X-Fleet]\nMachineMetadata=region=us\n");
    lab.cluster.unit("us.service", &content, State::Launched);
    let said = lab.ctl(&["explain", "us"]);
    let expected = "us.service: on no machine: none is eligible\n\
                    MACHINE\t\t\t\tVERDICT\n\
                    e1cd2bcd.../172.17.8.101\thas no region=us\n\
                    f2a8c0de.../172.17.8.102\tis cordoned; has no region=us\n";
    assert_eq!(said.stdout, expected);
    assert_eq!(lab.json(&["explain", "us"])[0]["machines"][HERE][0], "has no region=us");
    let missing = lab.ctl(&["explain", "nothing", "us"]);
    assert_eq!((missing.code, missing.stderr.as_str()), (1, "Unit nothing.service does not exist.\n"));
    assert!(missing.stdout.contains("us.service: "));
}
