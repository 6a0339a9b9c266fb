//! How a server ends, and how the next one goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::api::fake::Fake;
use crate::http::testing::{LONG, Running, Said, read_all, shown, until};
use crate::http::{Limits, Metrics, Server};
use crate::journal::Journal;

const GET: &[u8] = b"GET /fleet/v1/units HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn what_is_under_way_is_answered_and_idle_connections_end() {
    let fake = Arc::new(Fake::new());
    // Whoever is cut at the end is cut too late for this test.
    let limits = Limits { end_time: 2 * LONG, ..Limits::default() };
    let mut server = Running::unix(Arc::clone(&fake), limits).await;
    let mut idle = server.connect().await;
    fake.set_delay(Duration::from_millis(300));
    let mut busy = server.connect().await;
    busy.write_all(GET).await.unwrap();
    shown(&server.metrics, "fleet_http_connections 2\n").await;
    until("it is asked", || fake.asked() == 1).await;
    server.stop();
    let said = Said::read(&read_all(&mut busy).await);
    assert_eq!((said.status, said.body.as_str()), (200, "{}"));
    assert_eq!(read_all(&mut idle).await, "");
    server.ended().await;
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let fake = Arc::new(Fake::new());
    let limits = Limits { end_time: Duration::from_millis(200), ..Limits::default() };
    let mut server = Running::unix(Arc::clone(&fake), limits).await;
    fake.set_delay(2 * LONG);
    let mut busy = server.connect().await;
    busy.write_all(GET).await.unwrap();
    until("it is asked", || fake.asked() == 1).await;
    let started = Instant::now();
    server.stop();
    assert_eq!(read_all(&mut busy).await, "");
    server.ended().await;
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn the_next_server_answers_who_came_in_between() {
    let mut first = Running::unix(Arc::new(Fake::new()), Limits::default()).await;
    let listener = first.listener.clone();
    let path = first.socket();
    first.stop();
    first.ended().await;
    let mut between = UnixStream::connect(&path).await.unwrap();
    between.write_all(b"GET /fleet/v1/units HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let next = Server::new(Arc::new(Fake::new()), Metrics::new(), Journal::new(0), Limits::default());
    let serving = next.serve(std::slice::from_ref(&listener), std::future::pending());
    let said = tokio::select! {
        () = serving => panic!("the server ended by itself"),
        said = read_all(&mut between) => said,
    };
    assert_eq!(Said::read(&said).status, 200);
}
