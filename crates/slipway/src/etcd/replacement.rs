//! Whether a lost member may be replaced, and what its successor needs: decided from lists alone.

use std::fmt::Write;
use std::net::IpAddr;

use anyhow::{Context, bail, ensure};

use super::PAGE;
use super::member::Member;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Name or number of the lost member.
    pub old: String,
    /// Name of its successor; that of the lost one if there is none.
    pub name: Option<String>,
    /// Where members will ask the successor; where they asked the lost one if there is none.
    pub peer_url: Option<String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Who goes.
    pub old: Member,
    /// Name of who comes.
    pub name: String,
    /// Where members will ask it.
    pub peer_urls: Vec<String>,
    /// Where clients will ask it; nobody knows for another address.
    pub client_urls: Vec<String>,
}

/// Decides; `healthy` are the client URLs at which a healthy member answers.
pub fn plan(members: &[Member], healthy: &[String], wish: &Wish) -> anyhow::Result<Plan> {
    let old = find(members, &wish.old)?;
    let is_healthy = |member: &Member| member.client_urls.iter().any(|url| healthy.contains(url));
    if is_healthy(old) {
        bail!(
            "{} is healthy: only a lost member is replaced; `etcdctl member remove {}` removes a healthy one",
            old.shown(),
            old.hex()
        );
    }
    let voters: Vec<&Member> = members.iter().filter(|member| !member.is_learner).collect();
    let (n_healthy, quorum) =
        (voters.iter().filter(|member| is_healthy(member)).count(), voters.len() / 2 + 1);
    if n_healthy < quorum {
        let ill: Vec<String> =
            voters.iter().filter(|member| !is_healthy(member)).map(|member| member.shown()).collect();
        bail!(
            "{n_healthy} of {} members are healthy and {quorum} are needed to change them (ill: {}): start one of \
             these again, or see {PAGE}, `A lost majority`",
            voters.len(),
            ill.join(", ")
        );
    }
    let name = wish.name.clone().unwrap_or_else(|| old.name.clone());
    ensure!(
        !name.is_empty(),
        "{} has never started and has no name: give the new member one with --name",
        old.hex()
    );
    let peer_urls = wish.peer_url.as_ref().map_or_else(|| old.peer_urls.clone(), |url| vec![url.clone()]);
    let mut others = members.iter().filter(|member| member.id != old.id);
    if let Some(other) = others.clone().find(|member| member.name == name) {
        bail!("the name {name} is that of member {}: give the new one another with --name", other.hex());
    }
    if let Some(other) = others.find(|member| member.peer_urls.iter().any(|url| peer_urls.contains(url))) {
        bail!(
            "{} is the address of member {}: give another with --peer-url",
            peer_urls.join(","),
            other.shown()
        );
    }
    let is_same_place = peer_urls == old.peer_urls;
    let client_urls = if is_same_place { old.client_urls.clone() } else { Vec::new() };
    Ok(Plan { old: old.clone(), name, peer_urls, client_urls })
}

fn find<'a>(members: &'a [Member], wanted: &str) -> anyhow::Result<&'a Member> {
    let is_meant =
        |member: &&Member| member.name == wanted || member.hex() == wanted.trim_start_matches("0x");
    let mut found = members.iter().filter(is_meant);
    let there: Vec<String> =
        members.iter().map(|member| format!("{} ({})", member.shown(), member.hex())).collect();
    let first = found.next();
    let first =
        first.with_context(|| format!("no member is called {wanted}: there are {}", there.join(", ")))?;
    ensure!(
        found.next().is_none(),
        "several members are called {wanted}: name one by its number: {}",
        there.join(", ")
    );
    Ok(first)
}

