//! `slipway etcd` on the etcd that we ship: backups that restore everything, a lost member that is replaced.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use etcd_lab::{Cluster, Member, Programs, until};

/// A machine whose etcd is `member`: its backups are in a folder beside the member's data.
fn slipway(programs: &Programs, member: &Member, args: &[&str]) -> Output {
    let mut path = vec![programs.etcdctl.parent().unwrap().to_path_buf()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    Command::new(env!("CARGO_BIN_EXE_slipway"))
        .arg("--root")
        .arg(member.folder())
        .args(["etcd", "--endpoint", &member.client_url(), "--data-dir"])
        .arg(member.data_dir())
        .args(args)
        .env("PATH", env::join_paths(path).unwrap())
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(out: &Output) -> String {
    assert!(out.status.success(), "{}: {}", out.status, String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(out: &Output, why: &str) {
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(1) && said.contains(why), "{}: {said}", out.status);
    assert!(out.stdout.is_empty());
}

fn backups(member: &Member) -> Vec<PathBuf> {
    let dir = member.folder().join("var/lib/slipway/etcd/backups");
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

/// Keys of both kinds: plain, hidden, in a directory, with a time to live, v3.
fn write_keys(programs: &Programs, member: &Member) {
    let client = member.client();
    let forms =
        [("plain", "value=v"), ("_hidden/k", "value=v"), ("d/e/k", "value=v"), ("ttl", "value=v&ttl=9999")];
    for (key, form) in forms {
        assert_eq!(client.put(&format!("/v2/keys/{key}"), form).unwrap().status, 201);
    }
    programs.ctl(member, &["put", "three", "v"]);
}

#[track_caller]
fn check_keys(programs: &Programs, member: &Member) {
    for key in ["plain", "_hidden/k", "d/e/k", "ttl"] {
        let read = member.client().get(&format!("/v2/keys/{key}?quorum=true")).unwrap();
        assert_eq!(read.json()["node"]["value"], "v", "{key}: {}", read.body);
    }
    let ttl = member.client().get("/v2/keys/ttl").unwrap().json()["node"]["ttl"].as_u64().unwrap();
    assert!((1..=9999).contains(&ttl), "{ttl}");
    assert_eq!(programs.ctl(member, &["get", "--print-value-only", "three"]), "v\n");
}

/// Starts a member whose data was made that of a cluster of its own.
fn start_alone(programs: &Programs, member: &mut Member) {
    let list = member.row();
    member.start(&["--initial-cluster", &list]);
    member.wait_healthy();
    let members = programs.ctl(member, &["member", "list"]);
    assert!(members.lines().count() == 1 && members.contains(&member.peer_url()), "{members}");
}

/// A member that joins with nothing of its own gets everything from the one that is there.
fn join(programs: &Programs, member: &Member) -> Member {
    let mut new = Member::new(programs, "new");
    programs.ctl(member, &["member", "add", "new", &format!("--peer-urls={}", new.peer_url())]);
    let list = format!("{},{}", member.row(), new.row());
    new.start(&["--initial-cluster", &list, "--initial-cluster-state=existing"]);
    new.wait_healthy();
    new
}

#[test]
fn a_backup_of_one_of_three_members_restores_v2_and_v3_keys() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let place = cluster.follower();
    write_keys(&programs, &cluster.members[place]);
    let said = succeeds(&slipway(&programs, &cluster.members[place], &["backup"]));
    assert!(said.contains("v3 revision 2"), "{said}");
    let made = backups(&cluster.members[place]);
    assert_eq!(made.len(), 1);
    assert!(size_on_disk(&made[0]) < 4 << 20, "a backup of five keys takes {} bytes", size_on_disk(&made[0]));
    // What comes after the backup is not in it.
    cluster.members[place].client().put("/v2/keys/later", "value=v").unwrap();

    let name = made[0].file_name().unwrap().to_str().unwrap().to_owned();
    let member = &cluster.members[place];
    refused(&slipway(&programs, member, &["restore", &name]), "`systemctl stop etcd.service` first");
    refused(&slipway(&programs, member, &["restore", "19990101T000000Z"]), &name);
    cluster.members.iter_mut().for_each(Member::kill);
    let peer_url = cluster.members[place].peer_url();
    let restore = ["restore", &name, "--peer-url", &peer_url];
    let said = succeeds(&slipway(&programs, &cluster.members[place], &restore));
    assert!(said.contains("kept what was there"), "{said}");
    start_alone(&programs, &mut cluster.members[place]);
    check_keys(&programs, &cluster.members[place]);
    assert_eq!(cluster.members[place].client().get("/v2/keys/later").unwrap().status, 404);
    check_keys(&programs, &join(&programs, &cluster.members[place]));
}

/// A member that wrote states of its own, whose log begins behind the first changes; and one that was restored before.
#[test]
fn a_backup_of_a_log_that_begins_late_restores_all_keys_again_and_again() {
    let Some(programs) = Programs::shipped() else { return };
    let mut member = Member::new(&programs, "m1");
    let list = member.row();
    member.start(&["--initial-cluster", &list, "--snapshot-count=20"]);
    member.wait_healthy();
    write_keys(&programs, &member);
    for n in 0..60 {
        assert_eq!(member.client().put(&format!("/v2/keys/many/{n}"), "value=v").unwrap().status, 201);
    }
    until("the member wrote a state of its own", || {
        let names =
            fs::read_dir(member.data_dir().join("member/snap")).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|end| end == "snap")).nth(1)
    });
    let peer_url = member.peer_url();
    for round in 1..=2 {
        succeeds(&slipway(&programs, &member, &["backup"]));
        let mut made = backups(&member);
        made.sort();
        assert_eq!(made.len(), round);
        let newest = made[round - 1].to_str().unwrap().to_owned();
        member.stop();
        succeeds(&slipway(&programs, &member, &["restore", &newest, "--peer-url", &peer_url]));
        start_alone(&programs, &mut member);
        check_keys(&programs, &member);
        let many = member.client().get("/v2/keys/many").unwrap().json();
        assert_eq!(many["node"]["nodes"].as_array().unwrap().len(), 60);
    }
    check_keys(&programs, &join(&programs, &member));
}

#[test]
fn the_survivor_of_a_lost_majority_goes_on_alone_with_all_data() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    write_keys(&programs, &cluster.members[0]);
    until("the survivor has the last key", || {
        // Without a majority: what this member has by itself.
        let found = programs.ctl(&cluster.members[2], &["get", "--consistency=s", "three"]);
        (!found.is_empty()).then_some(())
    });
    cluster.members[..2].iter_mut().for_each(Member::kill);
    let survivor = &mut cluster.members[2];
    survivor.stop();
    let alone = ["alone", "--peer-url", &survivor.peer_url()];
    succeeds(&slipway(&programs, survivor, &alone));
    start_alone(&programs, survivor);
    check_keys(&programs, survivor);
    check_keys(&programs, &join(&programs, survivor));
}

