//! Clusters that lose members: other endpoints, another leader, no majority.

use std::net::TcpListener;
use std::time::Duration;

use etcd_lab::wait::DEADLINE;
use etcd_lab::{Cluster, Member, Programs};
use etcd_rpc::{Client, Config, Error};
use tokio::time::{Instant, sleep};

use super::told::Told;
use super::{TIMEOUT, client_of_all, put_somehow, refused};

/// What a loaded machine takes beside the timeout.
const SLACK: Duration = Duration::from_secs(3);

/// Waits until no endpoint that answers knows a leader.
async fn until_leaderless(client: &Client) {
    let begin = Instant::now();
    loop {
        let status = client.status().await;
        if status.iter().filter_map(|is| is.member.as_ref().ok()).all(|is| is.leader.is_none()) {
            return;
        }
        assert!(begin.elapsed() < DEADLINE, "there is still a leader: {status:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_leader_loses_no_write_and_repeats_no_change() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let client = client_of_all(&cluster);
    let mut told = Told::follow(&client, "/f/").await;
    let mut written = Vec::new();
    for round in 0..3 {
        for n in 0..20 {
            let key = format!("/f/{round}/{n:02}");
            put_somehow(&client, &key, "x").await;
            written.push(key);
        }
        let leader = cluster.leader(0);
        cluster.members[leader].kill();
        for n in 20..40 {
            let key = format!("/f/{round}/{n:02}");
            put_somehow(&client, &key, "x").await;
            written.push(key);
        }
        cluster.start_again(leader);
        cluster.members[leader].wait_healthy();
    }
    let listing = client.list("/f/").await.unwrap();
    assert_eq!(listing.kvs.iter().map(|kv| kv.key.clone()).collect::<Vec<_>>(), written);
    told.until("everything", |told| told.revision >= listing.revision).await;
    assert_eq!(told.known.len(), written.len());
    let mut changes = told.changes.clone();
    changes.sort();
    changes.dedup();
    assert_eq!((changes.len(), told.n_listings), (told.changes.len(), 1), "no change twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_down_is_passed_over() {
    let Some(programs) = Programs::shipped() else { return };
    let member = Cluster::start(&programs, 1).members.pop().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoints = [format!("http://{nobody}"), member.client_url()];
    let client = Client::new(Config::new(endpoints, TIMEOUT)).unwrap();
    let begin = Instant::now();
    for n in 0..20 {
        client.put("/k", n.to_string()).await.unwrap();
    }
    assert!(begin.elapsed() < TIMEOUT, "a refused connection costs no timeout");
    let status = client.status().await;
    assert!(matches!(status[0].member, Err(Error::Unreachable { .. })), "{status:?}");
    assert!(status[1].member.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_where_nobody_is_names_itself() {
    if Programs::shipped().is_none() {
        return;
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(Config::new([format!("http://{nobody}")], TIMEOUT)).unwrap();
    let begin = Instant::now();
    let error = refused(client.put("/k", "x").await);
    assert!(
        matches!(&error, Error::Unreachable { tried } if tried.contains(&nobody.to_string())),
        "{error:?}"
    );
    assert!(begin.elapsed() < TIMEOUT && !error.is_outcome_unknown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hangs_is_passed_over_by_reads_and_leaves_a_write_open() {
    let Some(programs) = Programs::shipped() else { return };
    let cluster = Cluster::start(&programs, 3);
    let hanging = cluster.follower();
    // The one that hangs comes first.
    let order = (0..3).map(|n| (hanging + n) % 3).map(|place| cluster.members[place].client_url());
    let client = Client::new(Config::new(order, TIMEOUT)).unwrap();
    client.put("/k", "x").await.unwrap();
    cluster.members[hanging].pause();
    let begin = Instant::now();
    let error = refused(client.put("/k", "y").await);
    assert!(matches!(error, Error::Timeout { .. }) && error.is_outcome_unknown(), "{error:?}");
    assert!(begin.elapsed() < TIMEOUT + SLACK);
    // Now it is known to be a bad one.
    client.put("/k", "z").await.unwrap();
    assert!(client.get("/k").await.is_ok());
    let fresh =
        Client::new(Config::new((0..3).map(|n| cluster.members[(hanging + n) % 3].client_url()), TIMEOUT));
    let fresh = fresh.unwrap();
    assert_eq!(fresh.get("/k").await.unwrap().kv.unwrap().value, b"z");
    cluster.members[hanging].resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_everything_is_refused_in_time_and_nothing_is_done() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let client = client_of_all(&cluster);
    client.put("/k", "before").await.unwrap();
    let lease = client.grant(Duration::from_secs(600)).await.unwrap();
    let mut told = Told::follow(&client, "/").await;
    let survivor = cluster.leader(0);
    let lost: Vec<_> = (0..3).filter(|place| *place != survivor).collect();
    lost.iter().for_each(|place| cluster.members[*place].kill());
    until_leaderless(&client).await;
    let is_known = |error: &Error| matches!(error, Error::NoLeader { .. }) && !error.is_outcome_unknown();
    for what in ["put", "get", "renew"] {
        let begin = Instant::now();
        let error = match what {
            "put" => refused(client.put("/k", "during").await),
            "get" => refused(client.get("/k").await),
            _ => refused(client.keep_alive(lease.id).await),
        };
        assert!(is_known(&error), "{what}: {error:?}");
        assert!(begin.elapsed() < TIMEOUT + SLACK, "{what}: {:?}", begin.elapsed());
    }
    told.until("the store is away", |told| !told.reasons.is_empty()).await;
    lost.iter().for_each(|place| cluster.start_again(*place));
    cluster.members.iter_mut().for_each(Member::wait_healthy);
    assert_eq!(client.get("/k").await.unwrap().kv.unwrap().value, b"before");
    put_somehow(&client, "/k", "after").await;
    told.until_holds("/k", "after").await;
    assert_eq!(told.n_listings, 1);
    assert!(client.keep_alive(lease.id).await.is_ok());
}
