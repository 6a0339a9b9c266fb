//! What tests of both sides need: an authority, and a server on a socket of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::listen::SocketFile;
use super::{Client, Limits, Listener, Metrics, Place, Server, TlsFiles};
use crate::api::Api;
use crate::journal::Journal;

/// No test waits longer.
pub const LONG: Duration = Duration::from_secs(20);

/// Makes certificates.
pub struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority of one test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    /// Makes a certificate for some names, of servers and clients.
    pub fn issue(&self, file: &str, names: &[&str]) -> TlsFiles {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let place = |end: &str| self.dir.path().join(format!("{file}{end}"));
        let files = TlsFiles {
            ca: self.dir.path().join("ca.pem"),
            certificate: place(".pem"),
            key: place("-key.pem"),
        };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

/// A server that runs.
pub struct Running {
    pub metrics: Metrics,
    pub listener: Listener,
    dir: TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Serves on a unix socket.
    pub async fn unix<A: Api>(api: Arc<A>, limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = SocketFile { path: dir.path().join("fleet.sock"), mode: 0o660, group: None };
        let listener = Listener::unix(&file).await.unwrap();
        Self::start(api, limits, listener, dir)
    }

    /// Serves on a port of loopback.
    pub async fn tls<A: Api>(api: Arc<A>, limits: Limits, files: &TlsFiles) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::tls(address, files).await.unwrap();
        Self::start(api, limits, listener, tempfile::tempdir().unwrap())
    }

    fn start<A: Api>(api: Arc<A>, limits: Limits, listener: Listener, dir: TempDir) -> Self {
        let metrics = Metrics::new();
        let server = Server::new(api, metrics.clone(), Journal::new(0), limits);
        let (stop, stopped) = oneshot::channel::<()>();
        let here = [listener.clone()];
        let task = tokio::spawn(async move {
            server
                .serve(&here, async {
                    let _ = stopped.await;
                })
                .await;
        });
        Self { metrics, listener, dir, stop: Some(stop), task }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("fleet.sock")
    }

    pub fn client(&self) -> Client {
        Client::new(Place::Unix(self.socket()), LONG)
    }

    pub async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).await.unwrap()
    }

    /// Sends these bytes over a connection of their own and returns all that is answered, until the server closes.
    pub async fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may close before it has read all.
        let _ = stream.write_all(request).await;
        read_all(&mut stream).await
    }

    /// Sends one request and returns status, head and body.
    pub async fn ask(&self, verb: &str, path: &str, headers: &str, body: &str) -> Said {
        let length = body.len();
        let request = format!(
            "{verb} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        Said::read(&self.raw(request.as_bytes()).await)
    }

    /// Puts a unit.
    pub async fn put(&self, path: &str, body: &str) -> Said {
        self.ask("PUT", path, "Content-Type: application/json\r\n", body).await
    }

    /// Tells the server to end.
    pub fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until it has ended; its folder stays.
    pub async fn ended(&mut self) {
        tokio::time::timeout(LONG, &mut self.task).await.unwrap().unwrap();
    }
}

/// Waits until something is so.
pub async fn until(what: &str, probe: impl Fn() -> bool) {
    let waiting = async {
        while !probe() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// Waits until `/metrics` shows something.
pub async fn shown(metrics: &Metrics, what: &str) {
    until(what, || metrics.text().contains(what)).await;
}

/// Reads until the other side closes; a connection that is reset is one that was cut.
pub async fn read_all(stream: &mut UnixStream) -> String {
    let mut said = Vec::new();
    let _ =
        tokio::time::timeout(LONG, stream.read_to_end(&mut said)).await.expect("the server does not close");
    String::from_utf8(said).unwrap()
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Said {
    pub fn read(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The body's JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|err| panic!("{err}: {self:?}"))
    }

    /// The message of an error, whose code must be the status.
    pub fn message(&self) -> String {
        let json = self.json();
        assert_eq!(json["error"]["code"], self.status);
        json["error"]["message"].as_str().unwrap().to_owned()
    }
}
