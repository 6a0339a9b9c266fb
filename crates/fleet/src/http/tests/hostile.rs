//! Clients that are slow, broken or greedy, and mistakes of the server itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::fake::Fake;
use crate::api::{
    Api, Error, Explanation, Filter, Look, Machine, MetadataChange, Move, Page, Put, Token, Unit, UnitState,
    Wish,
};
use crate::http::testing::{LONG, Running, Said, read_all, shown, until};
use crate::http::{Limits, MAX_BODY_BYTES};
use fleet_core::model::Hold;

const SHORT: Duration = Duration::from_millis(300);
const PUT: &str = "PUT /fleet/v1/units/a.service HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

fn hasty() -> Limits {
    Limits { head_time: SHORT, body_time: SHORT, write_time: SHORT, ..Limits::default() }
}

async fn serve(limits: Limits) -> (Arc<Fake>, Running) {
    let fake = Arc::new(Fake::new());
    let server = Running::unix(Arc::clone(&fake), limits).await;
    (fake, server)
}

#[tokio::test]
async fn a_client_that_does_not_say_anything_is_cut() {
    let (_, server) = serve(hasty()).await;
    let started = Instant::now();
    let mut silent = server.connect().await;
    read_all(&mut silent).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /fleet/v1/units HTTP/1.1\r\nHos").await.unwrap();
    read_all(&mut slow).await;
    assert!(started.elapsed() >= 2 * SHORT && started.elapsed() < LONG);
}

