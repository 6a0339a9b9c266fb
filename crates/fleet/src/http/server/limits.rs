//! What one connection may cost.

use std::time::Duration;

/// Limits of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once at each listener; more wait.
    pub connections: usize,
    /// Longest head of a request.
    pub head_bytes: usize,
    /// How long a head may take, with the time before it begins: idle connections end so, and handshakes of TLS.
    pub head_time: Duration,
    /// Longest body of a request.
    pub body_bytes: usize,
    /// How long a body may take.
    pub body_time: Duration,
    /// How long an answer may be thought about.
    pub answer_time: Duration,
    /// How long a client may take to read what is sent, or 64 KiB of it.
    pub write_time: Duration,
    /// How long all may take to end when the server does.
    pub end_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head_bytes: 16 << 10,
            head_time: Duration::from_secs(30),
            body_bytes: crate::http::MAX_BODY_BYTES,
            body_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(60),
            write_time: Duration::from_secs(30),
            end_time: Duration::from_secs(10),
        }
    }
}