/// A value of a printed cloud-config.
#[track_caller]
fn value(fragment: &str, key: &str) -> String {
    let line = fragment.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
    serde_json::from_str(line.unwrap()).unwrap()
}

fn start_as_told(member: &mut Member, fragment: &str) {
    let state = format!("--initial-cluster-state={}", value(fragment, "initial_cluster_state"));
    member.start(&["--initial-cluster".to_owned(), value(fragment, "initial_cluster"), state]);
}

#[test]
fn a_lost_member_is_replaced_in_its_place_by_a_blank_one() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let (healthy, lost) = (cluster.leader(0), cluster.follower());
    write_keys(&programs, &cluster.members[healthy]);
    cluster.members[lost].kill();
    fs::remove_dir_all(cluster.members[lost].data_dir()).unwrap();
    let old = cluster.members[lost].name.clone();
    let fragment = until("the cluster lets itself be changed", || {
        let out = slipway(&programs, &cluster.members[healthy], &["replace", &old]);
        out.status.success().then(|| String::from_utf8(out.stdout).unwrap())
    });
    let new = &mut cluster.members[lost];
    let expected = [old, new.peer_url(), new.peer_url(), new.client_url(), new.client_url()];
    let keys = [
        "name",
        "initial_advertise_peer_urls",
        "listen_peer_urls",
        "advertise_client_urls",
        "listen_client_urls",
    ];
    assert_eq!(keys.map(|key| value(&fragment, key)), expected);
    start_as_told(new, &fragment);
    new.wait_healthy();
    check_keys(&programs, new);
    assert_eq!(programs.ctl(new, &["member", "list"]).lines().count(), 3);
}

