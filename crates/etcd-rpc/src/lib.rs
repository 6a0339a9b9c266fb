//! A client of etcd's v3 API, as far as Slipway's agents need it.
//!
//! [`Client`] reads keys, writes them in transactions ([`Txn`]), holds leases, follows prefixes ([`Follower`]), and
//! asks who the members are and how they are ([`Member`], [`MemberStatus`]).
//! Every request ends within the timeout of its [`Config`], and every failure is an [`Error`] of a kind that a
//! program can act on and whose text ends in the remedy.
//!
//! What it sends and how it reads the answers is in `proto/etcd.proto`; the code of those messages is committed, so
//! that no build needs protoc.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use etcd_rpc::{Client, Compare, Config, Op, Txn};
//!
//! # async fn example() -> Result<(), etcd_rpc::Error> {
//! let client = Client::new(Config::new(["http://127.0.0.1:2379"], Duration::from_secs(5)))?;
//! let lease = client.grant(Duration::from_secs(30)).await?;
//! let txn = Txn::new()
//!     .when(Compare::absent("/example/leader"))
//!     .then(Op::put_with_lease("/example/leader", "me", lease.id))
//!     .or_else(Op::get("/example/leader"));
//! let outcome = client.txn(txn).await?;
//! println!("leading: {}", outcome.succeeded);
//! # Ok(())
//! # }
//! ```

mod calls;
mod client;
mod config;
mod endpoints;
mod error;
mod follow;
#[rustfmt::skip]
#[allow(missing_docs, missing_debug_implementations, clippy::all, clippy::as_conversions, reason = "generated")]
mod generated;
mod keys;
mod lease;
mod login;
mod members;
mod status;
mod txn;

pub use client::Client;
pub use config::{Config, Identity, Tls};
pub use error::Error;
pub use follow::{Change, Event, Follower};
pub use keys::{Got, KeyValue, Listing, Page, Range};
pub use lease::{Lease, LeaseId};
pub use members::Member;
pub use status::{Alarm, EndpointStatus, MemberStatus};
pub use txn::{Answer, Compare, OPS_MAX, Op, Outcome, REQUEST_BYTES_MAX, Txn};
