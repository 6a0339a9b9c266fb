//! Members that find each other through a discovery service, which is another etcd with the v2 keys API.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use etcd_lab::{Discovery, Member, Programs, until};

use crate::one_member;

fn discovery(url: &str) -> [String; 3] {
    ["--discovery".to_owned(), url.to_owned(), "--discovery-fallback=exit".to_owned()]
}

fn token(service: &Member) -> String {
    format!("{}/v2/keys/tokens/ba09c", service.client_url())
}

fn set_size(service: &Member, size: usize) {
    let path = "/v2/keys/tokens/ba09c/_config/size";
    assert_eq!(service.client().put(path, &format!("value={size}")).unwrap().status, 201);
}

fn three_members(programs: &Programs, url: &str) -> Vec<Member> {
    let mut members: Vec<Member> = ["a", "b", "c"].map(|name| Member::new(programs, name)).into();
    members.iter_mut().for_each(|member| member.start(&discovery(url)));
    members.iter_mut().for_each(Member::wait_healthy);
    members
}

#[test]
fn three_members_form_a_cluster_from_one_url_and_a_fourth_is_told_that_it_is_full() {
    let (Some(programs), Some(mut service)) = (Programs::shipped(), one_member()) else { return };
    let url = token(&service);
    set_size(&service, 3);
    let mut members = three_members(&programs, &url);
    members[0].client().put("/v2/keys/k", "value=v").unwrap();
    for member in &members {
        let list = member.client().get("/v2/members").unwrap().json();
        assert_eq!(list["members"].as_array().unwrap().len(), 3, "{list}");
        assert_eq!(member.client().get("/v2/keys/k?quorum=true").unwrap().status, 200);
    }
    // The size is hidden; each member has its row.
    let rows = service.client().get("/v2/keys/tokens/ba09c").unwrap().json();
    assert_eq!(rows["node"]["nodes"].as_array().unwrap().len(), 3, "{rows}");

    let mut fourth = Member::new(&programs, "d");
    fourth.start(&discovery(&url));
    assert_eq!(fourth.wait_end().code(), Some(1));
    assert!(fourth.log().contains("cluster is full"), "{}", fourth.log());

    // A member with data does not ask: it starts without the service.
    service.kill();
    members[1].stop();
    members[1].clear_log();
    members[1].start(&discovery(&url));
    members[1].wait_healthy();
    assert!(!members[1].log().contains("v2discovery"), "{}", members[1].log());
}

#[test]
fn a_member_waits_for_a_discovery_service_that_is_down() {
    let Some(programs) = Programs::shipped() else { return };
    let mut service = Member::new(&programs, "service");
    let mut member = Member::new(&programs, "a");
    member.start(&discovery(&token(&service)));
    let list = service.row();
    until("the member has tried three times", || (2 < pauses(&member.log()).len()).then_some(()));
    let pauses = pauses(&member.log());
    assert!(pauses.windows(2).all(|pair| pair[0] < pair[1]), "{pauses:?}");
    service.start(&["--initial-cluster", &list]);
    service.wait_healthy();
    set_size(&service, 1);
    member.wait_healthy();
}

#[test]
fn a_token_without_a_size_ends_the_member() {
    let (Some(programs), Some(service)) = (Programs::shipped(), one_member()) else { return };
    let mut member = Member::new(&programs, "a");
    member.start(&discovery(&token(&service)));
    assert_eq!(member.wait_end().code(), Some(1));
    assert!(
        member.log().contains("failed to join discovery cluster (100: Key not found"),
        "{}",
        member.log()
    );
}

/// The pauses, in seconds, that a member announces before it asks the service again.
fn pauses(log: &str) -> Vec<u64> {
    let retries = log.lines().filter(|line| line.contains("retry"));
    let parsed = retries.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    parsed.filter_map(|line| line["backoff"].as_str()?.trim_end_matches('s').parse().ok()).collect()
}

#[test]
fn the_service_of_a_desk_has_a_token_and_names_who_came() {
    let Some(programs) = Programs::shipped() else { return };
    let dir = tempfile::tempdir().unwrap();
    let etcd = Command::new(&programs.etcd);
    let service = Discovery::start(etcd, dir.path(), Duration::from_secs(60)).unwrap();
    let unknown = service.members("ba09c").unwrap_err().to_string();
    assert!(unknown.starts_with("reading a token: the discovery service says 404 "), "{unknown}");
    service.open("ba09c", 1).unwrap();
    assert_eq!(service.members("ba09c").unwrap(), Vec::<String>::new());
    let url = service.url(Ipv4Addr::LOCALHOST, "ba09c");
    let mut member = Member::new(&programs, "a");
    member.start(&discovery(&url));
    member.wait_healthy();
    assert_eq!(service.members("ba09c").unwrap(), [member.row()]);
}
