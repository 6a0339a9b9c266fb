//! What can be wrong with a request to etcd: one kind for each thing that a caller does differently.

mod classify;

use std::time::Duration;

pub(crate) use classify::{classify, is_stale_token};

/// A request that failed. The text says what is wrong and ends in the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client cannot be made of this configuration.
    #[error("{0}")]
    Config(String),
    /// No endpoint could be connected to. Nothing was sent.
    #[error(
        "cannot connect to etcd ({tried}): check that etcd runs there (`systemctl status etcd`) and that the \
         endpoints are right"
    )]
    Unreachable {
        /// Each endpoint with its reason.
        tried: String,
    },
    /// TLS with an endpoint failed because of a certificate, of either side.
    #[error(
        "{endpoint}: certificates do not fit ({reason}): check that the CA is the one that signed etcd's \
         certificate, that the certificate names the endpoint's host, and that etcd trusts the client's certificate"
    )]
    Certificate {
        /// Which endpoint.
        endpoint: String,
        /// What the TLS library or the other side says.
        reason: String,
    },
    /// The member knows no leader: its cluster has no majority, or is just electing. Nothing was done.
    #[error(
        "{endpoint}: etcd has no leader: start members until a majority of them runs, and check their network \
         (docs/operating/etcd.md, \"A lost majority\" if they are gone for good)"
    )]
    NoLeader {
        /// Which endpoint.
        endpoint: String,
    },
    /// The member does not take requests now, for example because it still learns. Nothing was done.
    #[error(
        "{endpoint}: etcd takes no requests now ({reason}): try again, or name another member's endpoint"
    )]
    NotReady {
        /// Which endpoint.
        endpoint: String,
        /// What etcd says.
        reason: String,
    },
    /// No answer in time. It is not known whether a write was done.
    #[error(
        "{endpoint}: etcd did not answer within {:.1} s: check its load and its disk (`etcdctl endpoint status`, \
         `journalctl -u etcd`), or give more time", within.as_secs_f64()
    )]
    Timeout {
        /// Which endpoint was asked last.
        endpoint: String,
        /// The time that it had.
        within: Duration,
    },
    /// The connection or the member ended while the request was on its way. It is not known whether a write was done.
    #[error("{endpoint}: the request was interrupted ({reason}): read what is there now, then try again")]
    Interrupted {
        /// Which endpoint.
        endpoint: String,
        /// How it ended.
        reason: String,
    },
    /// The database is full; etcd takes deletions and reads only (alarm `NOSPACE`).
    #[error(
        "etcd's database is full (alarm NOSPACE), it takes no writes: compact and defragment it, then disarm the \
         alarm (docs/operating/etcd.md, \"Alarms\")"
    )]
    NoSpace,
    /// A member's data differs from the others' (alarm `CORRUPT`).
    #[error(
        "etcd's members hold different data (alarm CORRUPT), it takes no requests: replace the member that the \
         alarm names (docs/operating/etcd.md, \"Alarms\")"
    )]
    Corrupt,
    /// The request has more bytes than etcd takes.
    #[error(
        "the request is larger than etcd takes (1.5 MiB unless set otherwise): store less in one request"
    )]
    TooLarge,
    /// The transaction has more operations than etcd takes.
    #[error("the transaction has more than {} operations: divide it", crate::OPS_MAX)]
    TooManyOps,
    /// The answer has more bytes than this client reads.
    #[error("{endpoint}: the answer is larger than {} MiB: ask for fewer keys", crate::calls::ANSWER_BYTES_MAX >> 20)]
    AnswerTooLarge {
        /// Which endpoint.
        endpoint: String,
    },
    /// The revision asked for is no longer kept.
    #[error("the revision asked for is no longer kept by etcd (compacted): list again without a revision")]
    Compacted,
    /// The revision asked for is not there yet.
    #[error("the revision asked for is newer than etcd's data: list again without a revision")]
    FutureRevision,
    /// The lease is over: it expired, was revoked, or never was. Its keys are gone.
    #[error("the lease is over, and its keys are gone: grant a new one")]
    LeaseGone,
    /// The user may not do this, or none was named where one is needed.
    #[error(
        "etcd denied this ({reason}): name a user that has a role for these keys (`etcdctl role grant-permission`)"
    )]
    Denied {
        /// What etcd says.
        reason: String,
    },
    /// Name or password are wrong.
    #[error("etcd does not know the user `{user}` with this password: check both (`etcdctl user list`)")]
    Login {
        /// The user's name.
        user: String,
    },
    /// A page of keys ends with one that is not UTF-8, so that it cannot say where the next one begins.
    #[error(
        "the key `{key}` is not UTF-8 text: nothing of Slipway makes such a key; delete it (`etcdctl del`)"
    )]
    NotText {
        /// The key, with what is no text replaced.
        key: String,
    },
    /// Something that this client does not know.
    #[error("{endpoint}: etcd says {code}: {message}: this is not expected; see `journalctl -u etcd` there")]
    Unexpected {
        /// Which endpoint.
        endpoint: String,
        /// gRPC's code.
        code: String,
        /// etcd's words.
        message: String,
    },
}

impl Error {
    /// Whether a write that failed like this may have been done all the same.
    ///
    /// A caller then reads what is there before it writes again. For a request that only reads this means nothing.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Interrupted { .. }
            | Self::AnswerTooLarge { .. }
            | Self::Unexpected { .. } => true,
            Self::Config(_)
            | Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::NoLeader { .. }
            | Self::NotReady { .. }
            | Self::NoSpace
            | Self::Corrupt
            | Self::TooLarge
            | Self::TooManyOps
            | Self::Compacted
            | Self::FutureRevision
            | Self::LeaseGone
            | Self::Denied { .. }
            | Self::Login { .. }
            | Self::NotText { .. } => false,
        }
    }

    /// Whether the store is away: no other request would fare better now, and the same one may later.
    pub fn is_away(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Certificate { .. }
                | Self::NoLeader { .. }
                | Self::NotReady { .. }
                | Self::Timeout { .. }
                | Self::Interrupted { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_have_reached_a_leader_has_an_unknown_outcome() {
        let endpoint = "http://127.0.0.1:2379".to_owned();
        let reason = "broken pipe".to_owned();
        let interrupted = Error::Interrupted { endpoint: endpoint.clone(), reason };
        let timeout = Error::Timeout { endpoint: endpoint.clone(), within: Duration::from_secs(5) };
        assert!(interrupted.is_outcome_unknown() && timeout.is_outcome_unknown());
        let unreachable = Error::Unreachable { tried: endpoint.clone() };
        let no_leader = Error::NoLeader { endpoint };
        assert!(!unreachable.is_outcome_unknown() && !no_leader.is_outcome_unknown());
        assert!(!Error::NoSpace.is_outcome_unknown());
    }

    #[test]
    fn texts_name_the_endpoint_and_end_in_a_remedy() {
        let endpoint = "http://10.0.0.1:2379".to_owned();
        let timeout = Error::Timeout { endpoint: endpoint.clone(), within: Duration::from_millis(1500) };
        assert!(
            timeout.to_string().starts_with("http://10.0.0.1:2379: etcd did not answer within 1.5 s: check")
        );
        assert!(Error::NoLeader { endpoint }.to_string().contains("start members until a majority"));
        assert!(Error::TooManyOps.to_string().ends_with("more than 128 operations: divide it"));
    }
}
