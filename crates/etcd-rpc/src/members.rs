//! Who belongs to the cluster.

use tonic::Request;
use tonic::transport::Channel;

use crate::calls::Effect;
use crate::client::Client;
use crate::error::Error;
use crate::generated::cluster_client::ClusterClient;
use crate::generated::{self as proto, MemberListRequest};

/// A member of the cluster, whether it runs or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: u64,
    /// Its name; empty until it has started for the first time.
    pub name: String,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; none until it has started for the first time.
    pub client_urls: Vec<String>,
    /// Whether it learns: it has no vote, and counts for no majority.
    pub is_learner: bool,
}

impl From<proto::Member> for Member {
    fn from(member: proto::Member) -> Self {
        Self {
            id: member.id,
            name: member.name,
            peer_urls: member.peer_ur_ls,
            client_urls: member.client_ur_ls,
            is_learner: member.is_learner,
        }
    }
}

impl Client {
    /// Lists the members as the cluster has agreed on them by now (linearizable), by their numbers. How each of them
    /// is says [`Client::status`] of a client whose endpoints are theirs.
    ///
    /// # Errors
    /// See [`Error`]. Without a majority there is no list.
    pub async fn member_list(&self) -> Result<Vec<Member>, Error> {
        let send = async |channel: Channel, request: Request<MemberListRequest>| {
            ClusterClient::new(channel).member_list(request).await
        };
        let request = MemberListRequest { linearizable: true };
        let answered = self.calls.call(Effect::Repeatable, request, send).await?;
        let mut members: Vec<_> = answered.answer.members.into_iter().map(Member::from).collect();
        members.sort_by_key(|member| member.id);
        Ok(members)
    }
}
