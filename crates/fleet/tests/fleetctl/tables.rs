//! What the listings print, through pages of the API.

use expect_test::expect;
use fleet_core::model::State;

use super::lab::{Lab, SLEEP};

fn lab() -> Lab {
    let lab = Lab::new();
    lab.cluster.machine("f2a8c0de4b9c4ad4a0e5a4c46bdf8a3f", "172.17.8.102");
    lab.cluster.inner().machines[0].metadata =
        [("role", "web"), ("az", "b")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    for name in ["a.service", "b.service", "c.service"] {
        lab.cluster.unit(name, SLEEP, State::Launched);
    }
    lab.cluster.unit("d.service", SLEEP, State::Inactive);
    lab.cluster.unit("all.service", &format!("{SLEEP}[X-Fleet]\nGlobal=true\n"), State::Launched);
    lab
}

#[test]
fn machines_have_ids_addresses_and_metadata() {
    expect![[r#"
        MACHINE		IP		METADATA
        e1cd2bcd...	172.17.8.101	az=b,role=web
        f2a8c0de...	172.17.8.102	-
    "#]]
    .assert_eq(&lab().ctl(&["list-machines"]).stdout);
}

#[test]
fn units_are_sorted_by_name_then_machine() {
    expect![[r#"
        UNIT		MACHINE				ACTIVE	SUB
        a.service	e1cd2bcd.../172.17.8.101	active	running
        all.service	e1cd2bcd.../172.17.8.101	active	running
        all.service	f2a8c0de.../172.17.8.102	active	running
        b.service	f2a8c0de.../172.17.8.102	active	running
        c.service	e1cd2bcd.../172.17.8.101	active	running
    "#]]
    .assert_eq(&lab().ctl(&["list-units"]).stdout);
}

#[test]
fn unit_files_have_states_and_targets() {
    let lab = lab();
    expect![[r#"
        UNIT		DSTATE		STATE		TARGET
        a.service	launched	launched	e1cd2bcd.../172.17.8.101
        all.service	launched	-		global
        b.service	launched	launched	f2a8c0de.../172.17.8.102
        c.service	launched	launched	e1cd2bcd.../172.17.8.101
        d.service	inactive	inactive	-
    "#]]
    .assert_eq(&lab.ctl(&["list-unit-files", "--fields=unit,dstate,state,target"]).stdout);
}

#[test]
fn full_shortens_nothing_and_no_legend_begins_with_a_row() {
    let said = lab().ctl(&["list-machines", "-l", "--no-legend", "--fields", "machine,ip"]);
    let rows: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(rows[0], "e1cd2bcd4b9c4ad4a0e5a4c46bdf8a3f\t172.17.8.101");
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_hash_is_that_of_the_file() {
    let lab = lab();
    let short = lab.ctl(&["list-unit-files", "--no-legend", "--fields=hash"]).stdout;
    let full = lab.ctl(&["list-units", "--no-legend", "--full", "--fields=hash"]).stdout;
    let (short, full) = (short.lines().next().unwrap(), full.lines().next().unwrap());
    assert_eq!((short.len(), full.len()), (7, 40));
    assert!(full.starts_with(short));
}

#[test]
fn an_unknown_column_is_an_error() {
    for command in ["list-machines", "list-units", "list-unit-files"] {
        let said = lab().ctl(&[command, "--fields=x"]);
        assert_eq!(
            (said.code, said.stderr.as_str()),
            (1, "Invalid key in output format: \"x\"\n"),
            "{command}"
        );
    }
}

#[test]
fn listings_in_json_have_all_rows() {
    let lab = lab();
    let machines = lab.json(&["list-machines"]);
    assert_eq!(machines[0]["primaryIP"], "172.17.8.101");
    assert_eq!(machines[0]["metadata"]["az"], "b");
    let units = lab.json(&["list-units"]);
    assert_eq!((units.len(), &units[0]["systemdActiveState"]), (5, &"active".into()));
    let files = lab.json(&["list-unit-files"]);
    assert_eq!((files.len(), &files[1]["global"]), (5, &true.into()));
    assert_eq!(files[0]["currentState"], "launched");
}

#[test]
fn an_empty_cluster_is_a_legend() {
    assert_eq!(Lab::new().ctl(&["list-units"]).stdout, "UNIT\tMACHINE\tACTIVE\tSUB\n");
}
