//! The client: one value for all requests, cheap to clone.

use std::sync::Arc;

use crate::calls::Calls;
use crate::config::Config;
use crate::error::Error;

/// A client of one cluster. Clones share connections, login and what is known of the endpoints.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) calls: Arc<Calls>,
}

impl Client {
    /// Makes a client; it connects with its first request. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When endpoints, certificates or the timeout cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self { calls: Arc::new(Calls::new(config)?) })
    }
}
