//! Where a server is, and how a client gets there.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::trouble::{self, Trouble};
use crate::http::tls::{self, TlsError, TlsFiles};

/// Where a server is.
#[derive(Debug, Clone)]
pub enum Place {
    /// A unix socket of this machine.
    Unix(PathBuf),
    /// `HOST:PORT` without TLS, as a tunnel of somebody else's ends; fleetd itself serves none such.
    Tcp(String),
    /// `HOST:PORT` with TLS of both sides.
    Tls(String, Arc<ClientConfig>),
    /// The far end of something, such as a program that SSH runs.
    Through(Dial),
}

/// Makes streams to one server.
#[derive(Clone)]
pub struct Dial {
    name: String,
    open: Arc<dyn Fn() -> Opening + Send + Sync>,
}

type Opening = Pin<Box<dyn Future<Output = io::Result<Ends>> + Send>>;

/// A stream, as its two directions: standard output and input of a program are one. What keeps it alive, such as the
/// program, belongs into one of them: both are dropped when the connection is no longer needed.
pub struct Ends {
    /// What the server says.
    pub read: Box<dyn AsyncRead + Send + Unpin>,
    /// What the server is told.
    pub write: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Place {
    /// Reads the files for TLS to `HOST:PORT`.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn tls(authority: impl Into<String>, files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self::Tls(authority.into(), tls::client(files)?))
    }

    /// What the header `Host` says; a socket has no name.
    pub(super) fn host(&self) -> &str {
        match self {
            Self::Unix(_) | Self::Through(_) => "fleet",
            Self::Tcp(authority) | Self::Tls(authority, _) => authority,
        }
    }

    pub(super) async fn connect(&self) -> Result<Connection, Trouble> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|err| trouble::socket(path, &err))?;
                Connection::begin(stream).await
            }
            Self::Tcp(authority) => Connection::begin(tcp(authority).await?).await,
            Self::Tls(authority, config) => {
                let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let name = ServerName::try_from(host.to_owned()).map_err(|_| trouble::name(host))?;
                let stream = tcp(authority).await?;
                let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
                Connection::begin(stream.map_err(|err| trouble::handshake(authority, &err))?).await
            }
            Self::Through(dial) => {
                let ends = (dial.open)().await.map_err(|err| trouble::dial(&dial.name, &err))?;
                Connection::begin(tokio::io::join(ends.read, ends.write)).await
            }
        }
    }
}

async fn tcp(authority: &str) -> Result<TcpStream, Trouble> {
    let stream = TcpStream::connect(authority).await.map_err(|err| trouble::address(authority, &err))?;
    // Small requests go out at once. It is only faster: a socket that cannot is as good.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

impl Dial {
    /// Makes one from a function that opens a stream each time; `name` is how errors call the server.
    /// The time that it takes counts as that of the request which needs it.
    pub fn new<F, O>(name: impl Into<String>, open: F) -> Self
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: Future<Output = io::Result<Ends>> + Send + 'static,
    {
        Self { name: name.into(), open: Arc::new(move || Box::pin(open())) }
    }
}

impl Ends {
    /// Takes a stream apart.
    pub fn of<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { read: Box::new(read), write: Box::new(write) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(authority) => write!(f, "http://{authority}"),
            Self::Tls(authority, _) => write!(f, "https://{authority}"),
            Self::Through(dial) => f.write_str(&dial.name),
        }
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends").finish_non_exhaustive()
    }
}
