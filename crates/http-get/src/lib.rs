//! How agents ask web servers: whom HTTPS trusts, where redirects lead, and small documents within limits.
//!
//! [`client`] and [`follow`] are for who reads a body himself; [`Getter`] fetches whole documents.
//! Apart from `agent-support` because the program in the initrd asks nobody.

mod client;
mod error;
mod follow;
mod getter;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod trust;
mod url;

pub use client::{Patience, Proxy, client};
pub use error::Error;
pub use follow::{Ask, follow};
pub use getter::{Getter, Limits};
pub use trust::trusted;
pub use url::{Scheme, Url, UrlError};
