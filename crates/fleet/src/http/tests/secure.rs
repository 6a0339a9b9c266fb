//! TCP: only with certificates of the authority on both sides.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::api::fake::Fake;
use crate::api::{Api, ErrorKind};
use crate::http::testing::{Authority, LONG, Running, shown};
use crate::http::{Client, Limits, Place, TlsFiles};

async fn serve(authority: &Authority) -> (Running, String) {
    let files = authority.issue("server", &["localhost", "127.0.0.1"]);
    let server = Running::tls(Arc::new(Fake::obedient(&["m1"])), Limits::default(), &files).await;
    let port = server.listener.address().unwrap().port();
    (server, format!("127.0.0.1:{port}"))
}

fn client(authority: &str, files: &TlsFiles) -> Client {
    Client::new(Place::tls(authority, files).unwrap(), LONG)
}

#[tokio::test]
async fn a_client_of_the_authority_is_served() {
    let authority = Authority::new();
    let (_server, address) = serve(&authority).await;
    let client = client(&address, &authority.issue("client", &["client"]));
    for _ in 0..3 {
        assert_eq!(client.machines(None).await.unwrap().rows[0].id, "m1");
    }
}

#[tokio::test]
async fn a_client_of_another_authority_is_refused() {
    let authority = Authority::new();
    let (server, address) = serve(&authority).await;
    let other = Authority::new();
    let stranger = other.issue("client", &["client"]);
    // It trusts the server, but the server does not trust it.
    let files = TlsFiles { ca: authority.issue("x", &["x"]).ca, ..stranger };
    let err = client(&address, &files).machines(None).await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Unreachable);
    assert!(err.message.contains("does fleetd trust the authority of this certificate"), "{err}");
    refused(&server).await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let authority = Authority::new();
    let (server, address) = serve(&authority).await;
    let mut roots = RootCertStore::empty();
    let ca = authority.issue("x", &["x"]).ca;
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(&address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    // TLS 1.3 lets the client speak before it hears that it is refused.
    let mut said = Vec::new();
    if let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        let _ = stream.write_all(b"GET /fleet/v1/units HTTP/1.1\r\nHost: x\r\n\r\n").await;
        tokio::time::timeout(LONG, stream.read_to_end(&mut said)).await.unwrap().unwrap_err();
    }
    assert_eq!(said, b"");
    refused(&server).await;
}

#[tokio::test]
async fn a_client_does_not_speak_to_a_server_of_another_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (_server, address) = serve(&authority).await;
    let err = client(&address, &other.issue("client", &["client"])).machines(None).await.unwrap_err();
    assert!(err.message.contains("--ca-file"), "{err}");
}

#[tokio::test]
async fn a_client_does_not_speak_to_a_server_of_another_name() {
    let authority = Authority::new();
    let files = authority.issue("server", &["fleet.test"]);
    let server = Running::tls(Arc::new(Fake::new()), Limits::default(), &files).await;
    let address = format!("127.0.0.1:{}", server.listener.address().unwrap().port());
    let err = client(&address, &authority.issue("client", &["client"])).units(None).await.unwrap_err();
    assert!(err.message.contains("the certificate is for this host"), "{err}");
}

#[tokio::test]
async fn plain_http_is_not_answered() {
    let authority = Authority::new();
    let (server, address) = serve(&authority).await;
    let err = Client::new(Place::Tcp(address), LONG).units(None).await.unwrap_err();
    assert_eq!(err.kind, ErrorKind::Unreachable);
    refused(&server).await;
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_cut() {
    let authority = Authority::new();
    let files = authority.issue("server", &["127.0.0.1"]);
    let limits = Limits { head_time: Duration::from_millis(200), ..Limits::default() };
    let server = Running::tls(Arc::new(Fake::new()), limits, &files).await;
    let mut stream = TcpStream::connect(server.listener.address().unwrap()).await.unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut said)).await.unwrap();
    assert_eq!(said, b"");
    refused(&server).await;
}

#[tokio::test]
async fn new_files_are_used_for_new_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let (server, address) = serve(&old).await;
    let before = client(&address, &old.issue("client", &["client"]));
    before.units(None).await.unwrap();
    server.listener.renew(&new.issue("server", &["127.0.0.1"])).unwrap();
    client(&address, &new.issue("client", &["client"])).units(None).await.unwrap();
    client(&address, &old.issue("client", &["client"])).units(None).await.unwrap_err();
    // Its connection is from before.
    before.units(None).await.unwrap();
}

/// Waits until the server has counted one client that it refused.
async fn refused(server: &Running) {
    shown(&server.metrics, r#"fleet_http_connection_failures_total{reason="tls"} 1"#).await;
}
