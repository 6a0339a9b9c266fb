//! TLS of both sides: each shows a certificate and trusts one authority. There is no other way over TCP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The protocol that both sides speak inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// Files of one side, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities that the other side's certificate must be from.
    pub ca: PathBuf,
    /// Certificate, followed by those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or is no PEM.
    #[error("reading the {what} {}: {err}; make sure that it is there, readable and PEM", .path.display())]
    File {
        /// What it is to have.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        err: pem::Error,
    },
    /// A file without what it is to have.
    #[error("{} has no {what}: it needs at least one, in PEM", .path.display())]
    Empty {
        /// What it is to have.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// An authority that is none.
    #[error("{} has a certificate that cannot be an authority: {err}; name the file of the authority", .path.display())]
    Authority {
        /// Where.
        path: PathBuf,
        /// Why.
        err: rustls::Error,
    },
    /// Authorities that no verifier takes.
    #[error("{} cannot be trusted with clients: {err}; name the file of the authority", .path.display())]
    Verifier {
        /// Where.
        path: PathBuf,
        /// Why.
        err: rustls::server::VerifierBuilderError,
    },
    /// A key that is not the certificate's, or anything else.
    #[error("{} and {} do not serve: {err}; make sure that the key is the certificate's", .certificate.display(), .key.display())]
    Pair {
        /// Certificate.
        certificate: PathBuf,
        /// Key.
        key: PathBuf,
        /// Why.
        err: rustls::Error,
    },
}

/// Returns what a server needs; clients without a certificate of the authority are refused.
///
/// # Errors
/// When a file cannot be used.
pub fn server(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(authorities(&files.ca)?, Arc::clone(&provider))
            .build()
            .map_err(|err| TlsError::Verifier { path: files.ca.clone(), err })?;
    let (certificates, key) = identity(files)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|err| pair(files, err))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(|err| pair(files, err))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

/// Returns what a client needs; servers without a certificate of the authority for their name are refused.
///
/// # Errors
/// When a file cannot be used.
pub fn client(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let (certificates, key) = identity(files)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|err| pair(files, err))?
        .with_root_certificates(authorities(&files.ca)?)
        .with_client_auth_cert(certificates, key)
        .map_err(|err| pair(files, err))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("authorities' certificates", path)? {
        roots.add(certificate).map_err(|err| TlsError::Authority { path: path.to_owned(), err })?;
    }
    Ok(Arc::new(roots))
}

fn identity(files: &TlsFiles) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let certificates = certificates("certificate", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|err| match err {
        pem::Error::NoItemsFound => TlsError::Empty { what: "private key", path: files.key.clone() },
        err => TlsError::File { what: "private key", path: files.key.clone(), err },
    })?;
    Ok((certificates, key))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |err| TlsError::File { what, path: path.to_owned(), err };
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
    if found.is_empty() {
        return Err(TlsError::Empty { what, path: path.to_owned() });
    }
    Ok(found)
}

fn pair(files: &TlsFiles, err: rustls::Error) -> TlsError {
    TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), err }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::http::testing::Authority;

    #[test]
    fn both_sides_take_the_files_of_an_authority() {
        let authority = Authority::new();
        server(&authority.issue("server", &["localhost"])).unwrap();
        client(&authority.issue("client", &["client"])).unwrap();
    }

    #[test]
    fn an_error_names_the_file_and_the_remedy() {
        let authority = Authority::new();
        let good = authority.issue("server", &["localhost"]);
        let other = authority.issue("other", &["localhost"]);
        let empty = good.ca.with_file_name("empty.pem");
        fs::write(&empty, "").unwrap();
        let missing = PathBuf::from("/nowhere/x.pem");
        let cases = [
            (
                TlsFiles { ca: missing.clone(), ..good.clone() },
                "reading the authorities' certificates /nowhere/x.pem",
            ),
            (
                TlsFiles { certificate: missing.clone(), ..good.clone() },
                "reading the certificate /nowhere/x.pem",
            ),
            (TlsFiles { key: missing, ..good.clone() }, "reading the private key /nowhere/x.pem"),
            (TlsFiles { ca: empty.clone(), ..good.clone() }, "has no authorities' certificates"),
            (TlsFiles { certificate: empty.clone(), ..good.clone() }, "has no certificate"),
            (TlsFiles { key: empty, ..good.clone() }, "has no private key"),
            (TlsFiles { key: other.key, ..good }, "make sure that the key is the certificate's"),
        ];
        for (files, wanted) in cases {
            let err = server(&files).unwrap_err().to_string();
            assert!(err.contains(wanted), "{err}");
            let err = client(&files).unwrap_err().to_string();
            assert!(err.contains(wanted), "{err}");
        }
    }
}
