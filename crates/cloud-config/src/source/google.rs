//! Google Compute Engine's metadata service.

use agent_support::host::Host;

use super::{Asker, Given, Reach, Source, below, known, smbios};
use crate::metadata::{Addresses, Metadata};

/// Where the service is: by number, because names are not needed for it.
pub const SERVICE: &str = "http://169.254.169.254";
const HEADERS: [(&str, &str); 1] = [("Metadata-Flavor", "Google")];
/// Whose keys are read: other users are not made here.
const CORE: &str = "core:";

/// The source.
pub static SOURCE: Source = Source { name: "gce", reach: Reach::Network, find, read };

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    Ok((smbios::field(host, "product_name")? == "Google Compute Engine").then(|| SERVICE.to_owned()))
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    let url = |name: &str| below(at, &format!("computeMetadata/v1/{name}"));
    let text = |name: &str| asker.get_text(&url(name), &HEADERS);
    let interface = "instance/network-interfaces/0";
    let mut metadata = Metadata {
        hostname: text("instance/hostname")?,
        addresses: Addresses {
            private_ipv4: known(text(&format!("{interface}/ip"))?),
            public_ipv4: known(text(&format!("{interface}/access-configs/0/external-ip"))?),
            ..Addresses::default()
        },
        ..Metadata::default()
    };
    for place in ["instance", "project"] {
        let keys = text(&format!("{place}/attributes/ssh-keys"))?.unwrap_or_default();
        for (idx, key) in keys.lines().filter_map(|line| line.trim().strip_prefix(CORE)).enumerate() {
            metadata.public_keys.insert(format!("{place}-{idx:03}"), key.to_owned());
        }
    }
    let user_data = asker.get_any(&url("instance/attributes/user-data"), &HEADERS)?.unwrap_or_default();
    Ok(Given { user_data, metadata })
}

#[cfg(test)]
mod tests {
    use http_get::testing::{Answer, Server};

    use super::*;
    use crate::source::testing::{asker, key};

    #[test]
    fn the_service_is_asked_with_its_header() {
        let server = Server::start(|question, _| {
            if !question.headers.contains("metadata-flavor: google\n") {
                return Answer::status(403);
            }
            match question.line.strip_prefix("GET /computeMetadata/v1/").unwrap_or_default() {
                "instance/attributes/user-data" => Answer::ok("#cloud-config\n"),
                "instance/hostname" => Answer::ok("b.c.example.internal"),
                "instance/network-interfaces/0/ip" => Answer::ok("10.0.0.5"),
                "instance/network-interfaces/0/access-configs/0/external-ip" => Answer::ok("198.51.100.5"),
                "project/attributes/ssh-keys" => {
                    Answer::ok(format!("ann:{}\ncore:{} me", key('A'), key('B')))
                }
                _ => Answer::status(404),
            }
        });
        let given = read(&asker(), &server.url("/")).unwrap();
        assert_eq!(given.user_data, b"#cloud-config\n");
        assert_eq!(given.metadata.hostname.as_deref(), Some("b.c.example.internal"));
        assert_eq!(
            given.metadata.public_keys.into_values().collect::<Vec<_>>(),
            [format!("{} me", key('B'))]
        );
        let addresses = given.metadata.addresses;
        assert_eq!(addresses.private_ipv4.map(|ip| ip.octets()), Some([10, 0, 0, 5]));
        assert_eq!(addresses.public_ipv4.map(|ip| ip.octets()), Some([198, 51, 100, 5]));
    }
}
