//! Units from file to machine and back.

use fleet_core::model::State;

use super::lab::{Lab, SLEEP};

#[test]
fn the_line_of_the_talk_is_printed_when_a_unit_runs() {
    let lab = Lab::new();
    lab.file("foo.service", SLEEP);
    let said = lab.ctl(&["start", "foo.service"]);
    assert_eq!(said.stdout, "Unit foo.service launched on e1cd2bcd.../172.17.8.101\n");
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert_eq!(lab.cluster.changes(), ["put foo.service launched with content"]);
}

#[test]
fn a_unit_goes_through_its_states_and_is_gone_in_the_end() {
    let lab = Lab::new();
    lab.file("foo.service", SLEEP);
    lab.cluster.inner().lag = 2;
    let steps = [
        ("submit", "Unit foo.service inactive\n", "inactive inactive"),
        ("load", "Unit foo.service loaded on e1cd2bcd.../172.17.8.101\n", "loaded loaded"),
        ("start", "Unit foo.service launched on e1cd2bcd.../172.17.8.101\n", "launched launched"),
        ("stop", "Unit foo.service loaded on e1cd2bcd.../172.17.8.101\n", "loaded loaded"),
        ("unload", "Unit foo.service inactive\n", "inactive inactive"),
        ("destroy", "Destroyed foo.service\n", ""),
    ];
    for (command, line, states) in steps {
        let said = lab.ctl(&[command, "foo"]);
        assert_eq!((said.code, said.stdout.as_str()), (0, line), "{command}: {}", said.stderr);
        let listed = lab.ctl(&["list-unit-files", "--no-legend", "--fields=dstate,state"]).stdout;
        assert_eq!(listed.split_whitespace().collect::<Vec<_>>().join(" "), states, "{command}");
    }
}

#[test]
fn stop_and_unload_say_on_standard_error_what_they_did() {
    let lab = Lab::new();
    for name in ["a.service", "b.service"] {
        lab.cluster.unit(name, SLEEP, State::Launched);
    }
    let stopped = lab.ctl(&["stop", "a", "b"]);
    assert_eq!(stopped.stderr, "Successfully stopped units [a.service b.service].\n");
    let unloaded = lab.ctl(&["unload", "a"]);
    assert_eq!(unloaded.stderr, "Successfully unloaded units [a.service].\n");
}

#[test]
fn a_unit_that_is_as_wanted_is_skipped_without_a_word() {
    let lab = Lab::new();
    lab.file("foo.service", SLEEP);
    lab.cluster.unit("foo.service", SLEEP, State::Launched);
    let said = lab.ctl(&["start", "foo"]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "", ""));
    assert!(lab.cluster.changes().is_empty());
}

#[test]
fn global_units_are_triggered_and_not_waited_for() {
    let lab = Lab::new();
    lab.file("all.service", &format!("{SLEEP}[X-Fleet]\nGlobal=true\n"));
    assert_eq!(lab.ctl(&["start", "all"]).stdout, "Triggered global unit all.service start\n");
    assert_eq!(lab.ctl(&["stop", "all"]).stdout, "Triggered global unit all.service stop\n");
    let restarted = lab.ctl(&["restart", "all"]);
    let lines = "Triggered global unit all.service stop\nTriggered global unit all.service start\n";
    assert_eq!(restarted.stdout, lines);
    assert_eq!(lab.ctl(&["unload", "all"]).stdout, "Triggered global unit all.service unload\n");
}

#[test]
fn no_block_triggers_and_does_not_wait() {
    let lab = Lab::new();
    lab.file("foo.service", SLEEP);
    lab.cluster.inner().lag = 1000;
    for (command, line) in [("start", "start"), ("unload", "unload")] {
        let said = lab.ctl(&[command, "--no-block", "foo"]);
        assert_eq!((said.code, said.stdout), (0, format!("Triggered unit foo.service {line}\n")));
    }
    assert_eq!(lab.ctl(&["load", "--block-attempts=-1", "foo"]).stdout, "Triggered unit foo.service load\n");
}

#[test]
fn restart_goes_through_loaded_for_one_unit_after_the_other() {
    let lab = Lab::new();
    for name in ["a.service", "b.service"] {
        lab.cluster.unit(name, SLEEP, State::Launched);
    }
    lab.cluster.inner().lag = 1;
    let said = lab.ctl(&["restart", "a", "b"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let expected =
        ["put a.service loaded", "put a.service launched", "put b.service loaded", "put b.service launched"];
    assert_eq!(lab.cluster.changes(), expected);
    assert_eq!(said.stdout.lines().count(), 4);
}

#[test]
fn units_that_are_not_stored_are_a_notice_for_stop_unload_and_destroy() {
    let lab = Lab::new();
    for command in ["stop", "unload", "destroy"] {
        let said = lab.ctl(&[command, "nothing"]);
        assert_eq!((said.code, said.stderr.as_str()), (0, "Units not found in registry\n"), "{command}");
    }
    lab.cluster.unit("a.service", SLEEP, State::Launched);
    let said = lab.ctl(&["destroy", "a", "nothing"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "Destroyed a.service\n"));
    assert_eq!(said.stderr, "Unit nothing.service not found in registry\n");
}

#[test]
fn a_unit_on_no_machine_cannot_be_stopped_and_nothing_else_is() {
    let lab = Lab::new();
    lab.cluster.unit("a.service", SLEEP, State::Launched);
    lab.cluster.unit("b.service", SLEEP, State::Inactive);
    let said = lab.ctl(&["stop", "a", "b"]);
    assert_eq!((said.code, said.stderr.as_str()), (1, "Unable to stop unit b.service in state inactive\n"));
    assert!(lab.cluster.changes().is_empty());
}

#[test]
fn events_in_json_are_one_list() {
    let lab = Lab::new();
    lab.file("foo.service", SLEEP);
    let started = lab.json(&["start", "foo"]);
    assert_eq!(started.len(), 1);
    assert_eq!(started[0]["unit"], "foo.service");
    assert_eq!(started[0]["state"], "launched");
    assert_eq!(started[0]["machine"], "e1cd2bcd4b9c4ad4a0e5a4c46bdf8a3f");
    assert_eq!(lab.json(&["destroy", "foo"])[0]["state"], "destroyed");
    assert!(lab.json(&["destroy", "foo"]).is_empty());
}
