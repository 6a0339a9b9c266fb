//! In-order keys: many clients post to one directory.

use std::collections::BTreeSet;
use std::thread;

use crate::one_member;

const CLIENTS: usize = 20;
const EACH: usize = 10;

#[test]
fn in_order_keys_of_twenty_clients_are_distinct_and_sorted_by_acknowledgement() {
    let Some(member) = one_member() else { return };
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let client = member.client();
            thread::spawn(move || -> Vec<String> {
                let post = |_| client.post("/v2/keys/queue", &format!("value={n}")).unwrap();
                let answers = (0..EACH).map(post);
                answers.map(|answer| answer.json()["node"]["key"].as_str().unwrap().to_owned()).collect()
            })
        })
        .collect();
    let acknowledged: Vec<Vec<String>> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let distinct: BTreeSet<&String> = acknowledged.iter().flatten().collect();
    assert_eq!(distinct.len(), CLIENTS * EACH);
    for key in &distinct {
        let name = key.rsplit('/').next().unwrap();
        assert!(name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit()), "{key}");
    }
    let listing = member.client().get("/v2/keys/queue?sorted=true").unwrap().json();
    let nodes = listing["node"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), distinct.len());
    for (n, keys) in acknowledged.iter().enumerate() {
        let own = nodes.iter().filter(|node| node["value"] == n.to_string().as_str());
        assert_eq!(own.map(|node| node["key"].as_str().unwrap()).collect::<Vec<_>>(), *keys);
    }
}
