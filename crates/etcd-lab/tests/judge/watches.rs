//! Watches: the talk's slide, reads at an index on any member, keys that expire.

use std::time::Duration;

use etcd_lab::until;

use crate::{cluster, one_member};

/// A moment in which a watch that has an event to tell would tell it.
const MOMENT: Duration = Duration::from_millis(500);
const EVENT: &str = "{\"action\":\"set\",\"node\":{\"key\":\"/asdf\",\"value\":\"foobar\",\"modifiedIndex\":4,\"createdIndex\":4}}\n";

#[test]
fn the_talks_watch_blocks_until_the_change_and_then_always_answers_the_same() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    let asked = "/v2/keys/asdf?waitIndex=4&wait=true";
    let watch = client.watch(asked).unwrap();
    assert_eq!((watch.status, watch.index), (200, 3));
    assert_eq!(watch.body_within(MOMENT), None);
    let put = client.put("/v2/keys/asdf", "value=foobar").unwrap();
    assert_eq!((put.status, put.index()), (201, Some(4)));
    assert_eq!(watch.body_within(etcd_lab::wait::DEADLINE).as_deref(), Some(EVENT));
    // Later changes, of this key too, do not change what the answer is.
    for form in ["value=two", "value=three"] {
        client.put("/v2/keys/asdf", form).unwrap();
        let again = client.get(asked).unwrap();
        assert_eq!(again.body, EVENT);
        assert!(4 <= again.index().unwrap());
    }
}

#[test]
fn a_watch_at_an_index_answers_the_same_on_every_member() {
    let Some(cluster) = cluster(3) else { return };
    let put = cluster.members[0].client().put("/v2/keys/asdf", "value=foobar").unwrap();
    let index = put.json()["node"]["modifiedIndex"].as_u64().unwrap();
    let asked = format!("/v2/keys/asdf?wait=true&waitIndex={index}");
    cluster.members[1].client().put("/v2/keys/asdf", "value=later").unwrap();
    for member in &cluster.members {
        let watch = member.client().watch(&asked).unwrap();
        assert_eq!(watch.event(), put.json(), "{}", member.name);
    }
}

#[test]
fn a_read_at_an_index_waits_for_a_paused_follower() {
    let Some(cluster) = cluster(3) else { return };
    let leader = cluster.leader(0);
    let follower = cluster.follower();
    cluster.members[follower].pause();
    let put = cluster.members[leader].client().put("/v2/keys/A", "value=v").unwrap();
    let index = put.json()["node"]["modifiedIndex"].as_u64().unwrap();
    let asked = format!("/v2/keys/A?wait=true&waitIndex={index}");
    let told = cluster.members[leader].client().watch(&asked).unwrap().event();
    assert_eq!(told, put.json());
    let (tell, answer) = std::sync::mpsc::channel();
    let client = cluster.members[follower].client();
    let reader = std::thread::spawn(move || {
        tell.send(client.watch(&asked).unwrap().event()).unwrap();
    });
    assert!(answer.recv_timeout(MOMENT).is_err(), "a paused follower answers");
    cluster.members[follower].resume();
    assert_eq!(answer.recv_timeout(etcd_lab::wait::DEADLINE).unwrap(), told);
    reader.join().unwrap();
}

#[test]
fn a_key_expires_and_its_watcher_is_told() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    client.put("/v2/keys/k", "value=v&ttl=2").unwrap();
    let watch = client.watch("/v2/keys/k?wait=true").unwrap();
    let event = watch.event();
    assert_eq!((&event["action"], &event["prevNode"]["value"]), (&"expire".into(), &"v".into()));
    let gone = client.get("/v2/keys/k").unwrap();
    assert_eq!((gone.status, gone.error_code()), (404, Some(100)));
}

#[test]
fn a_refreshed_key_lives_and_its_watchers_see_nothing() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    client.put("/v2/keys/k", "value=v&ttl=5").unwrap();
    // The same time to live without a refresh: when it is gone, the refreshed key has outlived its first term.
    client.put("/v2/keys/other", "value=v&ttl=6").unwrap();
    let watch = client.watch("/v2/keys/k?wait=true").unwrap();
    until("the other key expires", || {
        let refreshed = client.put("/v2/keys/k", "refresh=true&ttl=5&prevExist=true").unwrap();
        assert_eq!((refreshed.status, &refreshed.json()["node"]["value"]), (200, &"v".into()));
        (client.get("/v2/keys/other").unwrap().status == 404).then_some(())
    });
    let last = client.put("/v2/keys/k", "value=last").unwrap();
    // The first event that the watcher gets is the one after all refreshes.
    assert_eq!(watch.event(), last.json());
}

#[test]
fn a_directory_is_watched_with_what_is_below_it_only_if_asked() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    client.put("/v2/keys/d/a", "value=v").unwrap();
    let (flat, deep) =
        (client.watch("/v2/keys/d?wait=true").unwrap(), client.watch("/v2/keys/d?wait=true&recursive=true"));
    client.put("/v2/keys/d/_hidden", "value=v").unwrap();
    let put = client.put("/v2/keys/d/a", "value=w").unwrap();
    assert_eq!(deep.unwrap().event(), put.json());
    let removed = client.delete("/v2/keys/d?recursive=true").unwrap();
    assert_eq!(flat.event(), removed.json());
}

#[test]
fn a_wait_with_a_quorum_is_a_plain_read() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    client.put("/v2/keys/k", "value=v").unwrap();
    let answer = client.get("/v2/keys/k?wait=true&quorum=true").unwrap();
    assert_eq!(answer.json()["action"], "get");
}
