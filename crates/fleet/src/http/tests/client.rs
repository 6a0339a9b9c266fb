//! The client as an [`Api`]: what goes in comes out at the other end, and errors say what to do.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleet_core::model::{Hold, State};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::api::fake::Fake;
use crate::api::{Api, Error, ErrorKind, Filter, Look, MetadataChange, Move, Put, Wish};
use crate::http::client::{Dial, Ends};
use crate::http::testing::{LONG, Running, shown};
use crate::http::{Client, Limits, Place};

fn wish(content: &str, desired: State) -> Wish {
    Wish { content: Some(content.to_owned()), desired: Some(desired) }
}

async fn both() -> (Arc<Fake>, Running) {
    let fake = Arc::new(Fake::obedient(&["m1", "m2"]));
    let server = Running::unix(Arc::clone(&fake), Limits::default()).await;
    (fake, server)
}

#[tokio::test]
async fn every_answer_is_that_of_who_is_asked() {
    let (fake, server) = both().await;
    let client = server.client();
    let (name, content) = (r"a@1:x\x2d.service", "# Why.\n[Service]\nExecStart=/bin/true\n");
    assert_eq!(client.put_unit(name, wish(content, State::Launched)).await, Ok(Put::Created));
    assert_eq!(client.put_unit(name, wish(content, State::Launched)).await, Ok(Put::Kept));
    let other = "[Service]\nExecStart=/bin/false\n";
    assert_eq!(client.put_unit(name, wish(other, State::Launched)).await, Ok(Put::Replaced));
    let change = |value: Option<&str>| MetadataChange {
        machine: "m1".to_owned(),
        key: "a.b".to_owned(),
        value: value.map(str::to_owned),
    };
    client.change_metadata(vec![change(Some("a=\"b\" ä"))]).await.unwrap();
    client.hold("m2", Hold::Cordoned).await.unwrap();
    fake.set_moves(vec![Move { unit: name.to_owned(), from: "m1".to_owned(), to: "m2".to_owned() }]);

    assert_eq!(client.unit(name).await, fake.unit(name).await);
    assert_eq!(client.units(None).await, fake.units(None).await);
    let machines = client.machines(None).await;
    assert_eq!(machines, fake.machines(None).await);
    let machines = machines.unwrap().rows;
    assert_eq!(machines[0].metadata, BTreeMap::from([("a.b".to_owned(), "a=\"b\" ä".to_owned())]));
    assert_eq!(machines[1].hold.as_deref(), Some("cordoned"));
    for (machine, unit) in [(None, None), (Some("m1"), Some(name)), (Some("m2"), None)] {
        let filter = Filter { machine: machine.map(str::to_owned), unit: unit.map(str::to_owned) };
        assert_eq!(client.states(filter.clone(), None).await, fake.states(filter, None).await);
    }
    assert_eq!(client.explain(name).await, fake.explain(name).await);
    assert_eq!(client.rebalance(Look::Only).await.unwrap().len(), 1);
    assert_eq!(fake.rebalances(), 0);
    assert_eq!(client.rebalance(Look::AndDo).await.unwrap().len(), 1);
    assert_eq!(fake.rebalances(), 1);
    client.change_metadata(vec![change(None)]).await.unwrap();
    assert_eq!(fake.machines(None).await.unwrap().rows[0].metadata, BTreeMap::new());
    client.delete_unit(name).await.unwrap();
    assert_eq!(client.unit(name).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn errors_come_as_they_were_said() {
    let (fake, server) = both().await;
    let client = server.client();
    for kind in [ErrorKind::Invalid, ErrorKind::NotFound, ErrorKind::Conflict, ErrorKind::Internal] {
        let err = Error::new(kind, "wrong: \"quoted\" and ä");
        fake.set_trouble(Some(err.clone()));
        assert_eq!(client.units(None).await, Err(err));
    }
    fake.set_trouble(Some(Error::new(ErrorKind::Unavailable, "no quorum")));
    let err = client.delete_unit("a.service").await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Unavailable);
    assert_eq!(err.message, "fleet server unable to communicate with etcd: no quorum");
}

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let (_, server) = both().await;
    let opened = Arc::new(AtomicUsize::new(0));
    let client = Client::new(Place::Through(counted(&server, &opened)), LONG);
    for _ in 0..5 {
        client.units(None).await.unwrap();
        client.unit("none.service").await.unwrap_err();
    }
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn requests_at_the_same_time_do_not_wait_for_each_other() {
    let (fake, server) = both().await;
    fake.set_delay(Duration::from_millis(300));
    let opened = Arc::new(AtomicUsize::new(0));
    let client = Client::new(Place::Through(counted(&server, &opened)), Duration::from_secs(10));
    let (a, b, c) = tokio::join!(client.units(None), client.machines(None), client.units(None));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(opened.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_made_anew() {
    let fake = Arc::new(Fake::new());
    let limits = Limits { head_time: Duration::from_millis(100), ..Limits::default() };
    let server = Running::unix(fake, limits).await;
    let opened = Arc::new(AtomicUsize::new(0));
    let client = Client::new(Place::Through(counted(&server, &opened)), LONG);
    for _ in 0..3 {
        client
            .put_unit("a.service", wish("[Service]\nExecStart=/bin/true\n", State::Inactive))
            .await
            .unwrap();
        shown(&server.metrics, "fleet_http_connections 0\n").await;
        // The client hears of that too.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(opened.load(Ordering::Relaxed), 3);
}

/// Connects to a server and counts how often.
fn counted(server: &Running, opened: &Arc<AtomicUsize>) -> Dial {
    let (path, opened) = (server.socket(), Arc::clone(opened));
    Dial::new("a stream", move || {
        let path = path.clone();
        opened.fetch_add(1, Ordering::Relaxed);
        async move { Ok(Ends::of(UnixStream::connect(path).await?)) }
    })
}

#[tokio::test]
async fn a_missing_socket_says_how_to_start_fleetd() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.sock");
    let client = Client::new(Place::Unix(path.clone()), LONG);
    let err = client.units(None).await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Unreachable);
    assert!(err.message.contains("fleetd is not running: systemctl start fleet"), "{err}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let err = client.units(None).await.unwrap_err();
    assert!(err.message.contains("nobody listens"), "{err}");
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let err = Client::new(Place::Tcp(address.clone()), LONG).units(None).await.unwrap_err();
    assert!(err.message.starts_with(&format!("connecting to {address}: ")), "{err}");
    assert!(err.message.contains("--endpoint"), "{err}");
}

#[tokio::test]
async fn a_way_that_does_not_open_is_named() {
    let dial = Dial::new("core@host", || async { Err(io::Error::other("ssh ended with status 255")) });
    let err = Client::new(Place::Through(dial), LONG).units(None).await.unwrap_err();
    assert!(err.message.starts_with("connecting to core@host: ssh ended with status 255"), "{err}");
}

#[tokio::test]
async fn a_server_that_is_slow_is_not_waited_for() {
    let (fake, server) = both().await;
    fake.set_delay(LONG);
    let client = Client::new(Place::Unix(server.socket()), Duration::from_millis(200));
    let err = client.units(None).await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Unreachable);
    assert!(
        err.message.contains("no answer within 0.2 s") && err.message.contains("--request-timeout"),
        "{err}"
    );
    // The next request does not get the answer of that one.
    fake.set_delay(Duration::ZERO);
    assert_eq!(client.machines(None).await.unwrap().rows.len(), 2);
}

/// Answers every connection with these bytes and closes it.
fn stranger(answer: &'static [u8]) -> (tempfile::TempDir, Client) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.sock");
    let socket = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    (dir, Client::new(Place::Unix(path), LONG))
}

#[tokio::test]
async fn answers_that_are_none_of_fleetds_are_told() {
    for (answer, wanted) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"[..], "none of fleetd's"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"nextPageToken\":\"ZAACAA\"}", "none of fleetd's"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>", "status 502 Bad Gateway"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "did not come whole"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "the connection broke"),
        (b"", "the connection"),
    ] {
        let (_dir, client) = stranger(answer);
        let err = client.units(None).await.unwrap_err();
        assert!(err.message.contains(wanted), "{err}");
        assert!(err.message.contains("fleetd"), "{err}");
    }
}

#[tokio::test]
async fn servers_that_say_less_about_a_unit_are_understood() {
    for (answer, put) in [
        (&b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"[..], Put::Created),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Put::Kept),
        (b"HTTP/1.1 201 Created\r\nFleet-Put: replaced\r\nContent-Length: 0\r\n\r\n", Put::Replaced),
    ] {
        let (_dir, client) = stranger(answer);
        assert_eq!(client.put_unit("a.service", wish("[Service]\n", State::Inactive)).await, Ok(put));
    }
}
