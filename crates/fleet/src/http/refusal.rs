//! Why a request is not done: a status, and a message that ends in the remedy.

use hyper::StatusCode;

use crate::api::{Error, ErrorKind};

/// What the original said while etcd did not answer; its clients look for it.
pub const STORE_AWAY: &str = "fleet server unable to communicate with etcd";

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Status of the answer.
    pub status: StatusCode,
    /// What is wrong, and the remedy.
    pub message: String,
    /// Methods that the path has, for 405.
    pub allow: Option<String>,
}

impl Refusal {
    /// Makes one of any status but 405, which also says what is allowed.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 405, with the methods that the path has.
    pub fn method(verb: &str, path: &str, allowed: &[&str]) -> Self {
        let allow = allowed.join(", ");
        let message = if allow.is_empty() {
            format!("{verb} {path}: there is nothing to do here; the API is below /fleet/v1")
        } else {
            format!("{verb} {path}: only {allow} can be done here")
        };
        Self { status: StatusCode::METHOD_NOT_ALLOWED, message, allow: Some(allow) }
    }
}

impl From<Error> for Refusal {
    fn from(err: Error) -> Self {
        let status = match err.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unavailable | ErrorKind::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // The error of a server that this one asked says it already.
        let said = err.message.starts_with(STORE_AWAY);
        if status == StatusCode::SERVICE_UNAVAILABLE && !said {
            return Self::new(status, format!("{STORE_AWAY}: {}", err.message));
        }
        Self::new(status, err.message)
    }
}

/// Returns which kind of error a status stands for.
pub fn kind_of(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::CONFLICT => ErrorKind::Conflict,
        StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Unavailable,
        status if status.is_client_error() => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_is_told_once() {
        let away = Error::new(ErrorKind::Unavailable, "no leader: look at etcd");
        let refusal = Refusal::from(away);
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refusal.message, "fleet server unable to communicate with etcd: no leader: look at etcd");
        let again = Refusal::from(Error::new(ErrorKind::Unavailable, refusal.message.clone()));
        assert_eq!(again, refusal);
    }

    #[test]
    fn kinds_of_errors_survive_the_way_over_http() {
        use ErrorKind::{Conflict, Internal, Invalid, NotFound, Unavailable};
        for kind in [Invalid, NotFound, Conflict, Unavailable, Internal] {
            assert_eq!(kind_of(Refusal::from(Error::new(kind, "x")).status), kind);
        }
    }
}
