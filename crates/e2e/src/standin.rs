//! What scenarios have in the place of services of the Internet, on the host's loopback.

mod certificates;
pub mod discovery;
mod front;
mod request;

pub use front::Front;
