//! Sockets that systemd gives. A process has them from its beginning, so each test runs this program once more, with
//! its socket as number 3.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use tokio::net::UnixStream;

use crate::api::Api as _;
use crate::api::fake::Fake;
use crate::http::testing::{LONG, shown};
use crate::http::{Client, Limits, Listener, Metrics, Place, Server};
use crate::journal::Journal;

/// The other half, by its full name.
const OTHER_HALF: &str = "http::tests::given::what_the_other_process_does";
/// Takes the socket from standard input to where systemd puts it; `exec` keeps the process number.
const GIVE: &str = r#"LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@" 3<&0 </dev/null"#;

fn other_process(socket: impl Into<OwnedFd>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", GIVE])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", OTHER_HALF, "--ignored", "--nocapture"])
        .env("LISTEN_FDS", "1")
        .stdin(socket.into())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Serves one answer on what was given, or says why not.
#[tokio::test]
#[ignore = "the other tests here run it in a process of its own"]
async fn what_the_other_process_does() {
    if std::env::var_os("LISTEN_PID").is_none() {
        return;
    }
    let listeners = match Listener::given(None) {
        Ok(listeners) => listeners,
        Err(err) => return println!("refused: {err}"),
    };
    println!("given: {}", listeners.len());
    assert!(Listener::given(None).unwrap().is_empty(), "they are given once");
    let fake = Arc::new(Fake::obedient(&["m1"]));
    let metrics = Metrics::new();
    let stop = shown(&metrics, r#"route="machines",method="GET",status="200"} 1"#);
    let server = Server::new(fake, metrics.clone(), Journal::new(0), Limits::default());
    server.serve(&listeners, stop).await;
}

fn said(output: &Output) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[tokio::test]
async fn a_unix_socket_is_served_and_left_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let other = other_process(socket.try_clone().unwrap()).spawn().unwrap();
    let client = Client::new(Place::Unix(path.clone()), LONG);
    assert_eq!(client.machines(None).await.unwrap().rows[0].id, "m1");
    drop(client);
    let output = tokio::task::spawn_blocking(move || other.wait_with_output().unwrap()).await.unwrap();
    assert!(said(&output).contains("given: 1"));
    // systemd listens there still, and would start the next one.
    UnixStream::connect(&path).await.unwrap();
}

#[test]
fn tcp_without_certificates_is_refused() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let said = said(&other_process(socket).output().unwrap());
    assert!(
        said.contains(&format!("refused: systemd gave a TCP socket, {address}, and no files for TLS")),
        "{said}"
    );
}

#[test]
fn a_socket_of_another_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(dir.path().join("x")).unwrap();
    let said = said(&other_process(socket).output().unwrap());
    assert!(said.contains("refused: socket 0 of LISTEN_FDS: "), "{said}");
    assert!(said.contains("fleet.socket must have ListenStream= only"), "{said}");
}
