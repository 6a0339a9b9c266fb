//! Command lines that are wrong, and those that ask nobody.

use super::lab::Lab;

#[test]
fn no_units_is_wrong_usage_of_every_command_about_units() {
    let lab = Lab::new();
    let commands =
        ["submit", "load", "start", "stop", "unload", "destroy", "restart", "cat", "status", "journal"];
    for command in commands.into_iter().chain(["explain"]) {
        let said = lab.ctl(&[command]);
        assert_eq!((said.code, said.stderr.as_str()), (2, "No units given\n"), "{command}");
    }
}

#[test]
fn no_command_prints_help() {
    let said = Lab::new().ctl(&[]);
    assert_eq!(said.code, 0);
    for command in ["list-machines", "explain", "drain", "--tunnel"] {
        assert!(said.stdout.contains(command), "{command}: {}", said.stdout);
    }
    assert!(!said.stdout.contains("fd-forward"));
}

#[test]
fn the_version_is_said_in_the_words_of_the_original() {
    let lab = Lab::new();
    let expected = format!("fleetctl version {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(lab.ctl(&["version"]).stdout, expected);
    assert_eq!(lab.ctl(&["--version"]).stdout, expected);
}

#[test]
fn commands_may_be_shortened_and_ambiguous_ones_are_refused() {
    let lab = Lab::new();
    assert!(lab.ctl(&["list-m"]).stdout.starts_with("MACHINE"));
    assert_eq!(lab.ctl(&["list"]).code, 2);
}

#[test]
fn what_is_gone_says_so() {
    let lab = Lab::new();
    let verify = lab.ctl(&["verify", "foo"]);
    assert_eq!(verify.code, 2);
    assert!(verify.stderr.contains("units are not signed"), "{}", verify.stderr);
    let driver = lab.ctl(&["--driver=etcd", "list-units"]);
    assert_eq!(driver.code, 2);
    assert!(driver.stderr.contains("--driver"), "{}", driver.stderr);
    assert_eq!(lab.ctl(&["--driver=api", "list-units"]).code, 0);
}

#[test]
fn endpoints_that_are_none_are_wrong_usage() {
    let lab = Lab::new();
    let said = lab.bare(&["--endpoint=unix://host/run/fleet.sock", "list-units"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("three slashes"), "{}", said.stderr);
    assert_eq!(lab.bare(&["--endpoint=ftp://x", "list-units"]).code, 2);
    assert_eq!(lab.bare(&["--tunnel=-oProxyCommand=x", "list-units"]).code, 2);
}

#[test]
fn the_environment_gives_flags_that_are_not_given() {
    let lab = Lab::new();
    let said = lab.with(&[("FLEETCTL_ENDPOINT", &lab.endpoint())], &["list-machines"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let wrong = lab.with(&[("FLEETCTL_REQUEST_TIMEOUT", "soon")], &["list-machines"]);
    assert_eq!(wrong.code, 2);
}

#[test]
fn completion_scripts_know_the_commands() {
    let said = Lab::new().ctl(&["completion", "bash"]);
    assert_eq!(said.code, 0);
    assert!(said.stdout.contains("list-unit-files") && said.stdout.contains("complete "));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let said = Lab::new().ctl(&["start", "a b"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.starts_with("error: \"a b\" is no unit: "), "{}", said.stderr);
}

#[test]
fn debug_says_what_is_asked() {
    let said = Lab::new().ctl(&["--debug", "list-machines"]);
    assert!(said.stderr.contains("debug: listing machines"), "{}", said.stderr);
    assert!(said.stdout.starts_with("MACHINE"));
}

#[test]
fn a_reader_who_has_had_enough_is_no_error() {
    let lab = Lab::new();
    let said = lab.closed(&["list-machines"]);
    assert_eq!(said.stderr, "");
}
