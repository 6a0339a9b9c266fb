//! Which content units get: files, templates, `--replace`, and what is refused before it is sent.

use fleet_core::model::State;

use super::lab::{Lab, SLEEP};

const OTHER: &str = "[Service]\nExecStart=/usr/bin/sleep 7\n";

fn content(lab: &Lab, name: &str) -> String {
    lab.cluster.inner().units[name].content.clone()
}

#[test]
fn a_unit_that_nobody_has_is_named() {
    let lab = Lab::new();
    let said = lab.ctl(&["start", "nothing"]);
    assert_eq!(said.code, 1);
    let text = "unable to find Unit(nothing.service) in Registry or on filesystem\n";
    assert!(said.stderr.ends_with(text), "{}", said.stderr);
}

#[test]
fn one_name_with_a_slip_changes_nothing() {
    let lab = Lab::new();
    lab.file("foo.service", SLEEP);
    assert_eq!(lab.ctl(&["start", "foo", "fooo"]).code, 1);
    assert!(lab.cluster.changes().is_empty());
}

#[test]
fn a_unit_that_is_named_twice_is_started_once() {
    let lab = Lab::new();
    lab.file("foo.service", SLEEP);
    assert_eq!(lab.ctl(&["start", "foo", "foo.service"]).stdout.lines().count(), 1);
    assert_eq!(lab.cluster.changes(), ["put foo.service launched with content"]);
}

#[test]
fn a_file_in_another_folder_gives_its_name_without_the_folder() {
    let lab = Lab::new();
    std::fs::create_dir(lab.dir().join("units")).unwrap();
    lab.file("units/foo.service", SLEEP);
    assert_eq!(lab.ctl(&["submit", "units/foo"]).stdout, "Unit foo.service inactive\n");
    assert_eq!(content(&lab, "foo.service"), SLEEP);
}

#[test]
fn a_file_that_differs_is_a_warning_and_the_unit_starts() {
    let lab = Lab::new();
    lab.cluster.unit("foo.service", SLEEP, State::Inactive);
    lab.file("foo.service", OTHER);
    let said = lab.ctl(&["start", "foo"]);
    assert_eq!(
        said.stderr,
        "WARNING: Unit foo.service in registry differs from local unit file foo.service. \
         Add --replace to override.\n"
    );
    assert_eq!(said.code, 0);
    assert_eq!(content(&lab, "foo.service"), SLEEP);
}

#[test]
fn a_comment_makes_no_difference() {
    let lab = Lab::new();
    lab.cluster.unit("foo.service", SLEEP, State::Inactive);
    lab.file("foo.service", &format!("# A comment.\n{SLEEP}"));
    assert_eq!(lab.ctl(&["start", "--replace", "foo"]).stderr, "");
    assert_eq!(lab.cluster.changes(), ["put foo.service launched"]);
}

#[test]
fn replace_takes_the_local_file() {
    let lab = Lab::new();
    lab.cluster.unit("foo.service", SLEEP, State::Launched);
    lab.file("foo.service", OTHER);
    let said = lab.ctl(&["start", "--replace", "foo"]);
    assert_eq!(said.stdout, "Unit foo.service launched on e1cd2bcd.../172.17.8.101\n", "{}", said.stderr);
    assert_eq!(content(&lab, "foo.service"), OTHER);
}

#[test]
fn replace_by_a_command_for_a_lesser_state_names_the_right_one() {
    let lab = Lab::new();
    lab.cluster.unit("foo.service", SLEEP, State::Launched);
    lab.file("foo.service", OTHER);
    for command in ["submit", "load"] {
        let said = lab.ctl(&[command, "--replace", "foo"]);
        assert_eq!(said.code, 1);
        assert!(said.stderr.contains("use \"fleetctl start --replace foo.service\""), "{}", said.stderr);
    }
    assert!(lab.cluster.changes().is_empty());
}

