//! What scenarios have in the place of services of the Internet, on the host's loopback.

mod certificates;
mod discovery;
mod front;
mod request;

pub use discovery::Discovery;
pub use front::Front;
