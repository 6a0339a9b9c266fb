//! Where a payload comes from: a web server or a file, asked for ranges of bytes.

pub mod client;
pub mod file;
pub mod http;
mod request;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use payload::Extent;

pub use client::Client;
pub use file::FileSource;
pub use http::HttpSource;
pub use http_get::Error as SourceError;
pub use request::get_small;

/// Takes bytes as they come: the offset of the first in the payload, and the bytes. In order within each range.
pub type Sink<'a> = dyn FnMut(u64, &[u8]) -> anyhow::Result<()> + 'a;

/// Something that has the bytes of a payload.
pub trait Source: fmt::Debug {
    /// Returns the place, for messages.
    fn place(&self) -> String;

    /// Says how long the payload is. A source that has another length is refused, now or when it says so.
    fn expect_total(&mut self, total: u64) -> anyhow::Result<()>;

    /// Gives the bytes of `ranges`, which are in order and do not touch, to `sink`.
    fn read_ranges(&mut self, ranges: &[Extent], sink: &mut Sink<'_>) -> anyhow::Result<()>;
}

/// What the network took, shared by who asks and who tells.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    bytes: Rc<Cell<u64>>,
    requests: Rc<Cell<u64>>,
}

impl Traffic {
    /// Returns the bytes of bodies that came.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Returns the number of requests sent.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    fn add_bytes(&self, n: u64) {
        self.bytes.set(self.bytes.get() + n);
    }

    fn add_request(&self) {
        self.requests.set(self.requests.get() + 1);
    }
}

/// How long and how often a server may keep the agent waiting. Tests shorten all of it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For a connection, and for the headers of an answer.
    pub answer: Duration,
    /// Without a byte of a body.
    pub stall: Duration,
    /// Time over which a connection has to bring `drip_bytes`.
    pub drip_window: Duration,
    /// Bytes that it has to bring in that time.
    pub drip_bytes: u64,
    /// Cuts in a row without progress before the place is given up.
    pub tries: u32,
    /// Bytes between two cuts that count as progress.
    pub progress_bytes: u64,
    /// Pause after the first cut; it doubles with each.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// Redirects followed for one request.
    pub redirects: u32,
    /// Gaps between ranges that cost less than a request.
    pub gap: u64,
    /// Requests of a whole update, if nothing has to be asked for again; what is fetched last, the blocks of `/usr`, gets
    /// what the rest has left.
    pub requests: usize,
    /// The least that are for the blocks of `/usr`.
    pub usr_requests_min: usize,
    /// Requests for the blocks of the UKI.
    pub uki_requests: usize,
    /// Requests for the blocks of the hash tree.
    pub tree_requests: usize,
}

impl Limits {
    /// Returns how many requests there may be for the blocks of `/usr` after `made` for everything else.
    pub fn requests_left(&self, made: u64) -> usize {
        let made = usize::try_from(made).unwrap_or(usize::MAX);
        self.requests.saturating_sub(made).max(self.usr_requests_min)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            drip_window: Duration::from_secs(60),
            drip_bytes: 60 << 10,
            tries: 10,
            progress_bytes: 64 << 10,
            pause: Duration::from_secs(1),
            pause_max: Duration::from_secs(60),
            redirects: 5,
            gap: 8 << 10,
            requests: 195,
            usr_requests_min: 64,
            uki_requests: 44,
            tree_requests: 24,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usr_gets_the_requests_that_are_left_and_never_too_few() {
        let limits = Limits::default();
        assert_eq!(
            [0, 60, 131, 500, u64::MAX].map(|made| limits.requests_left(made)),
            [195, 135, 64, 64, 64]
        );
    }
}
