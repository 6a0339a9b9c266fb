//! The endpoints beside the keys: version, health, members, statistics.

use etcd_lab::until;
use serde_json::json;

use crate::{cluster, one_member};

#[test]
fn the_endpoints_beside_the_keys_answer() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    let version = client.get("/version").unwrap().json();
    assert_eq!(version, json!({"etcdserver": "3.5.16", "etcdcluster": "3.5.0"}));
    let health = client.get("/health").unwrap();
    assert_eq!((health.status, health.json()), (200, json!({"health": "true", "reason": ""})));
    assert_eq!(client.get("/v2/machines").unwrap().body, member.client_url());
    let members = client.get("/v2/members").unwrap().json();
    let row = &members["members"][0];
    assert_eq!(row["name"], member.name.as_str());
    assert_eq!(row["peerURLs"], json!([member.peer_url()]));
    assert_eq!(row["clientURLs"], json!([member.client_url()]));
    assert_eq!(client.get("/v2/members/leader").unwrap().json(), *row);
    for (path, field) in [("self", "leaderInfo"), ("store", "getsSuccess"), ("leader", "followers")] {
        let answer = client.get(&format!("/v2/stats/{path}")).unwrap();
        assert!(answer.status == 200 && !answer.json()[field].is_null(), "{path}: {}", answer.body);
    }
    let metrics = client.get("/metrics").unwrap();
    assert!(metrics.body.contains("etcd_server_has_leader 1"), "{}", metrics.body);
    // The v3 API is beside it.
    let put = client.post_json("/v3/kv/put", &json!({"key": "aw==", "value": "dg=="})).unwrap();
    assert_eq!(put.status, 200, "{}", put.body);
}

#[test]
fn members_are_changed_over_http_with_their_statuses() {
    let Some(cluster) = cluster(3) else { return };
    let follower = cluster.follower();
    let client = cluster.members[cluster.leader(0)].client();
    assert_eq!(cluster.members[follower].client().get("/v2/stats/leader").unwrap().status, 403);
    let taken = json!({"peerURLs": [cluster.members[0].peer_url()]});
    // The strict check refuses any change for some seconds after a start.
    let change = |document| {
        until("the members hold each other for healthy", || {
            client.post_json("/v2/members", document).ok().filter(|answer| answer.status != 500)
        })
    };
    assert_eq!(change(&taken).status, 409);
    let added = change(&json!({"peerURLs": ["http://127.0.0.2:1"]}));
    assert_eq!(added.status, 201, "{}", added.body);
    let path = format!("/v2/members/{}", added.json()["id"].as_str().unwrap());
    assert_eq!(client.delete(&path).unwrap().status, 204);
    assert_eq!(client.delete(&path).unwrap().status, 410);
    assert_eq!(client.delete("/v2/members/1234567890abcdef").unwrap().status, 404);
}
