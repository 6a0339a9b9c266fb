//! The etcd that we ship, with members that are taken away: those that are left are still shown.

use etcd_lab::{Cluster, Programs};
use serde_json::Value;

use crate::machine::{Machine, Server};

/// A machine whose etcdctl is the real one, and asks the first member unless it is told whom.
fn machine(programs: &Programs, cluster: &Cluster) -> Machine {
    let machine = Machine::new();
    let (real, first) = (programs.etcdctl.display(), cluster.members[0].client_url());
    let script = format!("ETCDCTL_ENDPOINTS=\"${{ETCDCTL_ENDPOINTS:-{first}}}\" exec '{real}' \"$@\"");
    for args in ["member list --write-out=json", "endpoint status --write-out=json"] {
        machine.runs("etcdctl", args, &script);
    }
    machine
}

fn document(server: &Server) -> Value {
    serde_json::from_str(&server.get("/status.json").body).unwrap()
}

/// What the members are, by name.
fn roles(document: &Value) -> Vec<String> {
    let members = document["etcd"]["members"].as_array().unwrap();
    members.iter().map(|member| member["role"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn members_that_are_left_are_shown_while_others_are_down() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let machine = machine(&programs, &cluster);
    let server = machine.serve(&["--every", "1s"]);
    server.until_seen("etcd has its quorum");
    let mut found = roles(&document(&server));
    found.sort();
    assert_eq!(found, ["follower", "follower", "leader"]);

    cluster.members[2].kill();
    server.until_seen("member m3 of etcd does not answer: ");
    let seen = document(&server);
    assert_eq!((&seen["etcd"]["quorum"], &seen["etcd"]["healthy"]), (&true.into(), &2.into()), "{seen:#}");
    assert_eq!(seen["missing"].as_array().unwrap().len(), 0, "{seen:#}");

    cluster.members[1].kill();
    server.until_seen("etcd has no quorum: 0 of 3 voting members answer and have a leader");
    let seen = document(&server);
    assert_eq!(roles(&seen), ["no-leader", "silent", "silent"], "{seen:#}");
    // Whoever looks for the first time sees the member that is here.
    let out = machine.command().args(["show", "--json"]).output().unwrap();
    let first: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(roles(&first), ["no-leader"], "{first:#}");
    assert_eq!(first["missing"][0]["source"], "etcdctl member list", "{first:#}");

    cluster.start_again(1);
    cluster.start_again(2);
    server.until_seen("etcd has its quorum");
    server.until_seen("member m2 of etcd answers again");
    server.until_seen("member m3 of etcd answers again");
    let page = server.until_seen("leads etcd");
    assert!(page.body.contains("etcd has no leader"), "{page:?}");
}