#[tokio::test]
async fn a_connection_that_was_used_may_not_idle_either() {
    let (_, server) = serve(hasty()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /fleet/v1/units HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(Said::read(&read_all(&mut stream).await).body, "{}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let (_, server) = serve(hasty()).await;
    let said = Said::read(&server.raw(format!("{PUT}Content-Length: 10\r\n\r\n{{").as_bytes()).await);
    assert_eq!(said.status, 408);
    assert!(said.message().contains("0.3 s"), "{said:?}");
    assert!(said.head.contains("connection: close"), "{}", said.head);
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_unit() {
    let (fake, server) = serve(Limits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(format!("{PUT}Content-Length: 100\r\n\r\n{{}}").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let said = read_all(&mut stream).await;
    assert!(said.is_empty() || Said::read(&said).status == 400, "{said}");
    assert_eq!(fake.units(None).await.unwrap().rows, []);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_413_before_it_comes() {
    let (_, server) = serve(Limits::default()).await;
    let length = MAX_BODY_BYTES + 1;
    let said = Said::read(&server.raw(format!("{PUT}Content-Length: {length}\r\n\r\n").as_bytes()).await);
    assert_eq!(said.status, 413);
    assert!(said.message().contains("1048576 bytes"), "{said:?}");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_413() {
    let (_, server) = serve(Limits { body_bytes: 1000, ..Limits::default() }).await;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(0x200));
    let said = Said::read(
        &server.raw(format!("{PUT}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}").as_bytes()).await,
    );
    assert_eq!(said.status, 413);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let (_, server) = serve(Limits::default()).await;
    let mut stream = server.connect().await;
    let head = format!("{PUT}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 21];
    tokio::time::timeout(LONG, stream.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue");
    stream.write_all(b"{}").await.unwrap();
    assert!(read_all(&mut stream).await.contains("HTTP/1.1 409 "));
}

#[tokio::test]
async fn the_longest_body_is_read() {
    let (_, server) = serve(Limits::default()).await;
    let frame = r#"{"x":""}"#.len();
    let body = format!(r#"{{"x":"{}"}}"#, "y".repeat(MAX_BODY_BYTES - frame));
    // It was read whole, because it is seen that nothing in it is wanted.
    assert_eq!(server.put("/fleet/v1/units/a.service", &body).await.status, 409);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let (_, server) = serve(Limits::default()).await;
    let header = format!("X: {}\r\n", "x".repeat(1000));
    let said = server.ask("GET", "/fleet/v1/units", &header.repeat(20), "").await;
    assert_eq!(said.status, 431);
    let said = server.ask("GET", "/fleet/v1/units", &"X: y\r\n".repeat(100), "").await;
    assert_eq!(said.status, 431);
}

#[tokio::test]
async fn what_is_no_http_is_not_answered_as_if_it_were() {
    let (_, server) = serve(Limits::default()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"HELLO\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let said = server.raw(&[garbage, b"\r\n\r\n"].concat()).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    }
    assert_eq!(server.ask("GET", "/fleet/v1/units", "", "").await.status, 200);
}

#[tokio::test]
async fn two_lengths_are_refused() {
    let (fake, server) = serve(Limits::default()).await;
    let request = format!(
        "{PUT}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}GET /fleet/v1/units HTTP/1.1\r\n\r\n"
    );
    let said = server.raw(request.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    assert_eq!(fake.units(None).await.unwrap().rows, []);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let (fake, server) = serve(hasty()).await;
    let line = "X".repeat(1000);
    let content = format!("[Service]\n{}", format!("ExecStart={line}\n").repeat(200));
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let wish = Wish { content: Some(content.clone()), desired: None };
        fake.put_unit(&format!("{name}.service"), wish).await.unwrap();
    }
    let mut stream = server.connect().await;
    stream.write_all(b"GET /fleet/v1/units HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    shown(&server.metrics, r#"fleet_http_connection_failures_total{reason="http"} 1"#).await;
    shown(&server.metrics, "fleet_http_connections 0\n").await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back() {
    let (_, server) = serve(Limits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /fleet/v1/units HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 12]).await.unwrap();
    drop(stream);
    // Sooner than it would be cut for its silence.
    shown(&server.metrics, "fleet_http_connections 0\n").await;
}

#[tokio::test]
async fn more_clients_than_places_wait_for_one() {
    let (_, server) = serve(Limits { connections: 2, ..hasty() }).await;
    let _held = [server.connect().await, server.connect().await];
    let started = Instant::now();
    // Those that hold the places are cut for their silence.
    assert_eq!(server.ask("GET", "/fleet/v1/units", "", "").await.status, 200);
    assert!(started.elapsed() >= SHORT / 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_503() {
    let (fake, server) = serve(Limits { answer_time: SHORT, ..Limits::default() }).await;
    fake.set_delay(LONG);
    let said = server.ask("GET", "/fleet/v1/units", "", "").await;
    assert_eq!(said.status, 503);
    assert!(
        said.message().starts_with("fleet server unable to communicate with etcd: no answer within 0.3 s")
    );
}

#[tokio::test]
async fn a_change_is_made_even_if_its_client_leaves() {
    let (fake, server) = serve(Limits::default()).await;
    fake.set_delay(SHORT);
    let mut stream = server.connect().await;
    let body = r#"{"content":"[Service]\nExecStart=/bin/true\n"}"#;
    stream.write_all(format!("{PUT}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    until("it is asked", || fake.asked() == 1).await;
    drop(stream);
    shown(&server.metrics, "fleet_http_connections 0\n").await;
    fake.set_delay(Duration::ZERO);
    let made = async {
        while fake.unit("a.service").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, made).await.expect("it is made");
}

/// Makes a mistake in each answer.
struct Mistaken;

impl Api for Mistaken {
    async fn units(&self, _: Option<Token>) -> Result<Page<Unit>, Error> {
        panic!("a mistake that this test wants")
    }
    async fn unit(&self, name: &str) -> Result<Unit, Error> {
        Fake::new().unit(name).await
    }
    async fn put_unit(&self, name: &str, wish: Wish) -> Result<Put, Error> {
        Fake::new().put_unit(name, wish).await
    }
    async fn delete_unit(&self, name: &str) -> Result<(), Error> {
        Fake::new().delete_unit(name).await
    }
    async fn states(&self, filter: Filter, from: Option<Token>) -> Result<Page<UnitState>, Error> {
        Fake::new().states(filter, from).await
    }
    async fn machines(&self, from: Option<Token>) -> Result<Page<Machine>, Error> {
        Fake::new().machines(from).await
    }
    async fn change_metadata(&self, changes: Vec<MetadataChange>) -> Result<(), Error> {
        Fake::new().change_metadata(changes).await
    }
    async fn hold(&self, machine: &str, hold: Hold) -> Result<(), Error> {
        Fake::new().hold(machine, hold).await
    }
    async fn explain(&self, name: &str) -> Result<Explanation, Error> {
        Fake::new().explain(name).await
    }
    async fn rebalance(&self, look: Look) -> Result<Vec<Move>, Error> {
        Fake::new().rebalance(look).await
    }
}

#[tokio::test]
async fn a_panic_is_500_and_the_server_goes_on() {
    let server = Running::unix(Arc::new(Mistaken), Limits::default()).await;
    let said = server.ask("GET", "/fleet/v1/units", "", "").await;
    assert_eq!(said.status, 500);
    assert!(said.message().contains("journalctl"), "{said:?}");
    assert_eq!(server.ask("GET", "/fleet/v1/machines", "", "").await.status, 200);
    assert!(server.metrics.text().contains("fleet_http_panics_total 1\n"));
}
