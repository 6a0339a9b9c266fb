//! Real etcd processes on loopback, for tests: [`Member`], [`Cluster`] and the HTTP [`Client`] that asks them; and
//! [`Discovery`], the service by which members find each other, for a desk too.
//!
//! Everything waits with a deadline, and a process ends when its value is dropped.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

pub mod authority;
pub mod cluster;
pub mod discovery;
pub mod http;
pub mod member;
pub mod wait;

pub use authority::{Authority, Signed};
pub use cluster::Cluster;
pub use discovery::Discovery;
pub use http::{Answer, Client, Watch};
pub use member::{Member, Programs};
pub use wait::until;
