//! HTTPS: a server of the administrator's own authority is trusted once that is on the machine, and not before.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../uki/tests/support/images.rs"]
mod images;
#[path = "support/machine.rs"]
mod machines;
#[path = "support/releases.rs"]
mod releases;
#[path = "support/server.rs"]
mod server;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::spawn;

use machines::{Machine, limits, machine};
use releases::{channel, key, payload, release, sealed_channel};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use server::Server;
use update_agent::command::check;
use update_agent::command::print::Format;

const AUTHORITY: &str = include_str!("data/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("data/server.pem");
const KEY: &[u8] = include_bytes!("data/server.key");

/// Puts TLS before a plain server and returns the new URL.
fn with_tls(server: &Server) -> String {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let plain = server.url.strip_prefix("http://").unwrap().to_owned();
    spawn(move || {
        for stream in listener.incoming() {
            let tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream.unwrap());
            let plain = TcpStream::connect(&plain).unwrap();
            // A client that does not trust the server leaves: no failure of the test.
            spawn(move || relay(tls, plain).ok());
        }
    });
    url
}

/// Hands one request on, and the answer back; the connection ends with it.
fn relay(mut tls: StreamOwned<ServerConnection, TcpStream>, mut plain: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    plain.write_all(&request)?;
    plain.shutdown(std::net::Shutdown::Write)?;
    std::io::copy(&mut plain, &mut tls)?;
    tls.conn.send_close_notify();
    tls.flush()
}

fn apply(machine: &Machine) -> anyhow::Result<()> {
    check::apply(&machine.tree.host, &limits(), None, Format::Text).map(drop)
}

#[test]
fn a_private_authority_is_trusted_when_it_is_on_the_machine() {
    let (one, two) = (release("1.0.0", 0..0), release("2.0.0", 0..300));
    let (machine, server) = (machine(&one), Server::start());
    let (manifest, bytes) = payload(&two, &[key(1)]);
    server.put("/p/2.0.0.payload", bytes);
    server.put("/channels/stable.channel", sealed_channel(&channel(&manifest, 1), &[key(1)]));
    machine.use_server(&with_tls(&server));

    let err = format!("{:#}", apply(&machine).unwrap_err());
    assert!(err.contains("is not trusted: UnknownIssuer; the clock"), "{err}");
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi"]);
    assert_eq!(server.take_log().0, Vec::<String>::new());

    machine.tree.file("/etc/slipway/ca.d/site.pem", AUTHORITY);
    apply(&machine).unwrap();
    assert!(machine.partition(4).starts_with(&two.usr));
    assert_eq!(machine.entry_names(), ["slipway_1.0.0.efi", "slipway_2.0.0+3.efi"]);
}
