//! Why an answer is not taken, and whether to ask again.

use std::fmt;

/// Why a server's answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke, or it was too slow: worth another try.
    #[error("{why}")]
    Cut {
        /// What happened.
        why: String,
    },
    /// It brings bytes, but too few: worth another try, and no progress.
    #[error("{why}")]
    Drip {
        /// What happened.
        why: String,
    },
    /// The server has troubles of its own: worth another try later.
    #[error("the server answers with status {status}")]
    Busy {
        /// The status.
        status: u16,
    },
    /// The server has no such document.
    #[error("there is no {url}: the server answers with status 404")]
    Missing {
        /// What was asked for.
        url: String,
    },
    /// The server answers with something else than was asked for.
    #[error("{field}: expected {expected}, found {found}")]
    Answer {
        /// The header, or what else of the answer.
        field: &'static str,
        /// What was expected.
        expected: String,
        /// What came.
        found: String,
    },
    /// Nobody whom the machine trusts vouches for the server.
    #[error(
        "the server of {url} is not trusted: {why}; the clock has to be right, and a private authority goes into \
         /etc/slipway/ca.d/NAME.pem"
    )]
    Untrusted {
        /// What was asked for.
        url: String,
        /// What is wrong with its certificate.
        why: String,
    },
}

impl Error {
    /// Says which part of an answer is not what it should be.
    pub fn answer(field: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Answer { field, expected: expected.to_string(), found: found.to_string() }
    }

    /// Returns whether another try may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Cut { .. } | Self::Drip { .. } | Self::Busy { .. } => true,
            Self::Missing { .. } | Self::Answer { .. } | Self::Untrusted { .. } => false,
        }
    }
}
