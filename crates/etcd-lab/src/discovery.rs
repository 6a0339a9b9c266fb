//! A discovery service: one etcd on the host's loopback, which serves the v2 keys of tokens.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::http::{Answer, Client};

/// Between two looks at whether it answers.
const LOOK: Duration = Duration::from_millis(200);
/// Lines of the log that an error shows.
const TAIL_LINES: usize = 8;
/// Name of the log, in the service's folder.
pub const LOG: &str = "etcd.log";

/// Why there is no service, or no answer of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a port or the process failed.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the host said.
        #[source]
        source: io::Error,
    },
    /// It ended, or did not answer in time.
    #[error("the discovery service did not become ready: {0}")]
    NotReady(String),
    /// It did not answer.
    #[error("{doing}")]
    Ask {
        /// What was being done.
        doing: &'static str,
        /// What failed.
        #[source]
        source: Box<ureq::Error>,
    },
    /// It answered otherwise.
    #[error("{doing}: the discovery service says {status} {body}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The answer's status.
        status: u16,
        /// The answer.
        body: String,
    },
}

/// A running service. It ends when this value goes.
#[derive(Debug)]
pub struct Discovery {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Discovery {
    /// Starts the service in an empty folder, and waits until it answers, at most `patience`. `etcd` is the program with
    /// what it needs in front of its arguments; it sees the folder under the same name.
    ///
    /// # Errors
    /// When it does not start or does not answer in time, with its last words.
    pub fn start(mut etcd: Command, dir: &Path, patience: Duration) -> Result<Self, Error> {
        // Both are held until both are known, so they differ.
        let held = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let [client, peer] = held.map(|listener| listener?.local_addr().map(|address| address.port()));
        let (port, peer) = (client.map_err(io("finding a port"))?, peer.map_err(io("finding a port"))?);
        let [client, peer] = [port, peer].map(|port| format!("http://{}:{port}", Ipv4Addr::LOCALHOST));
        let log = dir.join(LOG);
        let out = File::create(&log).map_err(io(&format!("creating {}", log.display())))?;
        let child = etcd
            .args(["--enable-v2=true", "--name=discovery", "--unsafe-no-fsync", "--data-dir"])
            .arg(dir.join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("discovery={peer}")])
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(io("sharing the log"))?)
            .stderr(out)
            .spawn()
            .map_err(io(&format!("starting {}", etcd.get_program().display())))?;
        let mut service = Self { child, port, log };
        service.wait_ready(patience)?;
        Ok(service)
    }

    /// Returns its port on the host's loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a token, as it is for those to whom this machine is `host`.
    pub fn url(&self, host: Ipv4Addr, token: &str) -> String {
        format!("http://{host}:{}/v2/keys/{token}", self.port)
    }

    /// Makes a token for a cluster of so many members.
    ///
    /// # Errors
    /// When the service does not take it.
    pub fn open(&self, token: &str, size: usize) -> Result<(), Error> {
        let path = format!("/v2/keys/{token}/_config/size");
        answer("making a token", self.client().put(&path, &format!("value={size}"))).map(drop)
    }

    /// Returns what members told, sorted: `NAME=URL` of each that is known by now.
    ///
    /// # Errors
    /// When the service does not answer, or has no such token.
    pub fn members(&self, token: &str) -> Result<Vec<String>, Error> {
        let answer = answer("reading a token", self.client().get(&format!("/v2/keys/{token}")))?;
        let nodes = answer.json();
        // There are none before the first member came.
        let nodes = nodes["node"]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut values: Vec<_> =
            nodes.iter().filter_map(|node| node["value"].as_str()).map(str::to_owned).collect();
        values.sort();
        Ok(values)
    }

    fn client(&self) -> Client {
        Client::new(&format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port))
    }

    fn wait_ready(&mut self, patience: Duration) -> Result<(), Error> {
        let end = Instant::now() + patience;
        loop {
            // Nobody listens at first.
            if self.client().get("/health").is_ok_and(|answer| answer.json()["health"] == "true") {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(io("looking at the discovery service"))?;
            if ended.is_some() || end <= Instant::now() {
                return Err(Error::NotReady(self.last_words()));
            }
            sleep(LOOK);
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_else(|err| err.to_string());
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn answer(doing: &'static str, asked: Result<Answer, ureq::Error>) -> Result<Answer, Error> {
    let answer = asked.map_err(|source| Error::Ask { doing, source: Box::new(source) })?;
    if answer.is_success() {
        return Ok(answer);
    }
    Err(Error::Refused { doing, status: answer.status, body: answer.body })
}

fn io(doing: &str) -> impl FnOnce(io::Error) -> Error + use<> {
    let doing = doing.to_owned();
    |source| Error::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_ends_at_once_is_named_with_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "echo no room; exit 1", "etcd"]);
        let err = Discovery::start(shell, dir.path(), Duration::from_secs(60)).unwrap_err();
        assert_eq!(err.to_string(), "the discovery service did not become ready: no room");
    }
}
