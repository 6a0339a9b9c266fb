//! OpenStack's metadata service, and the document that it shares with the config drive.

use std::collections::BTreeMap;

use agent_support::host::Host;
use anyhow::Context as _;
use serde::Deserialize;

use super::{Asker, Given, Reach, Source, below, known, smbios};
use crate::metadata::Metadata;

const SERVICE: &str = "http://169.254.169.254";

/// The source.
pub static SOURCE: Source = Source { name: "openstack", reach: Reach::Network, find, read };

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    let product = smbios::field(host, "product_name")?;
    Ok(["OpenStack Nova", "OpenStack Compute"].contains(&product.as_str()).then(|| SERVICE.to_owned()))
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    let json = asker.get(&below(at, "openstack/latest/meta_data.json"), &[])?;
    let mut metadata = metadata(&json).context("in meta_data.json")?;
    // The addresses are only in the part that is as at Amazon.
    let address = |name: &str| asker.get_text(&below(at, &format!("2009-04-04/meta-data/{name}")), &[]);
    metadata.addresses.private_ipv4 = known(address("local-ipv4")?);
    metadata.addresses.public_ipv4 = known(address("public-ipv4")?);
    let user_data = asker.get_any(&below(at, "openstack/latest/user_data"), &[])?.unwrap_or_default();
    Ok(Given { user_data, metadata })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    hostname: Option<String>,
    public_keys: Option<BTreeMap<String, String>>,
}

/// Reads `meta_data.json`.
pub(super) fn metadata(bytes: &[u8]) -> anyhow::Result<Metadata> {
    let Wire { hostname, public_keys } = serde_json::from_slice(bytes).context("parsing the metadata")?;
    Ok(Metadata { hostname, public_keys: public_keys.unwrap_or_default(), ..Metadata::default() })
}

#[cfg(test)]
mod tests {
    use http_get::testing::{Answer, Server};

    use super::*;
    use crate::source::testing::{asker, key};

    #[test]
    fn the_service_gives_user_data_name_keys_and_addresses() {
        let server = Server::start(|question, _| match question.line.as_str() {
            "GET /openstack/latest/meta_data.json" => {
                Answer::ok(format!(r#"{{"hostname": "b", "public_keys": {{"mine": "{}"}}}}"#, key('A')))
            }
            "GET /openstack/latest/user_data" => Answer::ok("#cloud-config\n"),
            "GET /2009-04-04/meta-data/local-ipv4" => Answer::ok("10.0.0.5"),
            _ => Answer::status(404),
        });
        let given = read(&asker(), &server.url("")).unwrap();
        assert_eq!(given.user_data, b"#cloud-config\n");
        assert_eq!(given.metadata.public_keys["mine"], key('A'));
        let addresses = given.metadata.addresses;
        assert_eq!(
            (addresses.private_ipv4.map(|ip| ip.octets()), addresses.public_ipv4),
            (Some([10, 0, 0, 5]), None)
        );
    }

    #[test]
    fn keys_may_be_null() {
        assert_eq!(metadata(br#"{"public_keys": null}"#).unwrap(), Metadata::default());
        assert!(metadata(b"[").is_err());
    }
}
