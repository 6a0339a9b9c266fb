//! What the etcd that we ship answers and does: the keys API row by row, watches, clusters and discovery.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "judge/availability.rs"]
mod availability;
#[path = "judge/discovery.rs"]
mod discovery;
#[path = "judge/endpoints.rs"]
mod endpoints;
#[path = "judge/history.rs"]
mod history;
#[path = "judge/keys.rs"]
mod keys;
#[path = "judge/keys_table.rs"]
mod keys_table;
#[path = "judge/load.rs"]
mod load;
#[path = "judge/order.rs"]
mod order;
#[path = "judge/reconfiguration.rs"]
mod reconfiguration;
#[path = "judge/unit.rs"]
mod unit;
#[path = "judge/watches.rs"]
mod watches;

use etcd_lab::{Cluster, Member, Programs};

/// A fresh cluster of one member; `None` without etcd.
fn one_member() -> Option<Member> {
    cluster(1)?.members.pop()
}

/// A fresh cluster; `None` without etcd.
fn cluster(size: usize) -> Option<Cluster> {
    Some(Cluster::start(&Programs::shipped()?, size))
}