/// Returns what the new machine starts with, once `members` has its new member, which has no name yet. `pace` are
/// options that have to be the same on all members.
pub fn cloud_config(
    members: &[Member],
    plan: &Plan,
    pace: &[(&'static str, String)],
) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for member in members {
        let is_new = member.peer_urls == plan.peer_urls;
        let name = if is_new { plan.name.clone() } else { member.shown() };
        rows.extend(member.peer_urls.iter().map(|url| format!("{name}={url}")));
    }
    let mut text = "#cloud-config\ncoreos:\n  etcd2:\n".to_owned();
    let mut line = |key: &str, value: &str| -> anyhow::Result<()> {
        // etcd listens at addresses, not at names, and whose they are the new machine knows.
        let is_named = value.split(',').any(|url| address(url).is_none());
        let comment = if key.starts_with("listen") && is_named { "# " } else { "" };
        // A text of JSON is one of YAML, whatever is in it.
        writeln!(text, "    {comment}{key}: {}", serde_json::to_string(value)?)
            .context("writing the fragment")
    };
    line("name", &plan.name)?;
    line("initial_cluster", &rows.join(","))?;
    line("initial_cluster_state", "existing")?;
    let peers = plan.peer_urls.join(",");
    line("initial_advertise_peer_urls", &peers)?;
    line("listen_peer_urls", &peers)?;
    if !plan.client_urls.is_empty() {
        line("advertise_client_urls", &plan.client_urls.join(","))?;
        line("listen_client_urls", &listened(&plan.client_urls).join(","))?;
    }
    for (key, value) in pace {
        line(key, value)?;
    }
    text.push_str("  units:\n    - name: etcd.service\n      command: start\n");
    Ok(text)
}

/// Returns where a member listens that clients ask at `urls`: on the loopback too, for programs of its own machine.
fn listened(urls: &[String]) -> Vec<String> {
    let is_local = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    let mut listened = urls.to_vec();
    if !urls.iter().filter_map(|url| address(url)).any(is_local) {
        let parts = urls.first().and_then(|url| Some((url.split_once("://")?.0, url.rsplit_once(':')?.1)));
        listened.extend(parts.map(|(scheme, port)| format!("{scheme}://127.0.0.1:{port}")));
    }
    listened
}

/// Returns the host of a URL if it is an address.
fn address(url: &str) -> Option<IpAddr> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    // A name is none.
    host.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::cloud_config::metadata::Addresses;
    use ::cloud_config::read::validate;
    use ::cloud_config::substitute::Unknown;
    use ::cloud_config::{UserData, read};
    use expect_test::{Expect, expect};

    fn member(id: u64, name: &str) -> Member {
        Member {
            id,
            name: name.to_owned(),
            peer_urls: vec![format!("http://10.0.0.{id}:2380")],
            client_urls: if name.is_empty() { vec![] } else { vec![format!("http://10.0.0.{id}:2379")] },
            is_learner: false,
        }
    }

    fn members(names: &[&str]) -> Vec<Member> {
        (1..).zip(names).map(|(id, name)| member(id, name)).collect()
    }

    fn urls(ids: &[u64]) -> Vec<String> {
        ids.iter().map(|id| format!("http://10.0.0.{id}:2379")).collect()
    }

    fn wish(old: &str) -> Wish {
        Wish { old: old.to_owned(), name: None, peer_url: None }
    }

    #[track_caller]
    fn check_refused(members: &[Member], healthy: &[u64], wish: &Wish, expected: Expect) {
        expected.assert_eq(&plan(members, &urls(healthy), wish).unwrap_err().to_string());
    }

    #[test]
    fn a_lost_member_of_three_is_replaced_in_its_place_or_elsewhere() {
        let three = members(&["a", "b", "c"]);
        let found = plan(&three, &urls(&[1, 3]), &wish("b")).unwrap();
        assert_eq!((found.old.id, found.name.as_str()), (2, "b"));
        assert_eq!((&found.peer_urls, &found.client_urls), (&three[1].peer_urls, &three[1].client_urls));
        assert_eq!(plan(&three, &urls(&[1, 3]), &wish("0x2")).unwrap(), found);
        let elsewhere = Wish {
            name: Some("d".to_owned()),
            peer_url: Some("http://10.0.0.9:2380".to_owned()),
            ..wish("b")
        };
        let found = plan(&three, &urls(&[1, 3]), &elsewhere).unwrap();
        assert_eq!((found.name.as_str(), found.client_urls.len()), ("d", 0));
        assert_eq!(found.peer_urls, ["http://10.0.0.9:2380"]);
    }

    #[test]
    fn a_healthy_member_is_not_replaced() {
        check_refused(
            &members(&["a", "b", "c"]),
            &[1, 2, 3],
            &wish("b"),
            expect![
                "b is healthy: only a lost member is replaced; `etcdctl member remove 2` removes a healthy one"
            ],
        );
    }

    #[test]
    fn an_unknown_or_ambiguous_name_is_refused_with_the_known_ones() {
        check_refused(
            &members(&["a", "b", ""]),
            &[1, 2],
            &wish("d"),
            expect!["no member is called d: there are a (1), b (2), 3 (3)"],
        );
        check_refused(
            &members(&["a", "b", "b"]),
            &[1, 2],
            &wish("b"),
            expect!["several members are called b: name one by its number: a (1), b (2), b (3)"],
        );
    }

    #[test]
    fn without_a_majority_nothing_is_changed() {
        let expected = expect![
            "1 of 3 members are healthy and 2 are needed to change them (ill: b, c): start one of these again, or see docs/operating/etcd.md, `A lost majority`"
        ];
        check_refused(&members(&["a", "b", "c"]), &[1], &wish("b"), expected);
        // One of two is no majority, nor are two of four.
        assert!(plan(&members(&["a", "b"]), &urls(&[1]), &wish("b")).is_err());
        assert!(plan(&members(&["a", "b", "c", "d"]), &urls(&[1, 2]), &wish("c")).is_err());
        plan(&members(&["a", "b", "c", "d", "e"]), &urls(&[1, 2, 3]), &wish("d")).unwrap();
    }

    #[test]
    fn a_learner_has_no_vote() {
        let mut three = members(&["a", "b", "c"]);
        three[2].is_learner = true;
        assert!(plan(&three, &urls(&[1, 3]), &wish("b")).is_err());
        plan(&three, &urls(&[1, 2]), &wish("c")).unwrap();
    }

    #[test]
    fn what_is_another_members_is_not_given_twice() {
        let three = members(&["a", "b", "c"]);
        let named = Wish { name: Some("a".to_owned()), ..wish("b") };
        check_refused(
            &three,
            &[1, 3],
            &named,
            expect!["the name a is that of member 1: give the new one another with --name"],
        );
        let placed = Wish { peer_url: Some("http://10.0.0.3:2380".to_owned()), ..wish("b") };
        check_refused(
            &three,
            &[1, 3],
            &placed,
            expect!["http://10.0.0.3:2380 is the address of member c: give another with --peer-url"],
        );
        check_refused(
            &members(&["a", "b", ""]),
            &[1, 2],
            &wish("3"),
            expect!["3 has never started and has no name: give the new member one with --name"],
        );
    }

    #[test]
    fn the_fragment_has_all_that_the_new_machine_needs() {
        let three = members(&["a", "b", "c"]);
        let plan = plan(&three, &urls(&[1, 3]), &wish("b")).unwrap();
        let mut after = members(&["a", "", "c"]);
        after[1].id = 99;
        expect![[r##"
            #cloud-config
            coreos:
              etcd2:
                name: "b"
                initial_cluster: "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380"
                initial_cluster_state: "existing"
                initial_advertise_peer_urls: "http://10.0.0.2:2380"
                listen_peer_urls: "http://10.0.0.2:2380"
                advertise_client_urls: "http://10.0.0.2:2379"
                listen_client_urls: "http://10.0.0.2:2379,http://127.0.0.1:2379"
                heartbeat_interval: "500"
              units:
                - name: etcd.service
                  command: start
        "##]]
        .assert_eq(&cloud_config(&after, &plan, &[("heartbeat_interval", "500".to_owned())]).unwrap());
    }

    #[test]
    fn a_name_is_nothing_to_listen_at() {
        let (three, wish) = (members(&["a", "b", "c"]), wish("b"));
        let wish = Wish { peer_url: Some("https://b.example:2380".to_owned()), ..wish };
        let plan = plan(&three, &urls(&[1, 3]), &wish).unwrap();
        let fragment = cloud_config(&three, &plan, &[]).unwrap();
        assert!(fragment.contains("    # listen_peer_urls: \"https://b.example:2380\"\n"), "{fragment}");
        assert_eq!(validate(fragment.as_bytes()), []);
        assert!(address("http://[fd00::1]:2380").is_some() && address("http://10.0.0.1:2380").is_some());
    }

    #[test]
    fn who_listens_on_the_loopback_or_everywhere_needs_no_second_address() {
        for (url, expected) in [
            ("http://127.0.0.1:4001", "http://127.0.0.1:4001"),
            ("http://0.0.0.0:2379", "http://0.0.0.0:2379"),
            ("https://[fd00::1]:2379", "https://[fd00::1]:2379,https://127.0.0.1:2379"),
        ] {
            assert_eq!(listened(&[url.to_owned()]).join(","), expected);
        }
    }

    #[test]
    fn the_fragment_is_a_cloud_config_that_tells_etcd_all_of_it_and_starts_it() {
        let three = members(&["a", "b", "c"]);
        let plan = plan(&three, &urls(&[1, 3]), &wish("b")).unwrap();
        let pace = [("heartbeat_interval", "500".to_owned()), ("election_timeout", "5000".to_owned())];
        let fragment = cloud_config(&three, &plan, &pace).unwrap();
        assert_eq!(validate(fragment.as_bytes()), [], "{fragment}");
        let (data, _) = read(fragment.as_bytes(), &Addresses::default(), Unknown::Refuse);
        let Some(UserData::Config(config)) = data else { panic!("{data:?}") };
        let told: Vec<_> = config.etcd.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            told,
            [
                "ADVERTISE_CLIENT_URLS=http://10.0.0.2:2379",
                "ELECTION_TIMEOUT=5000",
                "HEARTBEAT_INTERVAL=500",
                "INITIAL_ADVERTISE_PEER_URLS=http://10.0.0.2:2380",
                "INITIAL_CLUSTER=a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380",
                "INITIAL_CLUSTER_STATE=existing",
                "LISTEN_CLIENT_URLS=http://10.0.0.2:2379,http://127.0.0.1:2379",
                "LISTEN_PEER_URLS=http://10.0.0.2:2380",
                "NAME=b",
            ]
        );
        let units: Vec<_> = config.units.iter().map(|unit| (unit.name.as_str(), unit.command)).collect();
        assert_eq!(units, [("etcd.service", Some("start"))]);
    }
}
