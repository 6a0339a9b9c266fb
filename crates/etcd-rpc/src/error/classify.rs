//! From gRPC's answers to [`Error`]: by etcd's words where it answered, by the chain of causes where nobody did.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};

use super::Error;

/// How TLS libraries begin what they say about a certificate: ours about etcd's, etcd's about ours.
const CERTIFICATE_SIGNS: [&str; 3] = ["invalid peer certificate", "received fatal alert", "bad certificate"];

/// What a failed request to `endpoint`, which had the time `within`, means.
pub(crate) fn classify(endpoint: &str, within: Duration, status: &Status) -> Error {
    let endpoint = endpoint.to_owned();
    if let Some(source) = status.source() {
        return broken(endpoint, within, status, source);
    }
    let message = status.message();
    let says = |words: &str| message.contains(words);
    if says("request timed out")
        || status.code() == Code::DeadlineExceeded
        || says("context deadline exceeded")
    {
        Error::Timeout { endpoint, within }
    } else if says("etcdserver: no leader") {
        Error::NoLeader { endpoint }
    } else if says("leader changed") || says("server stopped") {
        Error::Interrupted { endpoint, reason: message.to_owned() }
    } else if says("database space exceeded") {
        Error::NoSpace
    } else if says("corrupt cluster") {
        Error::Corrupt
    } else if says("request is too large") || says("received message larger than max") {
        Error::TooLarge
    } else if says("too many operations") {
        Error::TooManyOps
    } else if says("required revision has been compacted") {
        Error::Compacted
    } else if says("required revision is a future revision") {
        Error::FutureRevision
    } else if says("requested lease not found") {
        Error::LeaseGone
    } else if is_denied(status) {
        Error::Denied { reason: message.to_owned() }
    } else if is_not_ready(message) {
        Error::NotReady { endpoint, reason: message.to_owned() }
    } else if says("decoded message length too large") {
        Error::AnswerTooLarge { endpoint }
    } else if matches!(status.code(), Code::Unavailable | Code::Cancelled) {
        Error::Interrupted { endpoint, reason: message.to_owned() }
    } else {
        Error::Unexpected { endpoint, code: format!("{:?}", status.code()), message: message.to_owned() }
    }
}

/// Whether a token is no longer valid, or was needed and not there: a new login may help. Nothing was done.
pub(crate) fn is_stale_token(status: &Status) -> bool {
    status.source().is_none()
        && [
            "invalid auth token",
            "revision in header is old",
            "revision of auth store is old",
            "user name is empty",
        ]
        .iter()
        .any(|words| status.message().contains(words))
}

fn is_denied(status: &Status) -> bool {
    matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated)
        || status.message().contains("permission denied")
        || is_stale_token(status)
}

fn is_not_ready(message: &str) -> bool {
    ["not capable", "not supported for learner", "unhealthy cluster", "too many requests", "proposal dropped"]
        .iter()
        .any(|words| message.contains(words))
}

/// An error that etcd did not send: the connection could not be made, or broke.
fn broken(endpoint: String, within: Duration, status: &Status, source: &(dyn StdError + 'static)) -> Error {
    let causes = causes(source);
    let reason = causes.last().cloned().unwrap_or_else(|| status.message().to_owned());
    let is_certificate = |text: &String| CERTIFICATE_SIGNS.iter().any(|sign| text.contains(sign));
    if let Some(reason) = causes.iter().rev().find(|text| is_certificate(text)) {
        Error::Certificate { endpoint, reason: reason.clone() }
    } else if never_connected(source) {
        Error::Unreachable { tried: format!("{endpoint}: {reason}") }
    } else if status.message().contains("Timeout expired") {
        Error::Timeout { endpoint, within }
    } else {
        Error::Interrupted { endpoint, reason }
    }
}

fn never_connected(source: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(source);
    while let Some(error) = next {
        if error.is::<ConnectError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// The texts of an error and its causes. An I/O error's own cause is not among what `source` walks over.
fn causes(source: &(dyn StdError + 'static)) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = Some(source);
    while let Some(error) = next {
        texts.push(error.to_string());
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            texts.push(inner.to_string());
        }
        next = error.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(1);

    fn of(code: Code, message: &str) -> Error {
        classify("e", WITHIN, &Status::new(code, message))
    }

    #[test]
    fn knows_what_etcd_says() {
        let endpoint = || "e".to_owned();
        let rows = [
            (Code::Unavailable, "etcdserver: no leader", Error::NoLeader { endpoint: endpoint() }),
            (
                Code::Unavailable,
                "etcdserver: request timed out, possibly due to previous leader failure",
                Error::Timeout { endpoint: endpoint(), within: WITHIN },
            ),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", Error::NoSpace),
            (Code::DataLoss, "etcdserver: corrupt cluster", Error::Corrupt),
            (Code::InvalidArgument, "etcdserver: request is too large", Error::TooLarge),
            (Code::ResourceExhausted, "grpc: received message larger than max (3 vs. 2)", Error::TooLarge),
            (Code::InvalidArgument, "etcdserver: too many operations in txn request", Error::TooManyOps),
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", Error::Compacted),
            (
                Code::OutOfRange,
                "etcdserver: mvcc: required revision is a future revision",
                Error::FutureRevision,
            ),
            (Code::NotFound, "etcdserver: requested lease not found", Error::LeaseGone),
            (
                Code::PermissionDenied,
                "etcdserver: permission denied",
                Error::Denied { reason: "etcdserver: permission denied".to_owned() },
            ),
            (
                Code::Unavailable,
                "etcdserver: rpc not supported for learner",
                Error::NotReady {
                    endpoint: endpoint(),
                    reason: "etcdserver: rpc not supported for learner".to_owned(),
                },
            ),
            (
                Code::Unavailable,
                "etcdserver: leader changed",
                Error::Interrupted { endpoint: endpoint(), reason: "etcdserver: leader changed".to_owned() },
            ),
        ];
        for (code, message, wanted) in rows {
            assert_eq!(of(code, message), wanted, "{message}");
        }
    }

    #[test]
    fn an_unknown_answer_keeps_its_words() {
        let Error::Unexpected { code, message, .. } = of(Code::Internal, "etcdserver: new trouble") else {
            panic!("not unexpected");
        };
        assert_eq!([code.as_str(), message.as_str()], ["Internal", "etcdserver: new trouble"]);
    }

    #[test]
    fn a_stale_token_is_told_from_a_missing_permission() {
        assert!(is_stale_token(&Status::new(Code::Unauthenticated, "etcdserver: invalid auth token")));
        assert!(!is_stale_token(&Status::new(Code::PermissionDenied, "etcdserver: permission denied")));
    }

    #[test]
    fn a_refused_connection_was_never_sent_anything() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let status = Status::from_error(Box::new(ConnectError(Box::new(refused))));
        assert!(
            matches!(classify("e", WITHIN, &status), Error::Unreachable { tried } if tried.starts_with("e: "))
        );
    }

    #[test]
    fn a_certificate_is_found_below_an_input_error() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer");
        let status = Status::from_error(Box::new(ConnectError(Box::new(inner))));
        let Error::Certificate { reason, .. } = classify("e", WITHIN, &status) else {
            panic!("not a certificate")
        };
        assert_eq!(reason, "invalid peer certificate: UnknownIssuer");
    }

    #[test]
    fn a_broken_connection_leaves_the_outcome_open() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        let error = classify("e", WITHIN, &Status::from_error(Box::new(broken)));
        assert!(matches!(error, Error::Interrupted { .. }) && error.is_outcome_unknown());
    }
}
