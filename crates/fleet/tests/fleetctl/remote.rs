//! `status`, `journal` and `ssh`, on this machine and on others, with programs that say how they were called.

use fleet_core::model::State;

use super::lab::{HERE, Lab, SLEEP};

fn lab() -> Lab {
    let lab = Lab::new();
    for program in ["systemctl", "journalctl", "sudo"] {
        lab.program(program, &format!("echo {program} \"$@\""));
    }
    lab.cluster.unit("foo.service", SLEEP, State::Launched);
    lab
}

#[test]
fn on_this_machine_programs_run_without_ssh() {
    let lab = lab();
    lab.here(HERE);
    assert_eq!(lab.ctl(&["status", "foo"]).stdout, "systemctl status -l foo.service\n");
    let journal = lab.ctl(&["journal", "--lines", "5", "-f", "--output=cat", "--sudo", "foo"]);
    let line = "sudo journalctl --unit foo.service --no-pager -n 5 --output cat -f\n";
    assert_eq!(journal.stdout, line);
    assert_eq!(lab.ctl(&["ssh", "foo", "echo", "$((1+1))"]).stdout, "2\n");
    assert!(lab.ssh_calls().is_empty());
}

#[test]
fn on_another_machine_programs_run_through_ssh() {
    let lab = lab();
    assert_eq!(lab.ctl(&["status", "foo"]).stdout, "systemctl status -l foo.service\n");
    let known_hosts = lab.dir().join("home/.fleetctl/known_hosts");
    let expected = format!(
        "-o ConnectTimeout=10 -o UserKnownHostsFile={} -o StrictHostKeyChecking=accept-new -l core -p 22 -- \
         172.17.8.101 systemctl status -l foo.service",
        known_hosts.display()
    );
    assert_eq!(lab.ssh_calls(), [expected]);
    assert!(known_hosts.parent().unwrap().is_dir());
    let journal = lab.ctl(&["journal", "foo"]).stdout;
    assert_eq!(journal, "journalctl --unit foo.service --no-pager -n 10 --output short\n");
}

#[test]
fn the_flags_of_ssh_reach_it() {
    let lab = lab();
    let said = lab.ctl(&[
        "--ssh-username=admin",
        "--ssh-timeout=2.5",
        "--known-hosts-file=keys",
        "--strict-host-key-checking=false",
        "ssh",
        "-A",
        "--ssh-port=2222",
        "e1cd",
        "echo",
        "hello",
    ]);
    assert_eq!(said.stdout, "hello\n");
    let expected = "-o ConnectTimeout=3 -o UserKnownHostsFile=keys -o StrictHostKeyChecking=no -l admin -p 2222 \
                    -A -- 172.17.8.101 echo hello";
    assert_eq!(lab.ssh_calls(), [expected]);
}

#[test]
fn without_a_home_openssh_chooses_the_file_of_known_hosts() {
    let lab = lab();
    assert_eq!(lab.with(&[("FLEETCTL_ENDPOINT", &lab.endpoint()), ("HOME", "")], &["status", "foo"]).code, 0);
    assert!(lab.ssh_calls()[0].starts_with("-o ConnectTimeout=10 -o StrictHostKeyChecking="));
}

#[test]
fn the_exit_code_is_that_of_the_program() {
    let lab = lab();
    lab.program("systemctl", "echo inactive; exit 3");
    assert_eq!(lab.ctl(&["status", "foo"]).code, 3);
    assert_eq!(lab.ctl(&["ssh", "foo", "exit 7"]).code, 7);
    lab.here(HERE);
    assert_eq!(lab.ctl(&["status", "foo"]).code, 3);
}

#[test]
fn a_status_leaves_the_input_of_a_script_alone() {
    let lab = lab();
    lab.program("systemctl", "cat");
    let (said, left) = lab.fed(&["status", "foo"], "next line");
    assert_eq!((said.code, said.stdout.as_str(), left.as_str()), (0, "", "next line"));
    let (said, left) = lab.fed(&["ssh", "foo", "cat"], "for the command");
    assert_eq!((said.stdout.as_str(), left.as_str()), ("for the command", ""));
}

#[test]
fn several_units_are_shown_with_a_blank_line_between() {
    let lab = lab();
    lab.here(HERE);
    lab.cluster.unit("bar.service", SLEEP, State::Launched);
    let said = lab.ctl(&["status", "foo", "bar"]);
    assert_eq!(said.stdout, "systemctl status -l foo.service\n\nsystemctl status -l bar.service\n");
}

#[test]
fn units_that_are_nowhere_have_no_status() {
    let lab = lab();
    lab.cluster.unit("idle.service", SLEEP, State::Inactive);
    let idle = lab.ctl(&["status", "idle"]);
    assert_eq!((idle.code, idle.stderr.as_str()), (1, "Unit idle.service does not appear to be loaded.\n"));
    let nothing = lab.ctl(&["status", "nothing"]);
    assert_eq!((nothing.code, nothing.stderr.as_str()), (1, "Unit nothing.service does not exist.\n"));
    assert_eq!(lab.ctl(&["journal", "idle"]).code, 1);
}

#[test]
fn a_global_unit_is_shown_where_it_is_on_this_machine() {
    let lab = lab();
    lab.cluster.unit("all.service", &format!("{SLEEP}[X-Fleet]\nGlobal=true\n"), State::Launched);
    let said = lab.ctl(&["journal", "all"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("fleetctl ssh --machine MACHINE journalctl --unit all.service"));
    lab.here(HERE);
    assert_eq!(lab.ctl(&["status", "all"]).stdout, "systemctl status -l all.service\n");
}

#[test]
fn a_target_is_told_by_flags_or_by_what_it_is() {
    let lab = lab();
    lab.cluster.machine("f00.service", "172.17.8.109");
    lab.cluster.unit("f00.service", SLEEP, State::Launched);
    let both = lab.ctl(&["ssh", "f00.service", "true"]);
    assert_eq!(both.code, 1);
    assert!(both.stderr.contains("--machine or --unit"), "{}", both.stderr);
    assert_eq!(lab.ctl(&["ssh", "--machine=f00", "echo", "m"]).stdout, "m\n");
    assert!(lab.ssh_calls().last().unwrap().contains("172.17.8.109"));
    assert_eq!(lab.ctl(&["ssh", "--unit=foo", "echo", "u"]).stdout, "u\n");
    assert!(lab.ssh_calls().last().unwrap().contains("172.17.8.101"));
    assert_eq!(lab.ctl(&["ssh", "nothing"]).code, 1);
    assert_eq!(lab.ctl(&["ssh"]).code, 1);
}

#[test]
fn the_log_of_a_failed_unit_comes_from_its_machine() {
    let lab = lab();
    lab.program("journalctl", "echo 'boom'");
    lab.file("bad.service", "[Service]\nExecStart=/bin/false\n");
    let said = lab.ctl(&["start", "bad"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.ends_with("not active\nboom\n"), "{}", said.stderr);
    assert_eq!(lab.ssh_calls().len(), 1);
}

#[test]
fn states_and_logs_can_be_had_in_json() {
    let lab = lab();
    let states = lab.json(&["status", "foo"]);
    assert_eq!(states[0]["systemdSubState"], "running");
    let journal = lab.ctl(&["--json", "journal", "foo"]).stdout;
    assert!(journal.ends_with("--output json\n"), "{journal}");
    assert_eq!(lab.ctl(&["--json", "ssh", "foo", "true"]).code, 2);
}
