//! One HTTPS server that is `api.github.com` and `discovery.etcd.io` to those who are led to it.
//!
//! GitHub's side answers for the keys of users; what is asked of the discovery service goes on to an etcd, whose v2
//! keys are that protocol one folder deeper.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::certificates;
use super::request::Request;

/// The names it has.
const GITHUB: &str = "api.github.com";
const DISCOVERY: &str = "discovery.etcd.io";
/// Where an etcd has what the discovery service has at its root.
const KEYS: &str = "/v2/keys";
/// A connection on which nothing is heard for so long is given up. A watch for other members waits longest.
const SILENCE: Duration = Duration::from_secs(600);

/// A running server. Accepts no more connections when this value goes.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    authority: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    tls: Arc<ServerConfig>,
    /// The keys of each user of GitHub.
    keys: BTreeMap<String, Vec<String>>,
    etcd: SocketAddr,
    github_is_silent: AtomicBool,
    is_closed: AtomicBool,
    log: Mutex<Vec<String>>,
}

impl Front {
    /// Starts a server that knows the keys of some users and leads to the etcd on a port of the loopback.
    pub fn start(keys: BTreeMap<String, Vec<String>>, etcd_port: u16) -> anyhow::Result<Self> {
        let identity = certificates::make(&[GITHUB, DISCOVERY])?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("starting the HTTPS server")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            tls: identity.server,
            keys,
            etcd: SocketAddr::from((Ipv4Addr::LOCALHOST, etcd_port)),
            github_is_silent: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            log: Mutex::default(),
        });
        let accepted = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepted.is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&accepted);
                std::thread::spawn(move || {
                    let served = client.context("accepting").and_then(|client| state.serve(client));
                    if let Err(err) = served {
                        state.note(format!("broken: {err:#}"));
                    }
                });
            }
        });
        Ok(Self { address, authority: identity.authority, state })
    }

    /// Returns its port on the host's loopback.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the certificate of the authority that vouches for it, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Takes GitHub's connections from now on and never answers, or answers again.
    pub fn silence_github(&self, is_silent: bool) {
        self.state.github_is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// Returns what was asked so far, as in `GET api.github.com/users/a/keys`, and which connections broke.
    pub fn log(&self) -> Vec<String> {
        self.state.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.state.is_closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; if that fails, it waits to the end of the program and does no harm.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn note(&self, line: String) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn serve(&self, client: TcpStream) -> anyhow::Result<()> {
        client.set_read_timeout(Some(SILENCE))?;
        let connection = ServerConnection::new(Arc::clone(&self.tls))?;
        let mut client = StreamOwned::new(connection, client);
        let request = Request::read(&mut BufReader::new(&mut client)).context("reading a request")?;
        self.note(format!("{} {}{}", request.method, request.host, request.path));
        match request.host.as_str() {
            GITHUB if self.github_is_silent.load(Ordering::SeqCst) => {
                // Until the client has enough; it may end in any way.
                let _ = io::copy(&mut client, &mut io::sink());
                return Ok(());
            }
            GITHUB => client.write_all(&self.github(&request))?,
            DISCOVERY => self.pass_on(&request, &mut client).context("asking the etcd")?,
            _ => client.write_all(&answer("421 Misdirected Request", ""))?,
        }
        client.conn.send_close_notify();
        client.flush().context("ending a connection")
    }

    fn github(&self, request: &Request) -> Vec<u8> {
        let user = request.path.strip_prefix("/users/").and_then(|rest| rest.strip_suffix("/keys"));
        match user.and_then(|user| self.keys.get(user)).filter(|_| request.method == "GET") {
            Some(keys) => {
                let keys: Vec<_> = (1..).zip(keys).map(|(id, key)| json!({"id": id, "key": key})).collect();
                answer("200 OK", &json!(keys).to_string())
            }
            None => answer("404 Not Found", r#"{"message": "Not Found"}"#),
        }
    }

    fn pass_on(&self, request: &Request, client: &mut (impl Read + Write)) -> anyhow::Result<()> {
        let mut etcd = TcpStream::connect(self.etcd)?;
        etcd.set_read_timeout(Some(SILENCE))?;
        etcd.write_all(&request.below(KEYS))?;
        let mut buffer = [0; 8 << 10];
        loop {
            // A watch answers in parts, and each is for the client at once.
            match etcd.read(&mut buffer)? {
                0 => return Ok(()),
                len => client.write_all(&buffer[..len]).and_then(|()| client.flush())?,
            }
        }
    }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let head = "content-type: application/json\r\nconnection: close";
    format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use http_get::testing::{Answer, Server};
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// A front with one user, before a server that says what it was asked.
    fn front() -> Front {
        let etcd = Server::start(|question, _| Answer::ok(question.line.clone()));
        let keys = BTreeMap::from([("ann".to_owned(), vec!["ssh-ed25519 A".to_owned()])]);
        Front::start(keys, etcd.port()).unwrap()
    }

    fn open(front: &Front, name: &'static str, path: &str) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(front.authority().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
        let mut stream = StreamOwned::new(client, TcpStream::connect(front.address).unwrap());
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n").unwrap();
        stream
    }

    fn ask(front: &Front, name: &'static str, path: &str) -> String {
        let mut text = String::new();
        open(front, name, path).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn github_knows_the_keys_of_its_users() {
        let front = front();
        let text = ask(&front, GITHUB, "/users/ann/keys");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.ends_with(r#"[{"id":1,"key":"ssh-ed25519 A"}]"#), "{text}");
        assert!(ask(&front, GITHUB, "/users/bob/keys").starts_with("HTTP/1.1 404 "));
        assert_eq!(front.log(), ["GET api.github.com/users/ann/keys", "GET api.github.com/users/bob/keys"]);
    }

    #[test]
    fn discovery_is_the_keys_of_the_etcd() {
        let text = ask(&front(), DISCOVERY, "/ba09c/_config/size");
        assert!(text.ends_with("\r\n\r\nGET /v2/keys/ba09c/_config/size"), "{text}");
    }

    #[test]
    fn a_silent_github_says_nothing_and_discovery_goes_on() {
        let front = front();
        front.silence_github(true);
        let mut silent = open(&front, GITHUB, "/users/ann/keys");
        silent.sock.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert_eq!(silent.read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(ask(&front, DISCOVERY, "/a").contains(" 200 "));
        front.silence_github(false);
        assert!(ask(&front, GITHUB, "/users/ann/keys").contains(" 200 "));
    }
}
