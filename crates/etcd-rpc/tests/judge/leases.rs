//! Leases: granted, renewed, revoked, over.

use std::time::Duration;

use etcd_lab::wait::DEADLINE;
use etcd_rpc::{Error, LeaseId, Op, Txn};
use tokio::time::{Instant, sleep};

use super::told::Told;
use super::{client, one_member, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_with_its_lease_and_then_nothing_revives_it() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let mut told = Told::follow(&client, "/m/").await;
    let lease = client.grant(Duration::from_secs(2)).await.unwrap();
    assert!(lease.ttl >= Duration::from_secs(2));
    let begin = Instant::now();
    client.txn(Txn::new().then(Op::put_with_lease("/m/a", "x", lease.id))).await.unwrap();
    assert_eq!(client.get("/m/a").await.unwrap().kv.unwrap().lease, lease.id.0);
    told.until_holds("/m/a", "x").await;
    told.until("the key is gone", |told| told.known.is_empty()).await;
    assert!(begin.elapsed() + Duration::from_secs(1) > lease.ttl, "too early");
    assert_eq!(refused(client.keep_alive(lease.id).await), Error::LeaseGone);
    assert_eq!(refused(client.remaining(lease.id).await), Error::LeaseGone);
    assert_eq!(refused(client.revoke(lease.id).await), Error::LeaseGone);
    let put = Txn::new().then(Op::put_with_lease("/m/a", "x", lease.id));
    assert_eq!(refused(client.txn(put).await), Error::LeaseGone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_renewed_outlives_its_time() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let lease = client.grant(Duration::from_secs(3)).await.unwrap();
    client.txn(Txn::new().then(Op::put_with_lease("/a", "x", lease.id))).await.unwrap();
    let begin = Instant::now();
    while begin.elapsed() < lease.ttl * 3 {
        assert_eq!(client.keep_alive(lease.id).await.unwrap(), lease.ttl);
        assert!(client.remaining(lease.id).await.unwrap() <= lease.ttl);
        sleep(lease.ttl / 4).await;
    }
    assert!(client.get("/a").await.unwrap().kv.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_lease_takes_its_keys_along_at_one_revision() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let lease = client.grant(Duration::from_secs(600)).await.unwrap();
    let put = |txn: Txn, n: u32| txn.then(Op::put_with_lease(&format!("/m/{n}"), "x", lease.id));
    client.txn((0..5).fold(Txn::new(), put)).await.unwrap();
    let mut told = Told::follow(&client, "/m/").await;
    assert_eq!(told.known.len(), 5);
    client.revoke(lease.id).await.unwrap();
    told.until("all keys are gone", |told| told.known.is_empty()).await;
    let revisions: Vec<_> = told.changes.iter().map(|(revision, _)| revision).collect();
    assert!(revisions.len() == 5 && revisions.iter().all(|at| *at == revisions[0]), "{revisions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_never_was_is_over() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    assert_eq!(refused(client.keep_alive(LeaseId(77)).await), Error::LeaseGone);
    assert_eq!(refused(client.remaining(LeaseId(77)).await), Error::LeaseGone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_and_its_keys_survive_the_members_restart() {
    let Some(mut member) = one_member() else { return };
    let client = client(&member);
    let lease = client.grant(Duration::from_secs(60)).await.unwrap();
    client.txn(Txn::new().then(Op::put_with_lease("/a", "x", lease.id))).await.unwrap();
    member.kill();
    super::start_again(&mut member);
    let begin = Instant::now();
    let ttl = loop {
        match client.keep_alive(lease.id).await {
            Ok(ttl) => break ttl,
            Err(error) => assert!(error.is_away() && begin.elapsed() < DEADLINE, "{error}"),
        }
    };
    assert_eq!(ttl, lease.ttl);
    assert_eq!(client.get("/a").await.unwrap().kv.unwrap().lease, lease.id.0);
}
