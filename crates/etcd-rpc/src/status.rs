//! How each endpoint's member is: leader, version, space, alarms.

use tonic::Request;
use tonic::transport::Channel;

use crate::client::Client;
use crate::error::Error;
use crate::generated::maintenance_client::MaintenanceClient;
use crate::generated::{StatusRequest, StatusResponse};

/// One endpoint and what its member says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// The endpoint's URL.
    pub endpoint: String,
    /// What the member says of itself, or why it says nothing.
    pub member: Result<MemberStatus, Error>,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// The member's number.
    pub id: u64,
    /// The number of the member that it holds for the leader, if it knows one.
    pub leader: Option<u64>,
    /// Whether it learns: it has no vote, and counts for no majority.
    pub is_learner: bool,
    /// Number of the newest entry of the log that the member knows to be committed.
    pub committed_index: u64,
    /// Number of the newest entry that it has applied to its data; at most [`Self::committed_index`].
    pub applied_index: u64,
    /// etcd's version, such as `3.5.16`.
    pub version: String,
    /// The database's size on disk.
    pub database_bytes: u64,
    /// What of it is in use; the rest comes back by `etcdctl defrag`.
    pub used_bytes: u64,
    /// The size that raises the alarm; members before etcd 3.6 do not say it.
    pub quota_bytes: Option<u64>,
    /// Alarms of the cluster.
    pub alarms: Vec<Alarm>,
    /// Everything that the member finds wrong, in its words; alarms and a missing leader are among it.
    pub errors: Vec<String>,
}

/// An alarm, which holds until it is disarmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// The database is full.
    NoSpace,
    /// Members hold different data.
    Corrupt,
}

impl Client {
    /// Asks all endpoints at once, each about its own member; a majority is not needed. Endpoints in the order of the
    /// configuration.
    pub async fn status(&self) -> Vec<EndpointStatus> {
        let asked: Vec<_> = (0..self.calls.count())
            .map(|place| {
                let client = self.clone();
                tokio::spawn(async move { client.status_at(place).await })
            })
            .collect();
        let mut found = Vec::new();
        for (place, asked) in asked.into_iter().enumerate() {
            let endpoint = self.calls.url(place).to_owned();
            // The runtime ends tasks only when it ends itself.
            let member = asked.await.unwrap_or_else(|err| {
                Err(Error::Interrupted { endpoint: endpoint.clone(), reason: err.to_string() })
            });
            found.push(EndpointStatus { endpoint, member });
        }
        found
    }

    async fn status_at(&self, place: usize) -> Result<MemberStatus, Error> {
        let send = async |channel: Channel, request: Request<StatusRequest>| {
            MaintenanceClient::new(channel).status(request).await
        };
        self.calls.call_at(place, StatusRequest {}, send).await.map(MemberStatus::from)
    }
}

impl From<StatusResponse> for MemberStatus {
    fn from(status: StatusResponse) -> Self {
        let bytes = |n: i64| u64::try_from(n).unwrap_or_default();
        Self {
            id: status.header.map(|header| header.member_id).unwrap_or_default(),
            leader: Some(status.leader).filter(|leader| *leader != 0),
            is_learner: status.is_learner,
            committed_index: status.raft_index,
            applied_index: status.raft_applied_index,
            version: status.version,
            database_bytes: bytes(status.db_size),
            used_bytes: bytes(status.db_size_in_use),
            quota_bytes: Some(bytes(status.db_size_quota)).filter(|quota| *quota > 0),
            alarms: alarms(&status.errors),
            errors: status.errors,
        }
    }
}

/// Alarms among the errors, which are there as `memberID:1 alarm:NOSPACE `. Asking for alarms themselves takes a
/// majority, which may be just what is missing.
fn alarms(errors: &[String]) -> Vec<Alarm> {
    let says = |name: &str| errors.iter().any(|error| error.contains(&format!("alarm:{name}")));
    let known = [(Alarm::NoSpace, "NOSPACE"), (Alarm::Corrupt, "CORRUPT")];
    known.into_iter().filter(|(_, name)| says(name)).map(|(alarm, _)| alarm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_read_from_the_errors() {
        let errors = ["memberID:8 alarm:NOSPACE ".to_owned(), "memberID:9 alarm:NOSPACE ".to_owned()];
        assert_eq!(alarms(&errors), [Alarm::NoSpace]);
        assert_eq!(alarms(&["etcdserver: no leader".to_owned()]), []);
        assert_eq!(alarms(&["memberID:8 alarm:CORRUPT ".to_owned()]), [Alarm::Corrupt]);
    }

    #[test]
    fn the_log_and_a_missing_vote_are_read_as_the_member_says_them() {
        let status =
            StatusResponse { raft_index: 9, raft_applied_index: 7, is_learner: true, ..Default::default() };
        let status = MemberStatus::from(status);
        assert_eq!((status.committed_index, status.applied_index, status.is_learner), (9, 7, true));
    }

    #[test]
    fn a_member_without_a_leader_and_one_that_says_no_quota_leave_them_out() {
        let status =
            MemberStatus::from(StatusResponse { version: "3.5.16".into(), ..StatusResponse::default() });
        assert_eq!((status.leader, status.quota_bytes), (None, None));
        let status =
            MemberStatus::from(StatusResponse { leader: 5, db_size_quota: 9, ..StatusResponse::default() });
        assert_eq!((status.leader, status.quota_bytes), (Some(5), Some(9)));
    }
}
