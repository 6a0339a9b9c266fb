//! Three members, some of which are lost: available, unavailable, temporarily unavailable.

use etcd_lab::until;

use crate::cluster;
use crate::load::Load;

#[test]
fn every_write_succeeds_when_a_follower_is_lost() {
    let Some(mut cluster) = cluster(3) else { return };
    let follower = cluster.follower();
    let leader = cluster.leader(0);
    cluster.members[follower].kill();
    let client = cluster.members[leader].client();
    for n in 0..200 {
        let answer = client.put(&format!("/v2/keys/k{n}"), "value=v").unwrap();
        assert_eq!(answer.status, 201, "write {n}: {}", answer.body);
    }
}

#[test]
fn writes_fail_when_two_of_three_are_lost_and_succeed_when_one_returns() {
    let Some(mut cluster) = cluster(3) else { return };
    let list = cluster.initial_cluster();
    cluster.members[1].kill();
    cluster.members[2].kill();
    let client = cluster.members[0].client();
    let refused = client.put("/v2/keys/k", "value=v").unwrap();
    assert_eq!((refused.status, refused.error_code()), (500, Some(300)), "{}", refused.body);
    // A read that asks nobody else is still answered; one with a quorum is not.
    assert_eq!(client.get("/v2/keys/").unwrap().status, 200);
    let quorum = client.get("/v2/keys/?quorum=true").unwrap();
    assert_eq!((quorum.status, quorum.error_code()), (500, Some(300)), "{}", quorum.body);
    let health = until("the member says that it has no leader", || {
        client.get("/health").ok().filter(|answer| answer.status == 503)
    });
    assert_eq!(health.json()["health"], "false");
    cluster.members[1].start(&["--initial-cluster", &list]);
    until("writes succeed again", || {
        client.put("/v2/keys/k", "value=v").ok().filter(|answer| answer.is_success())
    });
}

#[test]
fn writes_resume_under_a_new_leader_and_no_acknowledged_one_is_lost() {
    let Some(mut cluster) = cluster(3) else { return };
    let lost = cluster.leader(0);
    let left: Vec<usize> = (0..3).filter(|place| *place != lost).collect();
    let load = Load::start(left.iter().map(|place| cluster.members[*place].client()).collect());
    load.wait_for_more();
    cluster.members[lost].kill();
    load.wait_for_more();
    let client = cluster.members[left[0]].client();
    let leader = until("a new leader", || {
        let name = client.get("/v2/members/leader").ok()?.json()["name"].as_str()?.to_owned();
        (name != cluster.members[lost].name).then_some(name)
    });
    assert!(left.iter().any(|place| cluster.members[*place].name == leader));
    load.finish(&client);
}

#[test]
fn a_stopped_leader_is_replaced_and_returns_as_a_follower() {
    let Some(cluster) = cluster(3) else { return };
    let stopped = cluster.leader(0);
    let left: Vec<usize> = (0..3).filter(|place| *place != stopped).collect();
    cluster.members[stopped].pause();
    let client = cluster.members[left[0]].client();
    let put = until("a write under a new leader", || {
        client.put("/v2/keys/k", "value=v").ok().filter(|answer| answer.is_success())
    });
    cluster.members[stopped].resume();
    let returned = cluster.members[stopped].client();
    until("the old leader follows", || {
        let name = returned.get("/v2/members/leader").ok()?.json()["name"].as_str()?.to_owned();
        (name != cluster.members[stopped].name).then_some(())
    });
    let read = until("the old leader reads with a quorum", || {
        returned.get("/v2/keys/k?quorum=true").ok().filter(|answer| answer.status == 200)
    });
    assert!(put.json()["node"]["modifiedIndex"].as_u64() <= read.json()["node"]["modifiedIndex"].as_u64());
}
