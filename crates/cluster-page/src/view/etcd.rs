//! Members of etcd: from the list of members and from what each says of itself.

use std::collections::BTreeMap;

use super::{Etcd, Machine, Member, Role};
use crate::documents::{self, Endpoint, Holder};
use crate::known::Known;
use crate::source::Source;

/// Returns what is known of etcd. Without a quorum members are not listed anew, but each is still asked for itself.
pub(super) fn etcd(known: &Known) -> Option<Etcd> {
    let asked = known.sources.get(&Source::Endpoints);
    let answered = known.document(&Source::Endpoints).map(documents::endpoints);
    let listed = known.document(&Source::Members).map(documents::members);
    if answered.is_none() && listed.is_none() {
        return None;
    }
    let answered: BTreeMap<u64, Endpoint> = answered
        .into_iter()
        .flat_map(|found| found.rows)
        .map(|endpoint| (endpoint.member, endpoint))
        .collect();
    let listed = listed.map(|found| found.rows).unwrap_or_else(|| answered.values().map(unlisted).collect());
    let silent = asked.map(|heard| heard.silent.clone()).unwrap_or_default();
    let mut members: Vec<Member> =
        listed.iter().map(|listed| member(listed, answered.get(&listed.id), &silent)).collect();
    members.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let votes = members.iter().filter(|member| member.role != Role::Learner && !is_learner(&listed, member));
    let healthy = votes.clone().filter(|member| matches!(member.role, Role::Leader | Role::Follower)).count();
    let voting = votes.count();
    let leader = members.iter().find(|member| member.role == Role::Leader).map(|member| member.id.clone());
    Some(Etcd { voting, healthy, quorum: voting < healthy * 2, leader, members })
}

/// Tells whether a member is this machine's: by its name, by who locksmith says that it is, or by its address.
pub(super) fn is_on(member: &Member, machine: &Machine, holders: &[Holder]) -> bool {
    let host = member.url.as_deref().and_then(host);
    let held =
        holders.iter().find(|holder| holder.id == machine.id).and_then(|holder| holder.member.as_ref());
    member.name.as_ref() == Some(&machine.id)
        || held == Some(&member.id)
        || host.is_some() && host == machine.address.as_deref()
}

fn is_learner(listed: &[documents::Member], member: &Member) -> bool {
    listed.iter().any(|listed| listed.learner && hex(listed.id) == member.id)
}

/// A member that answered before any was listed.
fn unlisted(endpoint: &Endpoint) -> documents::Member {
    let client_urls = vec![endpoint.url.clone()];
    documents::Member { id: endpoint.member, name: String::new(), client_urls, learner: false }
}

fn member(
    listed: &documents::Member,
    answered: Option<&Endpoint>,
    silent: &BTreeMap<String, String>,
) -> Member {
    let url = listed.client_urls.first().cloned();
    let role = match answered {
        None => Role::Silent,
        Some(_) if listed.learner => Role::Learner,
        Some(endpoint) if endpoint.leader == 0 => Role::NoLeader,
        Some(endpoint) if endpoint.leader == endpoint.member => Role::Leader,
        Some(_) => Role::Follower,
    };
    let reason = || match &url {
        Some(url) => silent.get(url).cloned(),
        None => Some("it has not started yet".to_owned()),
    };
    Member {
        id: hex(listed.id),
        name: Some(listed.name.clone()).filter(|name| !name.is_empty()),
        machine: None,
        role,
        reason: if role == Role::Silent { reason() } else { None },
        version: answered.and_then(|endpoint| endpoint.version.clone()),
        url,
    }
}

fn hex(id: u64) -> String {
    format!("{id:x}")
}

/// The host of a URL, without port and brackets.
fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next()?;
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_an_address() {
        assert_eq!(host("http://10.7.0.1:2379"), Some("10.7.0.1"));
        assert_eq!(host("https://[fd00::1]:2379/x"), Some("fd00::1"));
        assert_eq!(host("10.7.0.1"), Some("10.7.0.1"));
        assert_eq!(host("http://"), Some(""));
    }
}
