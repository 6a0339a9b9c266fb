//! Where the server listens: unix sockets, given by systemd or made here, and TCP with TLS of both sides.

mod socket_file;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use listenfd::ListenFd;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::tls::{self, TlsError, TlsFiles};
use socket_file::Bound;
pub use socket_file::SocketFile;

/// A place to listen at. Copies are the same place: a server that ends leaves it open for the next one.
#[derive(Debug, Clone)]
pub struct Listener(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    Unix(UnixListener, Source),
    /// What TLS needs can be read anew, for the connections that come after.
    Tls(TcpListener, RwLock<Arc<ServerConfig>>),
}

/// Who made a socket.
#[derive(Debug)]
enum Source {
    Systemd,
    Us(Bound),
}

/// A connection.
#[derive(Debug)]
pub(super) enum Accepted {
    Unix(UnixStream),
    Tls(TcpStream, SocketAddr, Arc<ServerConfig>),
}

/// Why it cannot be listened.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// A socket whose file cannot be made.
    #[error("making the socket {}: {err}", .path.display())]
    SocketFile {
        /// Where.
        path: PathBuf,
        /// Why.
        err: io::Error,
    },
    /// Somebody answers there already.
    #[error("{} is served by another process: stop that, or set another socket", .0.display())]
    Served(PathBuf),
    /// An address that cannot be listened at.
    #[error("listening at {address}: {err}; is it this machine's, and free?")]
    Address {
        /// Which one.
        address: SocketAddr,
        /// Why.
        err: io::Error,
    },
    /// A TCP address without files for TLS.
    #[error(
        "systemd gave a TCP socket, {0}, and no files for TLS are set: whoever reaches fleetd is root on all machines, \
         so it is served over TCP only with certificates on both sides"
    )]
    Unprotected(String),
    /// Something else than a stream socket.
    #[error("socket {index} of LISTEN_FDS: {err}; fleet.socket must have ListenStream= only")]
    Given {
        /// Which one, from 0.
        index: usize,
        /// Why.
        err: io::Error,
    },
    /// Files of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Listener {
    /// Takes the sockets that systemd gave (`LISTEN_FDS`), which are none where it gave none. They are taken once, and their
    /// variables removed: this belongs to the beginning, before other threads read the environment.
    ///
    /// # Errors
    /// When one is no listening stream socket, or is TCP without files for TLS.
    pub fn given(files: Option<&TlsFiles>) -> Result<Vec<Self>, ListenerError> {
        let mut sockets = ListenFd::from_env();
        (0..sockets.len()).map(|index| Self::adopt(&mut sockets, index, files)).collect()
    }

    fn adopt(sockets: &mut ListenFd, index: usize, files: Option<&TlsFiles>) -> Result<Self, ListenerError> {
        let wrong = |err| ListenerError::Given { index, err };
        if let Ok(Some(socket)) = sockets.take_unix_listener(index) {
            socket.set_nonblocking(true).map_err(wrong)?;
            let socket = UnixListener::from_std(socket).map_err(wrong)?;
            return Ok(Self(Arc::new(Inner::Unix(socket, Source::Systemd))));
        }
        let taken = sockets.take_tcp_listener(index).map_err(wrong)?;
        let socket = taken.ok_or_else(|| wrong(io::Error::from(io::ErrorKind::NotFound)))?;
        let Some(files) = files else {
            let address = socket.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
            return Err(ListenerError::Unprotected(address));
        };
        socket.set_nonblocking(true).map_err(wrong)?;
        let socket = TcpListener::from_std(socket).map_err(wrong)?;
        Ok(Self(Arc::new(Inner::Tls(socket, RwLock::new(tls::server(files)?)))))
    }

    /// Makes a unix socket, which is removed with the last copy.
    ///
    /// # Errors
    /// When it cannot be made, or somebody answers there.
    pub async fn unix(file: &SocketFile) -> Result<Self, ListenerError> {
        let (socket, bound) = file.bind().await?;
        Ok(Self(Arc::new(Inner::Unix(socket, Source::Us(bound)))))
    }

    /// Listens at a TCP address, for clients with a certificate of the authority.
    ///
    /// # Errors
    /// When the address or one of the files cannot be used.
    pub async fn tls(address: SocketAddr, files: &TlsFiles) -> Result<Self, ListenerError> {
        let config = tls::server(files)?;
        let socket =
            TcpListener::bind(address).await.map_err(|err| ListenerError::Address { address, err })?;
        Ok(Self(Arc::new(Inner::Tls(socket, RwLock::new(config)))))
    }

    /// Reads the files for TLS anew; connections that are there stay as they are. Does nothing for a unix socket.
    ///
    /// # Errors
    /// When one of the files cannot be used; then those of before stay.
    pub fn renew(&self, files: &TlsFiles) -> Result<(), ListenerError> {
        if let Inner::Tls(_, config) = &*self.0 {
            let fresh = tls::server(files)?;
            *config.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(())
    }

    /// Returns the TCP address, which has the port that was chosen where 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        match &*self.0 {
            Inner::Unix(..) => None,
            Inner::Tls(socket, _) => socket.local_addr().ok(),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &*self.0 {
            Inner::Unix(socket, _) => Ok(Accepted::Unix(socket.accept().await?.0)),
            Inner::Tls(socket, config) => {
                let (stream, peer) = socket.accept().await?;
                let config = Arc::clone(&config.read().unwrap_or_else(PoisonError::into_inner));
                Ok(Accepted::Tls(stream, peer, config))
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::Unix(_, Source::Us(bound)) => write!(f, "{}", bound.path().display()),
            Inner::Unix(_, Source::Systemd) => f.write_str("the socket of systemd"),
            Inner::Tls(socket, _) => match socket.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(_) => f.write_str("a TCP address"),
            },
        }
    }
}
