//! Members that are added and removed while clients write.

use etcd_lab::{Cluster, Member, Programs, until};
use serde_json::json;

use crate::cluster;
use crate::load::Load;

#[test]
fn members_are_added_and_removed_under_load_and_no_acknowledged_write_is_lost() {
    let (Some(programs), Some(mut cluster)) = (Programs::shipped(), cluster(3)) else { return };
    let load = Load::start(cluster.members.iter().map(Member::client).collect());
    load.wait_for_more();
    for name in ["m4", "m5"] {
        add(&mut cluster, Member::new(&programs, name));
        load.wait_for_more();
    }
    let removed = cluster.follower();
    let client = cluster.members[cluster.leader(0)].client();
    let members = client.get("/v2/members").unwrap().json();
    let rows = members["members"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    let row = rows.iter().find(|row| row["name"] == cluster.members[removed].name.as_str()).unwrap();
    let path = format!("/v2/members/{}", row["id"].as_str().unwrap());
    assert_eq!(client.delete(&path).unwrap().status, 204);
    // The removed process ends by itself.
    cluster.members[removed].wait_end();
    load.wait_for_more();
    assert_eq!(client.get("/v2/members").unwrap().json()["members"].as_array().unwrap().len(), 4);
    load.finish(&cluster.members[4].client());
}

/// Adds one member and waits until it is healthy, as before each next change.
fn add(cluster: &mut Cluster, mut member: Member) {
    let client = cluster.members[0].client();
    until("the cluster takes a new member", || {
        let added = client.post_json("/v2/members", &json!({"peerURLs": [member.peer_url()]})).ok()?;
        // The last one to come is not counted as healthy at once.
        (added.status == 201).then_some(())
    });
    let list = format!("{},{}", cluster.initial_cluster(), member.row());
    member.start(&["--initial-cluster", &list, "--initial-cluster-state=existing"]);
    member.wait_healthy();
    cluster.members.push(member);
}
