//! Leases: keys that end when nobody renews them.

use std::fmt;
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::calls::Effect;
use crate::client::Client;
use crate::error::Error;
use crate::generated::lease_client::LeaseClient;
use crate::generated::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
};

/// The number of a lease, as etcd gave it. 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub i64);

/// A lease that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// How long it lives without being renewed. etcd may have made it longer than was asked for.
    pub ttl: Duration,
}

impl fmt::Display for LeaseId {
    /// As `etcdctl lease` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Client {
    /// Grants a lease of at least `ttl`, in whole seconds.
    ///
    /// # Errors
    /// See [`Error`]. A grant of unknown outcome leaves a lease that ends by itself.
    pub async fn grant(&self, ttl: Duration) -> Result<Lease, Error> {
        let send = async |channel: Channel, request: Request<LeaseGrantRequest>| {
            LeaseClient::new(channel).lease_grant(request).await
        };
        let request = LeaseGrantRequest { ttl: whole_seconds(ttl) };
        let answer = self.calls.call(Effect::Once, request, send).await?.answer;
        let ttl = seconds(answer.ttl).unwrap_or_default();
        Ok(Lease { id: LeaseId(answer.id), ttl })
    }

    /// Renews a lease; gives its time to live. It lives at least that long from the moment in which this was called,
    /// not from the one in which it returned.
    ///
    /// # Errors
    /// [`Error::LeaseGone`] if it is over; and see [`Error`]. After an outcome that is not known it may have been
    /// renewed or not.
    pub async fn keep_alive(&self, id: LeaseId) -> Result<Duration, Error> {
        let send = async |channel: Channel, request: Request<LeaseKeepAliveRequest>| {
            let request = request.map(tokio_stream::once);
            let mut answers = LeaseClient::new(channel).lease_keep_alive(request).await?.into_inner();
            let answer = answers.message().await?;
            let answer = answer.ok_or_else(|| Status::unavailable("no answer to the renewal"))?;
            Ok(Response::new(answer))
        };
        let request = LeaseKeepAliveRequest { id: id.0 };
        let answer = self.calls.call(Effect::Repeatable, request, send).await?.answer;
        // etcd answers that a lease is over by a time of zero.
        seconds(answer.ttl).filter(|ttl| !ttl.is_zero()).ok_or(Error::LeaseGone)
    }

    /// Ends a lease; its keys are deleted at once.
    ///
    /// # Errors
    /// [`Error::LeaseGone`] if it was over already; and see [`Error`].
    pub async fn revoke(&self, id: LeaseId) -> Result<(), Error> {
        let send = async |channel: Channel, request: Request<LeaseRevokeRequest>| {
            LeaseClient::new(channel).lease_revoke(request).await
        };
        self.calls.call(Effect::Once, LeaseRevokeRequest { id: id.0 }, send).await?;
        Ok(())
    }

    /// How long a lease lives on without being renewed: more than this, and less than a second more.
    ///
    /// # Errors
    /// [`Error::LeaseGone`] if it is over; and see [`Error`].
    pub async fn remaining(&self, id: LeaseId) -> Result<Duration, Error> {
        let send = async |channel: Channel, request: Request<LeaseTimeToLiveRequest>| {
            LeaseClient::new(channel).lease_time_to_live(request).await
        };
        let request = LeaseTimeToLiveRequest { id: id.0 };
        let answer = self.calls.call(Effect::Repeatable, request, send).await?.answer;
        // A lease that is over has -1.
        seconds(answer.ttl).ok_or(Error::LeaseGone)
    }
}

/// At least one, because etcd takes no lease of zero.
fn whole_seconds(ttl: Duration) -> i64 {
    let whole = if ttl.subsec_nanos() > 0 { ttl.as_secs().saturating_add(1) } else { ttl.as_secs() };
    i64::try_from(whole.max(1)).unwrap_or(i64::MAX)
}

fn seconds(n: i64) -> Option<Duration> {
    u64::try_from(n).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_rounded_up_and_never_zero() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(2500)), 3);
        assert_eq!(whole_seconds(Duration::from_secs(30)), 30);
    }

    #[test]
    fn a_lease_is_written_as_etcdctl_writes_it() {
        assert_eq!(LeaseId(0x694d_8a0b_1c2d_3e4f).to_string(), "694d8a0b1c2d3e4f");
        assert_eq!(LeaseId(10).to_string(), "000000000000000a");
    }
}