#[test]
fn an_instance_copies_its_stored_template() {
    let lab = Lab::new();
    lab.cluster.unit("app@.service", SLEEP, State::Inactive);
    assert_eq!(lab.ctl(&["start", "app@7"]).code, 0);
    assert_eq!(content(&lab, "app@7.service"), SLEEP);
    lab.file("app@.service", OTHER);
    assert_eq!(lab.ctl(&["submit", "--replace", "app@"]).code, 0);
    assert_eq!(content(&lab, "app@.service"), OTHER);
    assert_eq!(content(&lab, "app@7.service"), SLEEP);
}

#[test]
fn an_instance_without_a_stored_template_takes_the_file_beside_it() {
    let lab = Lab::new();
    std::fs::create_dir(lab.dir().join("units")).unwrap();
    lab.file("units/app@.service", SLEEP);
    assert_eq!(lab.ctl(&["submit", "units/app@1"]).code, 0);
    assert_eq!(content(&lab, "app@1.service"), SLEEP);
    lab.file("units/app@2.service", OTHER);
    assert_eq!(lab.ctl(&["submit", "units/app@2"]).code, 0);
    assert_eq!(content(&lab, "app@2.service"), OTHER);
}

#[test]
fn a_stored_template_wins_over_its_file_with_a_warning() {
    let lab = Lab::new();
    lab.cluster.unit("app@.service", SLEEP, State::Inactive);
    lab.file("app@.service", OTHER);
    let said = lab.ctl(&["submit", "app@1"]);
    assert!(said.stderr.starts_with("WARNING: Unit app@.service in registry differs"), "{}", said.stderr);
    assert_eq!(content(&lab, "app@1.service"), SLEEP);
    assert_eq!(lab.ctl(&["submit", "--replace", "app@2"]).stderr, "");
    assert_eq!(content(&lab, "app@2.service"), OTHER);
}

#[test]
fn a_template_is_stored_and_not_started() {
    let lab = Lab::new();
    lab.file("app@.service", SLEEP);
    let said = lab.ctl(&["start", "app@"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("cannot activate template"), "{}", said.stderr);
    assert_eq!(lab.ctl(&["submit", "app@"]).stdout, "Unit app@.service inactive\n");
}

#[test]
fn contradictions_are_refused_before_anything_is_sent() {
    let lab = Lab::new();
    lab.file("bad.service", &format!("{SLEEP}[X-Fleet]\nGlobal=true\nMachineOf=db.service\n"));
    let said = lab.ctl(&["start", "bad"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.starts_with("error: unit bad.service: "), "{}", said.stderr);
    assert!(lab.cluster.changes().is_empty());
}

#[test]
fn an_unknown_option_is_a_warning() {
    let lab = Lab::new();
    lab.file("odd.service", &format!("{SLEEP}[X-Fleet]\nColour=red\n"));
    let said = lab.ctl(&["submit", "odd"]);
    assert_eq!(said.code, 0);
    assert!(said.stderr.starts_with("WARNING: ") && said.stderr.contains("Colour"), "{}", said.stderr);
}

#[test]
fn a_file_that_is_none_is_refused_with_its_line() {
    let lab = Lab::new();
    lab.file("bad.service", "[Service]\nnothing\n");
    let said = lab.ctl(&["submit", "bad"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("bad.service") && said.stderr.contains('2'), "{}", said.stderr);
}

#[test]
fn cat_prints_the_file_and_adds_nothing() {
    let lab = Lab::new();
    let written = format!("# Kept.\n\n{SLEEP}\n# No newline at the end");
    lab.cluster.unit("foo.service", &written, State::Inactive);
    assert_eq!(lab.ctl(&["cat", "foo"]).stdout, written);
    let said = lab.ctl(&["cat", "nothing"]);
    assert_eq!((said.code, said.stderr.as_str()), (1, "Unit nothing.service does not exist.\n"));
}
