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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_client_that_is_printed_keeps_the_password_to_itself() {
        let mut config = Config::new(["http://127.0.0.1:2379"], Duration::from_secs(1));
        config.user = Some(("fleet".into(), "hunter2".into()));
        let text = format!("{:?}", Client::new(config).unwrap());
        assert!(text.contains("fleet") && !text.contains("hunter2"), "{text}");
    }
}
