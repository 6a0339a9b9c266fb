//! What may be repeated: requests by their effect, failures by what they leave open.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Request;
use tonic::metadata::MetadataValue;

use crate::error::Error;
use crate::login::Pass;

/// What a request does, as far as asking again is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Reads, or does the same however often it is done.
    Repeatable,
    /// Writes: a second time would do something else.
    Once,
    /// Opens a stream, which stays open when the request has been answered.
    Stream,
    /// Asks a member about itself, with or without a leader.
    OfMember,
}

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every endpoint would say so, or the request may have been done.
    Final,
    /// Another endpoint may do better.
    Elsewhere,
}

/// Judges a failed attempt.
pub(crate) fn judge(effect: Effect, error: &Error) -> Verdict {
    if error.is_away() && (effect != Effect::Once || !error.is_outcome_unknown()) {
        Verdict::Elsewhere
    } else {
        Verdict::Final
    }
}

impl Effect {
    /// When an attempt that begins now is given up. What can be repeated elsewhere leaves time for it; what cannot
    /// has all the time there is.
    pub(super) fn attempt_end(self, begin: Instant, end: Instant, n_endpoints: usize) -> Instant {
        let is_shared = n_endpoints > 1 && matches!(self, Self::Repeatable | Self::Stream);
        if is_shared { begin + end.saturating_duration_since(begin) / 2 } else { end }
    }

    /// The request with its metadata.
    pub(super) fn request<Q>(self, message: Q, pass: &Pass, within: Duration) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(token) = &pass.token {
            request.metadata_mut().insert("token", token.clone());
        }
        if self != Self::OfMember {
            // A member without a leader then refuses at once, and later ends streams, where it would be silent.
            request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        }
        if self != Self::Stream {
            // etcd gives up, too, and does not work on what nobody waits for.
            request.set_timeout(within);
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout() -> Error {
        Error::Timeout { endpoint: "e".into(), within: Duration::from_secs(1) }
    }

    #[test]
    fn a_write_that_may_have_been_done_is_not_sent_again() {
        let interrupted = Error::Interrupted { endpoint: "e".into(), reason: "reset".into() };
        for error in [timeout(), interrupted] {
            assert_eq!(judge(Effect::Once, &error), Verdict::Final);
            assert_eq!(judge(Effect::Repeatable, &error), Verdict::Elsewhere);
        }
    }

    #[test]
    fn a_write_that_was_not_done_goes_elsewhere() {
        let unreachable = Error::Unreachable { tried: "e: refused".into() };
        let no_leader = Error::NoLeader { endpoint: "e".into() };
        for error in [unreachable, no_leader] {
            assert_eq!(judge(Effect::Once, &error), Verdict::Elsewhere);
        }
    }

    #[test]
    fn what_every_member_would_say_is_final() {
        for error in [Error::NoSpace, Error::LeaseGone, Error::TooLarge, Error::Compacted] {
            assert_eq!(judge(Effect::Repeatable, &error), Verdict::Final);
        }
    }

    #[test]
    fn a_read_leaves_time_for_another_endpoint_and_a_write_does_not() {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(4);
        assert_eq!(Effect::Repeatable.attempt_end(begin, end, 3), begin + Duration::from_secs(2));
        assert_eq!(Effect::Repeatable.attempt_end(begin, end, 1), end);
        assert_eq!(Effect::Once.attempt_end(begin, end, 3), end);
    }

    #[test]
    fn a_stream_has_no_time_limit_of_its_own_and_a_member_needs_no_leader() {
        let pass = Pass::default();
        let has = |effect: Effect, name: &str| {
            effect.request((), &pass, Duration::from_secs(1)).metadata().contains_key(name)
        };
        assert!(has(Effect::Stream, "hasleader") && !has(Effect::Stream, "grpc-timeout"));
        assert!(has(Effect::OfMember, "grpc-timeout") && !has(Effect::OfMember, "hasleader"));
    }
}
