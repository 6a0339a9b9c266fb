//! The client against the etcd that we ship: every operation, every kind of failure, followers through all troubles.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "judge/auth.rs"]
mod auth;
#[path = "judge/followers.rs"]
mod followers;
#[path = "judge/keys.rs"]
mod keys;
#[path = "judge/leases.rs"]
mod leases;
#[path = "judge/majority.rs"]
mod majority;
#[path = "judge/members.rs"]
mod members;
#[path = "judge/space.rs"]
mod space;
#[path = "judge/tls.rs"]
mod tls;
#[path = "judge/told.rs"]
mod told;

use std::time::Duration;

use etcd_lab::{Cluster, Member, Programs};
use etcd_rpc::{Client, Config, Error};

/// The time that requests of these tests have.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A fresh cluster of one member; `None` without etcd.
fn one_member() -> Option<Member> {
    Cluster::start(&Programs::shipped()?, 1).members.pop()
}

/// A client of one member.
fn client(member: &Member) -> Client {
    Client::new(Config::new([member.client_url()], TIMEOUT)).unwrap()
}

/// A client of all members, asked in their order.
fn client_of_all(cluster: &Cluster) -> Client {
    Client::new(Config::new(cluster.members.iter().map(Member::client_url), TIMEOUT)).unwrap()
}

/// Starts a member of one again after its end and waits until it serves.
fn start_again(member: &mut Member) {
    let row = member.row();
    member.start(&["--initial-cluster", &row]);
    member.wait_healthy();
}

/// Writes until it works, as a caller does while the store is away: a put is the same however often it is done.
async fn put_somehow(client: &Client, key: &str, value: &str) -> i64 {
    let begin = std::time::Instant::now();
    loop {
        match client.put(key, value).await {
            Ok(revision) => return revision,
            Err(error) => assert!(error.is_away() && begin.elapsed() < etcd_lab::wait::DEADLINE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a refused request was refused with.
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> Error {
    answer.expect_err("this must be refused")
}
