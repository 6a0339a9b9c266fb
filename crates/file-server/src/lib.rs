//! A static web server for one folder, with single ranges of bytes: small, plain, for update servers in tests
//! and on a desk.

mod answer;
mod request;

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use request::ReadError;

/// Connections that are served at once; further ones are closed.
pub const CONNECTIONS_MAX: usize = 128;
/// How long a connection may do nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause after a connection that could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such folder.
    #[error("opening the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The address is taken or not of this machine.
    #[error("listening on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A running server; it stops to accept connections when this value goes.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the files below `root`. Port 0 takes a free one. `log` gets one line for each answer.
    pub fn start(
        root: &Path,
        address: SocketAddr,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let folder = |source| StartError::Folder { path: root.to_path_buf(), source };
        let root = root.canonicalize().map_err(folder)?;
        std::fs::read_dir(&root).map_err(folder)?;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let site = Arc::new(Site { root, log: Box::new(log), n_connections: AtomicUsize::new(0) });
        let accepting = std::thread::spawn({
            let stopped = Arc::clone(&stopped);
            move || accept(&listener, &site, &stopped)
        });
        Ok(Self { address, stopped, accepting: Some(accepting) })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the folder, with a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts. An address that means "all" is reached through the loopback interface.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        // Without a connection it would not end, so that waiting for it only makes sense with one.
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            // It panics only if `log` does, which was shown then.
            let _ = accepting.join();
        }
    }
}

/// What is served, and to how many.
struct Site {
    root: PathBuf,
    log: Box<dyn Fn(&str) + Send + Sync>,
    n_connections: AtomicUsize,
}

/// Counts one connection as long as it lives.
struct Counted(Arc<Site>);

impl Counted {
    fn new(site: &Arc<Site>) -> Option<Self> {
        let earlier = site.n_connections.fetch_add(1, Ordering::SeqCst);
        let counted = Self(Arc::clone(site));
        (earlier < CONNECTIONS_MAX).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.n_connections.fetch_sub(1, Ordering::SeqCst);
    }
}

fn accept(listener: &TcpListener, site: &Arc<Site>, stopped: &AtomicBool) {
    for stream in listener.incoming() {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else {
            std::thread::sleep(PAUSE);
            continue;
        };
        let Some(counted) = Counted::new(site) else { continue };
        // A peer that goes away is the peer's affair; the log has what it was answered.
        std::thread::spawn(move || serve(&stream, &counted.0).ok());
    }
}

/// Answers one request after another.
fn serve(stream: &TcpStream, site: &Site) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = match request::read(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(ReadError::Io(err)) => return Err(err),
            Err(ReadError::Bad(why)) => {
                (site.log)(&format!("{peer} - 400 {why}"));
                return answer::refuse(stream, why);
            }
        };
        let answer = answer::find(&site.root, &request);
        (site.log)(&format!("{peer} {request} {answer}"));
        answer.write(&request, stream)?;
        if !request.keeps {
            return Ok(());
        }
    }
}
