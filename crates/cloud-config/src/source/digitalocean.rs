//! DigitalOcean's metadata service.

use std::net::{Ipv4Addr, Ipv6Addr};

use agent_support::host::Host;
use anyhow::Context as _;
use serde::Deserialize;

use super::{Asker, Given, Reach, Source, below, smbios};
use crate::metadata::{Addresses, Metadata};

/// Where the service is.
pub const SERVICE: &str = "http://169.254.169.254";

/// The source.
pub static SOURCE: Source = Source { name: "digitalocean", reach: Reach::Network, find, read };

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    Ok((smbios::field(host, "sys_vendor")? == "DigitalOcean").then(|| SERVICE.to_owned()))
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    let metadata = metadata(&asker.get(&below(at, "metadata/v1.json"), &[])?)?;
    let user_data = asker.get_any(&below(at, "metadata/v1/user-data"), &[])?.unwrap_or_default();
    Ok(Given { user_data, metadata })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    hostname: Option<String>,
    public_keys: Vec<String>,
    interfaces: Interfaces,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interfaces {
    public: Vec<Interface>,
    private: Vec<Interface>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interface {
    ipv4: Option<Address<Ipv4Addr>>,
    ipv6: Option<Address<Ipv6Addr>>,
}

#[derive(Debug, Deserialize)]
struct Address<T> {
    ip_address: T,
}

fn metadata(bytes: &[u8]) -> anyhow::Result<Metadata> {
    let wire: Wire = serde_json::from_slice(bytes).context("parsing v1.json")?;
    let four = |all: &[Interface]| all.iter().find_map(|one| Some(one.ipv4.as_ref()?.ip_address));
    let six = |all: &[Interface]| all.iter().find_map(|one| Some(one.ipv6.as_ref()?.ip_address));
    let Interfaces { public, private } = &wire.interfaces;
    let addresses = Addresses {
        public_ipv4: four(public),
        private_ipv4: four(private),
        public_ipv6: six(public),
        private_ipv6: six(private),
    };
    let keys = wire.public_keys.into_iter().enumerate();
    let public_keys = keys.map(|(idx, key)| (format!("{idx:03}"), key)).collect();
    Ok(Metadata { hostname: wire.hostname, public_keys, addresses })
}

#[cfg(test)]
mod tests {
    use http_get::testing::{Answer, Server};

    use super::*;
    use crate::source::testing::{asker, key};

    #[test]
    fn the_service_gives_all_in_one_document_and_user_data_in_another() {
        let server = Server::start(|question, _| match question.line.as_str() {
            "GET /metadata/v1.json" => Answer::ok(format!(
                r#"{{"hostname": "b", "public_keys": ["{}"], "interfaces": {{
                   "public": [{{"ipv4": {{"ip_address": "198.51.100.5"}}, "ipv6": {{"ip_address": "2001:db8::5"}}}}],
                   "private": [{{"ipv4": {{"ip_address": "10.0.0.5"}}}}]}}}}"#,
                key('A')
            )),
            "GET /metadata/v1/user-data" => Answer::ok("#!/bin/sh\n"),
            _ => Answer::status(404),
        });
        let given = read(&asker(), &server.url("/")).unwrap();
        assert_eq!(given.user_data, b"#!/bin/sh\n");
        assert_eq!(given.metadata.public_keys["000"], key('A'));
        let known: Vec<_> =
            given.metadata.addresses.by_variable().into_iter().map(|(_, ip)| ip.is_some()).collect();
        assert_eq!(known, [true, true, true, false]);
    }
}
