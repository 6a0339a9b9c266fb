//! The members of etcd: which of them answer, which one is this machine's, and how far it is.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use etcd_rpc::{Client, Config, Error, Member as Listed, MemberStatus};
use locksmith_core::order::LocalEtcd;
use locksmith_core::quorum::{Health, Member, MemberId, Role};

use crate::system::Unit;

/// How long a member may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);
/// Where a member answers on its own machine, whatever its addresses for others are.
const HERE: &str = "http://127.0.0.1:2379";

/// What is known of etcd on this machine and of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// This machine's.
    pub here: LocalEtcd,
    /// All; none if nobody says who belongs to the cluster.
    pub all: Option<Vec<Member>>,
}

/// Asks who the members are, and each of them how it is. Where no etcd is wanted on this machine nobody is asked: its
/// reboot takes nothing away.
///
/// # Errors
/// When the cluster does not say who belongs to it; the caller may go on without.
pub async fn look(unit: &Unit, machine: &str, config: &Config, client: &Client) -> Result<Members, Error> {
    if !unit.is_enabled && !unit.is_up() {
        return Ok(Members { here: LocalEtcd::Absent, all: None });
    }
    let listed = client.member_list().await?;
    let asked: Vec<_> =
        listed.iter().map(|member| tokio::spawn(ask(config.clone(), member.client_urls.clone()))).collect();
    let mut said = Vec::new();
    for asked in asked {
        // A task that is gone said nothing.
        said.push(asked.await.ok().flatten());
    }
    let own = match own(&listed, machine, is_here) {
        Some(place) => Some(place),
        // It answers here under a name and addresses that tell nothing.
        None => {
            let id = ask(config.clone(), vec![HERE.to_owned()]).await.map(|status| status.id);
            listed.iter().position(|member| Some(member.id) == id)
        }
    };
    let all = listed.iter().zip(&said).map(|(member, said)| judged(member, said.as_ref())).collect();
    let here = own.and_then(|place| listed.get(place).zip(said.get(place)?.as_ref()));
    let here = here.map_or(LocalEtcd::Silent, |(member, status)| local(member, status));
    Ok(Members { here, all: Some(all) })
}

/// Whether an etcd answers at one of the endpoints, with a leader or without.
pub async fn answers(client: &Client) -> bool {
    client.status().await.iter().any(|endpoint| endpoint.member.is_ok())
}

/// Asks a member at all of its addresses at once; each that is reachable says the same.
async fn ask(config: Config, urls: Vec<String>) -> Option<MemberStatus> {
    // One that has never started has no address; one with an address that we cannot use cannot be asked.
    let client = Client::new(Config { endpoints: urls, timeout: STATUS_TIMEOUT, ..config }).ok()?;
    client.status().await.into_iter().find_map(|endpoint| endpoint.member.ok())
}

fn judged(member: &Listed, said: Option<&MemberStatus>) -> Member {
    // Another than the one that was asked answers where a proxy or a stranger has taken its address.
    let is_healthy = said.is_some_and(|status| status.id == member.id && status.leader.is_some());
    Member {
        id: MemberId(member.id),
        role: role(member.is_learner),
        health: if is_healthy { Health::Healthy } else { Health::Down },
    }
}

fn local(member: &Listed, status: &MemberStatus) -> LocalEtcd {
    if status.id != member.id {
        return LocalEtcd::Silent;
    }
    LocalEtcd::Member {
        id: MemberId(status.id),
        role: role(status.is_learner),
        has_leader: status.leader.is_some(),
        behind: status.committed_index.saturating_sub(status.applied_index),
    }
}

fn role(is_learner: bool) -> Role {
    if is_learner { Role::Learner } else { Role::Voter }
}

/// Finds this machine's member: by its name, which is the machine's id unless somebody set another, else by an address
/// that this machine has.
fn own(listed: &[Listed], machine: &str, is_here: impl Fn(IpAddr) -> bool) -> Option<usize> {
    let by_name = listed.iter().position(|member| member.name == machine);
    by_name.or_else(|| {
        listed.iter().position(|member| {
            let urls = member.peer_urls.iter().chain(&member.client_urls);
            // A loopback address is every machine's.
            urls.filter_map(|url| address(url)).any(|address| !address.is_loopback() && is_here(address))
        })
    })
}

/// The address in a URL; `None` for a name.
fn address(url: &str) -> Option<IpAddr> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (host, _) = authority.rsplit_once(':')?;
    host.trim_matches(['[', ']']).parse().ok()
}

/// Only an address of this machine can be bound.
fn is_here(address: IpAddr) -> bool {
    !address.is_unspecified() && UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: u64, name: &str, url: &str) -> Listed {
        Listed {
            id,
            name: name.to_owned(),
            peer_urls: vec![url.to_owned()],
            client_urls: Vec::new(),
            is_learner: false,
        }
    }

    fn status(id: u64) -> MemberStatus {
        MemberStatus {
            id,
            leader: Some(1),
            is_learner: false,
            committed_index: 2000,
            applied_index: 500,
            version: String::new(),
            database_bytes: 0,
            used_bytes: 0,
            quota_bytes: None,
            alarms: Vec::new(),
            errors: Vec::new(),
        }
    }

    #[test]
    fn the_own_member_has_the_machines_id_for_a_name_or_an_address_of_it() {
        let list = [
            listed(1, "m1", "http://10.0.0.1:2380"),
            listed(2, "m2", "http://10.0.0.2:2380"),
            listed(3, "x", "http://[fd00::3]:2380"),
        ];
        assert_eq!(own(&list, "m2", |_| true), Some(1));
        assert_eq!(own(&list, "m9", |address| address.to_string() == "fd00::3"), Some(2));
        assert_eq!(own(&list, "m9", |_| false), None);
        assert_eq!(own(&[listed(1, "x", "http://127.0.0.1:2380")], "m9", |_| true), None);
    }

    #[test]
    fn addresses_are_read_from_urls_and_names_are_not_asked_for() {
        assert_eq!(address("https://10.0.0.1:2380"), Some([10, 0, 0, 1].into()));
        assert_eq!(address("http://[::1]:2380/"), Some(std::net::Ipv6Addr::LOCALHOST.into()));
        assert_eq!(address("http://etcd-1.example:2380"), None);
        assert!(is_here([127, 0, 0, 1].into()) && !is_here([192, 0, 2, 77].into()));
    }

    #[test]
    fn a_member_is_healthy_if_it_answers_for_itself_and_has_a_leader() {
        let member = listed(7, "m7", "");
        let health = |said: Option<MemberStatus>| judged(&member, said.as_ref()).health;
        assert_eq!(health(Some(status(7))), Health::Healthy);
        assert_eq!(health(Some(MemberStatus { leader: None, ..status(7) })), Health::Down);
        assert_eq!(health(Some(status(8))), Health::Down);
        assert_eq!(health(None), Health::Down);
    }

    #[test]
    fn the_local_member_says_how_far_it_is() {
        let member = listed(7, "m7", "");
        let expected =
            LocalEtcd::Member { id: MemberId(7), role: Role::Voter, has_leader: true, behind: 1500 };
        assert_eq!(local(&member, &status(7)), expected);
        assert_eq!(local(&member, &status(8)), LocalEtcd::Silent);
    }
}