#[test]
fn a_lost_member_is_replaced_while_writes_go_on() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let healthy = cluster.leader(0);
    let lost = cluster.follower();
    let old = cluster.members[lost].name.clone();
    refused(&slipway(&programs, &cluster.members[healthy], &["replace", &old]), "is healthy");
    refused(
        &slipway(&programs, &cluster.members[healthy], &["replace", "nobody"]),
        "no member is called nobody",
    );
    cluster.members[lost].kill();
    let client = cluster.members[healthy].client();
    let write = |n: usize| client.put(&format!("/v2/keys/k{n}"), "value=v").unwrap().status;
    assert!((0..20).all(|n| write(n) == 201));

    let mut new = Member::new(&programs, "successor");
    let args = ["replace", &old, "--name", "successor", "--peer-url", &new.peer_url()];
    let fragment = until("the cluster lets itself be changed", || {
        let out = slipway(&programs, &cluster.members[healthy], &args);
        out.status.success().then(|| String::from_utf8(out.stdout).unwrap())
    });
    assert!((20..40).all(|n| write(n) == 201));
    assert!(fragment.starts_with("#cloud-config\n"), "{fragment}");
    assert_eq!(
        (value(&fragment, "name"), value(&fragment, "initial_advertise_peer_urls")),
        (new.name.clone(), new.peer_url())
    );
    start_as_told(&mut new, &fragment);
    new.wait_healthy();
    assert!((40..60).all(|n| write(n) == 201));
    for n in 0..60 {
        let read = new.client().get(&format!("/v2/keys/k{n}?quorum=true")).unwrap();
        assert_eq!(read.status, 200, "k{n}: {}", read.body);
    }
    let list = programs.ctl(&new, &["member", "list"]);
    assert!(list.lines().count() == 3 && !list.contains(&format!(" {old},")), "{list}");
}

#[test]
fn without_a_majority_a_replacement_is_refused_with_the_remedy() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    cluster.members[1].kill();
    cluster.members[2].kill();
    refused(&slipway(&programs, &cluster.members[0], &["replace", "m2"]), "`A lost majority`");
}

#[test]
fn an_etcd_that_is_full_fails_the_check_until_it_is_dealt_with() {
    let Some(programs) = Programs::shipped() else { return };
    let mut member = Member::new(&programs, "small");
    let list = member.row();
    member.start(&["--initial-cluster", &list, "--quota-backend-bytes=2097152"]);
    member.wait_healthy();
    succeeds(&slipway(&programs, &member, &["check"]));
    let value = "x".repeat(100_000);
    until("etcd is full", || {
        let endpoint = format!("--endpoints={}", member.client_url());
        let out = Command::new(&programs.etcdctl).args([&endpoint, "put", "k", &value]).output().unwrap();
        (!out.status.success()).then_some(())
    });
    refused(
        &slipway(&programs, &member, &["check"]),
        "(NOSPACE), etcd refuses writes: docs/operating/etcd.md",
    );
    // What the page says under `Alarms`.
    let status = programs.ctl(&member, &["endpoint", "status", "--write-out=json"]);
    let revision = status.split("\"revision\":").nth(1).unwrap().split([',', '}']).next().unwrap().to_owned();
    programs.ctl(&member, &["compact", &revision]);
    programs.ctl(&member, &["defrag"]);
    programs.ctl(&member, &["alarm", "disarm"]);
    succeeds(&slipway(&programs, &member, &["check"]));
    programs.ctl(&member, &["put", "k", "v"]);
}

fn size_on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => size_on_disk(&entry.path()),
        false => entry.metadata().unwrap().blocks() * 512,
    });
    sizes.sum()
}
