//! `--tunnel`: the API through an `ssh` that runs what it is told on this machine.

use fleet_core::model::State;

use super::lab::{Lab, SLEEP};

#[test]
fn the_socket_of_another_machine_is_asked_through_ssh() {
    let lab = Lab::new();
    let said = lab.ctl(&["--tunnel=bastion:2222", "list-machines", "--no-legend", "--fields=ip"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "172.17.8.101\n"), "{}", said.stderr);
    let calls = lab.ssh_calls();
    let command = format!("-p 2222 -- bastion fleetctl fd-forward {}", lab.socket().display());
    assert!(calls[0].ends_with(&command), "{calls:?}");
}

#[test]
fn a_whole_command_works_through_the_tunnel() {
    let lab = Lab::new();
    lab.file("foo.service", SLEEP);
    let said = lab.ctl(&["--tunnel=bastion", "start", "foo"]);
    assert_eq!(said.stdout, "Unit foo.service launched on e1cd2bcd.../172.17.8.101\n", "{}", said.stderr);
}

#[test]
fn machines_are_reached_through_the_tunnel_too() {
    let lab = Lab::new();
    lab.program("systemctl", "echo systemctl \"$@\"");
    lab.cluster.unit("foo.service", SLEEP, State::Launched);
    let said = lab.ctl(&["--tunnel=bastion", "status", "foo"]);
    assert_eq!(said.stdout, "systemctl status -l foo.service\n", "{}", said.stderr);
    let last = lab.ssh_calls().pop().unwrap();
    assert!(last.contains("-o ProxyCommand=ssh ") && last.contains("-W '[%h]:%p' -- bastion"), "{last}");
}

#[test]
fn an_address_of_another_machine_is_asked_through_ssh() {
    let lab = Lab::new();
    let address = lab.tcp();
    let endpoint = format!("--endpoint=http://{address}");
    let said = lab.bare(&[&endpoint, "--tunnel=bastion", "list-machines", "--no-legend", "--fields=ip"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "172.17.8.101\n"), "{}", said.stderr);
    assert!(lab.ssh_calls()[0].contains(&format!("-W {address} -- bastion")));
}

#[test]
fn an_ssh_that_fails_is_an_error_and_says_why_itself() {
    let lab = Lab::new();
    lab.program("ssh", "echo 'ssh: connect to host bastion: refused' >&2; exit 255");
    let said = lab.ctl(&["--tunnel=bastion", "list-machines"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.contains("ssh: connect to host bastion: refused"), "{}", said.stderr);
    assert!(said.stderr.contains("error: listing machines: "), "{}", said.stderr);
}
