//! fleetd or the store away.

use std::time::{Duration, Instant};

use fleet::api::{Error, ErrorKind};
use fleet_core::model::State;

use super::lab::{Lab, SLEEP};

fn away() -> Option<Error> {
    let message = "fleet server unable to communicate with etcd".to_owned();
    Some(Error { kind: ErrorKind::Unavailable, message })
}

#[test]
fn what_fleetd_says_of_its_store_is_printed_as_it_is() {
    let lab = Lab::new();
    lab.cluster.inner().fault = away();
    let said = lab.ctl(&["list-machines"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    assert_eq!(said.stderr, "error: listing machines: fleet server unable to communicate with etcd\n");
}

#[test]
fn a_socket_that_nobody_listens_at_is_named() {
    let lab = Lab::new();
    let said = lab.bare(&["--endpoint=unix:///nonexistent/fleet.sock", "list-machines"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("/nonexistent/fleet.sock"), "{}", said.stderr);
    assert!(said.stderr.contains("systemctl"), "{}", said.stderr);
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for() {
    let lab = Lab::new();
    let socket = lab.dir().join("silent.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let endpoint = format!("--endpoint=unix://{}", socket.display());
    let begin = Instant::now();
    let said = lab.bare(&[&endpoint, "--request-timeout=0.3", "list-machines"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("--request-timeout"), "{}", said.stderr);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_wait_outlives_a_store_that_is_away_for_a_while() {
    let lab = Lab::new();
    lab.cluster.unit("foo.service", SLEEP, State::Inactive);
    lab.cluster.inner().outage = 4;
    let said = lab.ctl(&["start", "foo"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(said.stderr.matches("still waiting").count(), 1, "{}", said.stderr);
    assert!(said.stdout.starts_with("Unit foo.service launched on"));
}
