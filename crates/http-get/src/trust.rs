//! Whom HTTPS trusts: the distribution's authorities and the administrator's.

use agent_support::host::Host;
use anyhow::{Context as _, bail};
use ureq::tls::{PemItem, RootCerts, parse_pem};

/// The distribution's certificate authorities.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The administrator's, one or several in each `*.pem` and `*.crt`.
const OWN: &str = "/etc/slipway/ca.d";

/// Reads whom HTTPS trusts. Without any file nobody is, and plain HTTP still works.
pub fn trusted(host: &Host) -> anyhow::Result<RootCerts> {
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

    const CERTIFICATE: &str = include_str!("../../update-agent/tests/data/authority.pem");

    fn count(tree: &Tree) -> anyhow::Result<usize> {
        match trusted(&tree.host)? {
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
