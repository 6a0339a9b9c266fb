//! Followers of one member through restarts, hangs, compactions and restored backups.

use std::fs;
use std::process::Command;
use std::time::Duration;

use etcd_lab::{Cluster, Programs};
use etcd_rpc::{Client, Config, Error, Op, Txn};

use super::told::Told;
use super::{client, one_member, put_somehow, start_again};

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_in_order_with_a_transactions_together() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    client.put("/f/before", "x").await.unwrap();
    let mut told = Told::follow(&client, "/f/").await;
    assert_eq!(told.known.len(), 1);
    let both =
        Txn::new().then(Op::put("/f/a", "1")).then(Op::delete("/f/before")).then(Op::put("/other", "x"));
    let first = client.txn(both).await.unwrap().revision;
    let second = client.put("/f/b", "2").await.unwrap();
    told.until_holds("/f/b", "2").await;
    let mut changes = told.changes.clone();
    changes.sort();
    let wanted = [(first, "/f/a"), (first, "/f/before"), (second, "/f/b")];
    assert_eq!(changes, wanted.map(|(revision, key)| (revision, key.to_owned())));
    assert_eq!((told.n_listings, told.revision), (1, second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_killed_and_comes_back_is_followed_without_a_gap() {
    let Some(mut member) = one_member() else { return };
    let client = client(&member);
    let mut told = Told::follow(&client, "/f/").await;
    client.put("/f/a", "before").await.unwrap();
    told.until_holds("/f/a", "before").await;
    member.kill();
    told.until("the store is away", |told| !told.reasons.is_empty()).await;
    start_again(&mut member);
    put_somehow(&client, "/f/a", "after").await;
    told.until_holds("/f/a", "after").await;
    assert_eq!(told.n_listings, 1, "what was told is not told again");
    assert!(told.reasons.iter().all(Error::is_away), "{:?}", told.reasons);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_back_is_told_even_if_nothing_changed() {
    let Some(mut member) = one_member() else { return };
    let client = client(&member);
    let mut follower = client.follow("/f/");
    assert!(matches!(follower.next().await, etcd_rpc::Event::Listing { .. }));
    member.kill();
    assert!(matches!(follower.next().await, etcd_rpc::Event::Away(_)));
    start_again(&mut member);
    let event = loop {
        match follower.next().await {
            etcd_rpc::Event::Away(_) => {}
            event => break event,
        }
    };
    assert!(matches!(event, etcd_rpc::Event::Changes { changes, .. } if changes.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hangs_is_noticed() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let mut told = Told::follow(&client, "/f/").await;
    member.pause();
    told.until("the store is away", |told| !told.reasons.is_empty()).await;
    member.resume();
    put_somehow(&client, "/f/a", "after").await;
    told.until_holds("/f/a", "after").await;
    assert_eq!(told.n_listings, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_was_compacted_before_it_was_told_is_listed() {
    let Some(programs) = Programs::shipped() else { return };
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let mut told = Told::follow(&client, "/f/").await;
    // Nobody takes the events meanwhile: what does not fit between here and etcd stays there.
    let mut last = 0;
    for n in 0..600 {
        last = client.put(&format!("/f/{}", n % 7), vec![b'x'; 64 << 10]).await.unwrap();
    }
    last = last.max(client.put("/f/end", "x").await.unwrap());
    programs.ctl(&member, &["compact", &last.to_string()]);
    told.until_holds("/f/end", "x").await;
    assert_eq!((told.n_listings, told.known.len(), told.revision), (2, 8, last));
    assert!(told.reasons.is_empty(), "a gap is no absence: {:?}", told.reasons);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_prefix_is_followed_over_a_compaction_of_all_else() {
    let Some(programs) = Programs::shipped() else { return };
    let Some(mut member) = one_member() else { return };
    // A follower asks every 20 timeouts how far it is; etcd itself says so every ten minutes.
    let config = Config::new([member.client_url()], Duration::from_millis(300));
    let client = Client::new(config).unwrap();
    let mut told = Told::follow(&client, "/quiet/").await;
    let mut last = 0;
    for n in 0..20 {
        last = put_somehow(&client, "/loud", &n.to_string()).await;
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    programs.ctl(&member, &["compact", &last.to_string()]);
    member.kill();
    told.until("the store is away", |told| !told.reasons.is_empty()).await;
    start_again(&mut member);
    put_somehow(&client, "/quiet/a", "x").await;
    told.until_holds("/quiet/a", "x").await;
    assert_eq!(told.n_listings, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_listed_however_old_it_is() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 1);
    let mut member = cluster.members.pop().unwrap();
    let client = client(&member);
    client.put("/f/old", "x").await.unwrap();
    let backup = member.folder().join("backup").display().to_string();
    programs.ctl(&member, &["snapshot", "save", &backup]);
    let mut told = Told::follow(&client, "/f/").await;
    for n in 0..50 {
        client.put("/f/new", n.to_string()).await.unwrap();
    }
    told.until_holds("/f/new", "49").await;
    member.kill();
    fs::remove_dir_all(member.data_dir()).unwrap();
    let restored = Command::new(&programs.etcdctl)
        .args(["snapshot", "restore", &backup, "--name", &member.name, "--initial-cluster", &member.row()])
        .args(["--initial-advertise-peer-urls", &member.peer_url(), "--data-dir"])
        .arg(member.data_dir())
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    start_again(&mut member);
    told.until("the backup's keys", |told| told.n_listings == 2).await;
    assert_eq!(told.known.keys().collect::<Vec<_>>(), ["/f/old"]);
    put_somehow(&client, "/f/new", "again").await;
    told.until_holds("/f/new", "again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_busy_caller_did_not_take_comes_later_and_once() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let mut told = Told::follow(&client, "/f/").await;
    let mut written = Vec::new();
    for n in 0..600 {
        let key = format!("/f/{}", n % 7);
        written.push((client.put(&key, vec![b'x'; 64 << 10]).await.unwrap(), key));
    }
    let (last, _) = written[written.len() - 1];
    told.until("everything", |told| told.revision == last).await;
    assert_eq!((told.changes.as_slice(), told.n_listings), (written.as_slice(), 1));
    // etcd caught up by more in one event than fits into one of its messages, so that it came in parts.
    assert!(told.longest * (64 << 10) > 2 << 20, "the longest event has {} changes", told.longest);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_that_nobody_listens_to_hold_up_nothing_else() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    // Each of them takes what it may from their common connection, and keeps it.
    let followers: Vec<_> = (0..8).map(|_| client.follow("/f/")).collect();
    for n in 0..600 {
        client.put(&format!("/f/{}", n % 7), vec![b'x'; 64 << 10]).await.unwrap();
    }
    let lease = client.grant(Duration::from_secs(60)).await.unwrap();
    assert_eq!(client.keep_alive(lease.id).await.unwrap(), lease.ttl);
    assert_eq!(client.list("/f/").await.unwrap().kvs.len(), 7);
    drop(followers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_watch_is_not_ended_by_its_own_probes() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let mut told = Told::follow(&client, "/f/").await;
    // etcd ends a connection at the third probe that comes too early.
    tokio::time::sleep(Duration::from_secs(30)).await;
    client.put("/f/a", "x").await.unwrap();
    told.until_holds("/f/a", "x").await;
    assert!(told.reasons.is_empty(), "{:?}", told.reasons);
}
