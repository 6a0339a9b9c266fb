//! What all requests of this agent have in common: patience, counting, its name, and whom HTTPS trusts.

use std::fmt;

use agent_support::host::Host;
use agent_support::sealed;
use anyhow::{Context as _, bail};
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::url::Url;
use super::{Limits, Traffic};

/// The distribution's certificate authorities.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The administrator's, one or several in each `*.pem` and `*.crt`.
const OWN: &str = "/etc/slipway/ca.d";

/// Sends requests for one machine, to where one URL leads.
pub struct Client {
    /// How long a server may keep the agent waiting.
    pub limits: Limits,
    /// What the network took.
    pub traffic: Traffic,
    pub(super) agent: Agent,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Client {
    /// Reads what a client of this machine needs, and asks nothing yet; `url` decides about a proxy.
    pub fn new(host: &Host, limits: &Limits, traffic: &Traffic, url: &Url) -> anyhow::Result<Self> {
        let roots = authorities(host).context("reading the certificate authorities")?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(limits.answer))
            .timeout_recv_response(Some(limits.answer))
            .timeout_per_read(Some(limits.stall))
            .user_agent(format!("slipway-update/{}", sealed::version(host)?))
            .accept_encoding("identity")
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            // Memory is scarce: see MemoryMax= of slipway-update.service.
            .input_buffer_size(64 << 10)
            .output_buffer_size(8 << 10);
        if url.is_loopback() {
            config = config.proxy(None);
        }
        Ok(Self { limits: limits.clone(), traffic: traffic.clone(), agent: config.build().into() })
    }
}

/// Reads whom HTTPS trusts. Without any file nobody is, and plain HTTP still works.
fn authorities(host: &Host) -> anyhow::Result<RootCerts> {
    let names = host.list(OWN)?;
    let own = names.iter().filter(|name| name.ends_with(".pem") || name.ends_with(".crt"));
    let mut certificates = Vec::new();
    for path in std::iter::once(BUNDLE.to_owned()).chain(own.map(|name| format!("{OWN}/{name}"))) {
        let Some(text) = host.read(&path)? else { continue };
        let before = certificates.len();
        for item in parse_pem(text.as_bytes()) {
            // A private key or another kind of block beside a certificate is none of our business.
            if let PemItem::Certificate(certificate) = item.with_context(|| format!("parsing {path}"))? {
                certificates.push(certificate);
            }
        }
        if certificates.len() == before {
            bail!("{path} has no certificate: put PEM certificates there, or remove the file");
        }
    }
    Ok(certificates.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    const CERTIFICATE: &str = include_str!("../../tests/data/authority.pem");

    fn count(tree: &Tree) -> anyhow::Result<usize> {
        match authorities(&tree.host)? {
            RootCerts::Specific(certificates) => Ok(certificates.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_bundle_and_the_administrators_files_count() {
        let tree = Tree::new();
        assert_eq!(count(&tree).unwrap(), 0);
        tree.file(BUNDLE, format!("{CERTIFICATE}# a remark\n{CERTIFICATE}"));
        assert_eq!(count(&tree).unwrap(), 2);
        tree.file("/etc/slipway/ca.d/site.crt", CERTIFICATE).file("/etc/slipway/ca.d/README", "none");
        assert_eq!(count(&tree).unwrap(), 3);
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let tree = Tree::new();
        tree.file("/etc/slipway/ca.d/site.pem", "certificates are here no more\n");
        let err = count(&tree).unwrap_err().to_string();
        assert!(err.starts_with("/etc/slipway/ca.d/site.pem has no certificate: put"), "{err}");
        tree.file("/etc/slipway/ca.d/site.pem", &CERTIFICATE[..200]);
        let err = format!("{:#}", count(&tree).unwrap_err());
        assert!(err.contains("/etc/slipway/ca.d/site.pem"), "{err}");
    }
}
