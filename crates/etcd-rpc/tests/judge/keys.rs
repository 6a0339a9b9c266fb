//! Reading and writing keys.

use etcd_lab::Programs;
use etcd_rpc::{Answer, Compare, Error, OPS_MAX, Op, REQUEST_BYTES_MAX, Range, Txn};

use super::{client, one_member, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_written_read_and_deleted() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let absent = client.get("/k").await.unwrap();
    assert_eq!(absent.kv, None);
    let first = client.put("/k", "one").await.unwrap();
    let second = client.put("/k", "two").await.unwrap();
    assert_eq!((first, second), (absent.revision + 1, absent.revision + 2));
    let got = client.get("/k").await.unwrap();
    let kv = got.kv.unwrap();
    assert_eq!((kv.key.as_str(), kv.value.as_slice()), ("/k", &b"two"[..]));
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.lease), (first, second, 2, 0));
    assert_eq!(got.revision, second);
    assert!(client.delete("/k").await.unwrap());
    assert!(!client.delete("/k").await.unwrap());
    assert_eq!(client.get("/k").await.unwrap().kv, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_hold_as_they_say() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let made = client.put("/k", "one").await.unwrap();
    let written = client.put("/k", "two").await.unwrap();
    let rows = [
        (Compare::exists("/k"), true),
        (Compare::exists("/none"), false),
        (Compare::absent("/k"), false),
        (Compare::absent("/none"), true),
        (Compare::mod_revision("/k", written), true),
        (Compare::mod_revision("/k", made), false),
        (Compare::mod_revision("/none", 0), true),
        (Compare::create_revision("/k", made), true),
        (Compare::create_revision("/k", written), false),
        (Compare::value("/k", "two"), true),
        (Compare::value("/k", "one"), false),
        (Compare::value("/none", ""), false),
    ];
    for (compare, holds) in rows {
        let outcome = client.txn(Txn::new().when(compare.clone())).await.unwrap();
        assert_eq!(outcome.succeeded, holds, "{compare:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_does_one_side_whole_at_one_revision() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    client.put("/a/1", "x").await.unwrap();
    client.put("/a/2", "x").await.unwrap();
    let txn = |compare| {
        Txn::new()
            .when(Compare::exists("/a/1"))
            .when(compare)
            .then(Op::put("/b", "then"))
            .then(Op::get("/b"))
            .then(Op::delete_prefix("/a/"))
            .or_else(Op::put("/b", "else"))
            .or_else(Op::get("/none"))
    };
    let failed = client.txn(txn(Compare::exists("/none"))).await.unwrap();
    assert_eq!((failed.succeeded, failed.answers), (false, vec![Answer::Put, Answer::Got(None)]));
    let done = client.txn(txn(Compare::exists("/a/2"))).await.unwrap();
    assert!(done.succeeded);
    let [Answer::Put, Answer::Got(Some(kv)), Answer::Deleted(2)] = done.answers.as_slice() else {
        panic!("{:?}", done.answers);
    };
    assert_eq!((kv.value.as_slice(), kv.mod_revision), (&b"then"[..], done.revision));
    assert!(client.list("/a/").await.unwrap().kvs.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_many_pages_is_in_order_and_leaves_out_the_neighbours() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let keys: Vec<_> = (0..1500).map(|n| format!("/many/{n:04}")).collect();
    for keys in keys.chunks(OPS_MAX) {
        client.txn(keys.iter().fold(Txn::new(), |txn, key| txn.then(Op::put(key, "x")))).await.unwrap();
    }
    client.put("/many", "before").await.unwrap();
    let last = client.put("/many0", "behind").await.unwrap();
    let listing = client.list("/many/").await.unwrap();
    assert_eq!(listing.kvs.iter().map(|kv| kv.key.clone()).collect::<Vec<_>>(), keys);
    assert_eq!(listing.revision, last);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_the_first_ones_revision_until_it_is_compacted() {
    let Some(programs) = Programs::shipped() else { return };
    let Some(member) = one_member() else { return };
    let client = client(&member);
    for n in 0..10 {
        client.put(&format!("/p/{n}"), "old").await.unwrap();
    }
    let mut range = Range { prefix: "/p/".into(), after: None, revision: None, limit: 4 };
    let first = client.page(range.clone()).await.unwrap();
    assert_eq!((first.kvs.len(), first.more.as_deref()), (4, Some("/p/3")));
    client.put("/p/5", "new").await.unwrap();
    client.put("/p/31", "new").await.unwrap();
    range.revision = Some(first.revision);
    range.after = first.more;
    let second = client.page(range.clone()).await.unwrap();
    let seen: Vec<_> = second.kvs.iter().map(|kv| (kv.key.as_str(), kv.value.as_slice())).collect();
    assert_eq!(seen, ["/p/4", "/p/5", "/p/6", "/p/7"].map(|key| (key, &b"old"[..])));
    assert_eq!(second.revision, first.revision);
    let now = client.put("/p/5", "newer").await.unwrap();
    programs.ctl(&member, &["compact", &now.to_string()]);
    range.after = second.more;
    assert_eq!(refused(client.page(range).await), Error::Compacted);
    let future = Range { prefix: "/p/".into(), after: None, revision: Some(now + 1000), limit: 4 };
    assert_eq!(refused(client.page(future).await), Error::FutureRevision);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_larger_than_an_answer_may_be_comes_whole() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    for n in 0..70 {
        client.put(&format!("/large/{n:02}"), vec![b'x'; 1 << 20]).await.unwrap();
    }
    let listing = client.list("/large/").await.unwrap();
    assert_eq!(listing.kvs.len(), 70);
    assert!(listing.kvs.iter().all(|kv| kv.value.len() == 1 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_refused_by_its_kind_and_the_limits_are_etcds() {
    let Some(member) = one_member() else { return };
    let client = client(&member);
    let puts = |n: usize| (0..n).fold(Txn::new(), |txn, n| txn.then(Op::put(&format!("/{n}"), "x")));
    assert!(client.txn(puts(OPS_MAX)).await.is_ok());
    assert_eq!(refused(client.txn(puts(OPS_MAX + 1)).await), Error::TooManyOps);
    let sized = |n_bytes: usize| Txn::new().then(Op::put("/large", vec![b'x'; n_bytes]));
    let fits = sized(REQUEST_BYTES_MAX - 100);
    assert!(fits.n_bytes() < REQUEST_BYTES_MAX);
    assert!(client.txn(fits).await.is_ok());
    // etcd refuses the first one, gRPC before it the second.
    for n_bytes in [REQUEST_BYTES_MAX + 1, 4 << 20] {
        assert_eq!(refused(client.txn(sized(n_bytes)).await), Error::TooLarge, "{n_bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_leader_version_and_size() {
    let Some(member) = one_member() else { return };
    let status = client(&member).status().await;
    let [status] = status.as_slice() else { panic!("{status:?}") };
    let is = status.member.as_ref().unwrap();
    assert_eq!((status.endpoint.as_str(), is.leader), (member.client_url().as_str(), Some(is.id)));
    assert!(is.version.starts_with("3.") && is.database_bytes > 0 && is.used_bytes <= is.database_bytes);
    assert!(is.alarms.is_empty() && is.errors.is_empty());
}
