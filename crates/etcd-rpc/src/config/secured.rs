//! TLS connections, which count as made only when etcd has spoken over them.
//!
//! With TLS 1.3 a server looks at the client's certificate when the client is done already. A refusal would meet the
//! first request, or only a closed connection, and nobody could tell it from a request that was interrupted. In
//! HTTP/2 the server has something to say at once, so its first words are waited for: either they come, or the reason
//! why they do not.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, Chain, Join, ReadHalf, WriteHalf, join, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::codegen::Service;
use tonic::transport::Uri;

use crate::error::Error;

use super::{Identity, Tls};

/// More than the first words are long.
const FIRST_WORDS_BYTES: usize = 1024;

/// Connects to one endpoint, with the certificates of a [`Tls`].
#[derive(Clone)]
pub(super) struct Secured {
    connector: TlsConnector,
    name: ServerName<'static>,
    patience: Duration,
}

/// A connection: what was read of it already, then the rest.
type Connection =
    Join<Chain<Cursor<Vec<u8>>, ReadHalf<TlsStream<TcpStream>>>, WriteHalf<TlsStream<TcpStream>>>;

impl Secured {
    /// Reads the certificates. A server that says nothing for `patience` is taken as it is.
    pub(super) fn new(tls: &Tls, endpoint: &Uri, patience: Duration) -> Result<Self, Error> {
        let host = endpoint.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| {
            Error::Config(format!("no certificate can name the host `{host}`: write its name or address"))
        })?;
        let connector = TlsConnector::from(Arc::new(client_config(tls)?));
        Ok(Self { connector, name, patience })
    }

    async fn connect(self, endpoint: Uri) -> io::Result<TokioIo<Connection>> {
        let host = endpoint.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let tcp = TcpStream::connect((host, endpoint.port_u16().unwrap_or_default())).await?;
        tcp.set_nodelay(true)?;
        let mut tls = self.connector.connect(self.name, tcp).await?;
        let mut words = vec![0; FIRST_WORDS_BYTES];
        let n_bytes = match timeout(self.patience, tls.read(&mut words)).await {
            Ok(Ok(0)) => {
                let text = "the connection was closed right after the handshake";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            Ok(heard) => heard?,
            Err(_silent) => 0,
        };
        words.truncate(n_bytes);
        let (read, write) = split(tls);
        Ok(TokioIo::new(join(Cursor::new(words).chain(read), write)))
    }
}

impl Service<Uri> for Secured {
    type Response = TokioIo<Connection>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, endpoint: Uri) -> Self::Future {
        Box::pin(self.clone().connect(endpoint))
    }
}

/// What TLS is spoken with.
fn client_config(tls: &Tls) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.ca, "the CA's file")? {
        let added = roots.add(certificate);
        added.map_err(|err| {
            Error::Config(format!("the CA's certificate cannot be used ({err}): give another one"))
        })?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder =
        builder.with_safe_default_protocol_versions().expect("ring has the default versions' ciphers");
    let builder = builder.with_root_certificates(roots);
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain = certificates(certificate, "the client's certificate file")?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|err| {
                Error::Config(format!(
                    "the client's key file has no private key in PEM ({err}): check which file it is"
                ))
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|err| {
                Error::Config(format!(
                    "the client's certificate and key do not fit ({err}): give those that do"
                ))
            })?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// All certificates of a file; there must be one.
fn certificates(pem: &[u8], file: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found =
        found.map_err(|err| Error::Config(format!("{file} is no PEM ({err}): check which file it is")))?;
    if found.is_empty() {
        return Err(Error::Config(format!("{file} has no certificate in PEM: check which file it is")));
    }
    Ok(found)
}
