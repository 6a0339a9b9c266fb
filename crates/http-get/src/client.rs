//! A client: how long it waits, whether it uses a proxy, its name.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// How long a server may keep a client waiting.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection, and for the headers of an answer.
    pub answer: Duration,
    /// Without a byte of a body.
    pub stall: Duration,
}

/// Whether questions go through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// Through the one that the environment names, if it does.
    OfEnvironment,
    /// To the server itself: a proxy cannot reach it, or would answer for another machine.
    Never,
}

/// Makes a client, which asks nothing yet. It follows no redirect and takes any status: both are for its user to see.
pub fn client(roots: RootCerts, patience: Patience, proxy: Proxy, name: &str) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(patience.answer))
        .timeout_recv_response(Some(patience.answer))
        .timeout_per_read(Some(patience.stall))
        .user_agent(name)
        .accept_encoding("identity")
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        // Memory is scarce: see MemoryMax= of slipway-update.service.
        .input_buffer_size(64 << 10)
        .output_buffer_size(8 << 10);
    if proxy == Proxy::Never {
        config = config.proxy(None);
    }
    config.build().into()
}
