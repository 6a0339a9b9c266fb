//! What scenarios have in the place of services of the Internet, on the host's loopback.

#[allow(dead_code, reason = "the scenarios that use it come next")]
mod discovery;

pub use discovery::Discovery;

mod certificates;
mod front;
mod request;

pub use front::Front;
