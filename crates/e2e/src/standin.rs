//! What scenarios have in the place of services of the Internet, on the host's loopback.

mod discovery;

pub use discovery::Discovery;
