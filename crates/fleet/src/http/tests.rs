//! Server and client through a socket, over a fleet in memory.

mod client;
mod ending;
mod given;
mod hostile;
mod pages;
mod secure;
mod table;
