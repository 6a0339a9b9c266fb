//! The API over HTTP: a server for any [`crate::api::Api`], and a client that is one.
//!
//! What a request means and how an answer looks is decided without I/O ([`routes`], [`request`], [`answer`],
//! [`token`], [`patch`]); server and client share the bodies in [`wire`].

pub mod answer;
pub mod client;
pub mod discovery;
mod escape;
pub mod handle;
pub mod listen;
pub mod metrics;
pub mod patch;
mod refusal;
pub mod request;
pub mod routes;
pub mod server;
mod stall;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod token;
pub mod wire;

pub use client::{Client, Place};
pub use listen::{Listener, ListenerError};
pub use metrics::Metrics;
pub use refusal::Refusal;
pub use server::{Limits, Server};
pub use tls::{TlsError, TlsFiles};

/// What the header `Server` says.
pub const SERVER: &str = concat!("fleetd/", env!("CARGO_PKG_VERSION"));
/// Longest body of a request. A unit's file is in it twice at most, and etcd refuses more than 1.5 MiB at once.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Longest body of an answer that the client reads: a page of the largest unit files, many times over.
pub const MAX_ANSWER_BYTES: usize = 256 << 20;
