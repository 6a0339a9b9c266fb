//! What scenarios have in the place of services of the Internet, on the host's loopback.

#[allow(dead_code, reason = "the scenarios that use it come next")]
mod discovery;

#[allow(unused_imports, reason = "the scenarios that use it come next")]
pub use discovery::Discovery;

mod certificates;
#[allow(dead_code, reason = "the scenarios that use it come next")]
mod front;
mod request;

#[allow(unused_imports, reason = "the scenarios that use it come next")]
pub use front::Front;
