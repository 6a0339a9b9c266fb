//! An authority made for one run, and what a server needs that it vouches for.

use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// A server's side of TLS.
#[derive(Debug)]
pub struct Identity {
    /// The authority's certificate, PEM.
    pub authority: String,
    /// What the server says of itself.
    pub server: Arc<ServerConfig>,
}

/// Makes an authority, and by it a certificate for a server with all of `names`.
pub fn make(names: &[&str]) -> anyhow::Result<Identity> {
    let mut params = CertificateParams::new(vec![])?;
    params.distinguished_name.push(DnType::CommonName, "authority of one test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().context("making the authority's key")?;
    let authority = params.self_signed(&key).context("making the authority")?.pem();
    let issuer = Issuer::new(params, key);

    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "server of one test");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().context("making the server's key")?;
    let certificate = params.signed_by(&key, &issuer).context("making the server's certificate")?;

    let secret = PrivatePkcs8KeyDer::from(key.serialize_der());
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret.into())?;
    Ok(Identity { authority, server: Arc::new(server) })
}
