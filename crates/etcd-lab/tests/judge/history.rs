//! The history of a store: a thousand events, and how to follow it without losing one.

use std::thread;

use etcd_lab::Client;

use crate::one_member;

const CHANGES: u64 = 1100;
const MORE_CHANGES: u64 = 200;

#[test]
fn an_index_older_than_the_history_is_refused_and_listing_anew_misses_nothing() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    for n in 1..=CHANGES {
        assert!(client.put("/v2/keys/d/k", &format!("value={n}")).unwrap().is_success());
    }
    let cleared = client.get("/v2/keys/d/k?wait=true&waitIndex=4").unwrap();
    assert_eq!((cleared.status, cleared.error_code()), (400, Some(401)));
    let cause = cleared.json()["cause"].as_str().unwrap().to_owned();
    assert!(cause.contains("the requested history has been cleared"), "{cause}");

    let writer = member.client();
    let writes = thread::spawn(move || {
        for n in CHANGES + 1..=CHANGES + MORE_CHANGES {
            assert!(writer.put("/v2/keys/d/k", &format!("value={n}")).unwrap().is_success());
        }
    });
    follow(&client);
    writes.join().unwrap();
}

/// Lists, watches from the index after the listing, and sees each change once, in order, up to the last.
fn follow(client: &Client) {
    let listing = client.get("/v2/keys/d?recursive=true").unwrap();
    let mut index = listing.index().unwrap();
    let mut seen: u64 = listing.json()["node"]["nodes"][0]["value"].as_str().unwrap().parse().unwrap();
    while seen < CHANGES + MORE_CHANGES {
        let asked = format!("/v2/keys/d?recursive=true&wait=true&waitIndex={}", index + 1);
        let event = client.get(&asked).unwrap().json();
        let value: u64 = event["node"]["value"].as_str().unwrap().parse().unwrap();
        assert_eq!(value, seen + 1, "{event}");
        index = event["node"]["modifiedIndex"].as_u64().unwrap();
        seen = value;
    }
}
