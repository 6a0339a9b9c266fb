//! What etcd is told beside what the file says, when it is to find others.

use std::net::IpAddr;

use crate::model::Options;

use super::{Inputs, Plan};

/// Returns the options of etcd: those of the file, and what a member of a cluster needs and the file leaves out.
///
/// A member listens on the default route's address and on the loopback, never on all addresses, and ends when the
/// cluster is full in place of becoming a proxy.
pub(super) fn completed(inputs: Inputs<'_>, plan: &mut Plan) -> Options {
    let mut options = inputs.config.etcd.clone();
    if options.is_empty() {
        return options;
    }
    if let Some(id) = &inputs.facts.machine_id {
        options.entry("NAME".to_owned()).or_insert_with(|| id.clone());
    }
    if !options.contains_key("DISCOVERY") {
        return options;
    }
    options.entry("DISCOVERY_FALLBACK".to_owned()).or_insert_with(|| "exit".to_owned());
    let has = |keys: [&str; 2]| keys.iter().any(|key| options.contains_key(*key));
    let clients = has(["LISTEN_CLIENT_URLS", "ADVERTISE_CLIENT_URLS"]);
    let peers = has(["LISTEN_PEER_URLS", "INITIAL_ADVERTISE_PEER_URLS"]);
    if clients && peers {
        return options;
    }
    let told = inputs.metadata.addresses.private_ipv4.map(IpAddr::V4);
    let Some(address) = inputs.facts.default_address.or(told) else {
        plan.warn("etcd: no address of this machine is known, so other members cannot reach it");
        return options;
    };
    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let scheme = |certificate| if options.contains_key(certificate) { "https" } else { "http" };
    let mut added = Vec::new();
    if !clients {
        let scheme = scheme("CERT_FILE");
        let url = format!("{scheme}://{host}:2379");
        added.push(("LISTEN_CLIENT_URLS", format!("{url},{scheme}://127.0.0.1:2379")));
        added.push(("ADVERTISE_CLIENT_URLS", url));
    }
    if !peers {
        let url = format!("{}://{host}:2380", scheme("PEER_CERT_FILE"));
        added.push(("LISTEN_PEER_URLS", url.clone()));
        added.push(("INITIAL_ADVERTISE_PEER_URLS", url));
    }
    options.extend(added.into_iter().map(|(key, value)| (key.to_owned(), value)));
    options
}

#[cfg(test)]
mod tests {
    use super::super::testing::{planned, text};
    use crate::facts::Facts;
    use crate::metadata::{Addresses, Metadata};

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(etcd: &str, facts: &Facts, metadata: &Metadata, expected: &[&str]) {
        let plan = planned(&format!("coreos: {{{etcd}}}\n"), metadata, facts);
        let text = text(&plan, "/run/systemd/system/etcd.service.d/20-cloudinit.conf");
        let lines: Vec<_> =
            text.lines().skip(1).map(|line| line.trim_start_matches("Environment=")).collect();
        assert_eq!(lines, expected);
    }

    fn facts() -> Facts {
        let default_address = Some("10.0.0.5".parse().unwrap());
        Facts { machine_id: Some(ID.to_owned()), default_address, ..Facts::default() }
    }

    #[test]
    fn with_discovery_alone_a_member_is_on_the_default_routes_address_and_the_loopback() {
        check(
            "etcd: {discovery: \"https://d/1\"}",
            &facts(),
            &Metadata::default(),
            &[
                "\"ETCD_ADVERTISE_CLIENT_URLS=http://10.0.0.5:2379\"",
                "\"ETCD_DISCOVERY=https://d/1\"",
                "\"ETCD_DISCOVERY_FALLBACK=exit\"",
                "\"ETCD_INITIAL_ADVERTISE_PEER_URLS=http://10.0.0.5:2380\"",
                "\"ETCD_LISTEN_CLIENT_URLS=http://10.0.0.5:2379,http://127.0.0.1:2379\"",
                "\"ETCD_LISTEN_PEER_URLS=http://10.0.0.5:2380\"",
                &format!("\"ETCD_NAME={ID}\""),
            ],
        );
    }

    #[test]
    fn what_the_file_says_stays() {
        check(
            "etcd: {discovery: \"https://d/1\", name: n, addr: \"10.0.0.9:4001\"}, etcd2: {discovery-fallback: proxy, \
             peer-cert-file: /c}",
            &facts(),
            &Metadata::default(),
            &[
                "\"ETCD_ADVERTISE_CLIENT_URLS=http://10.0.0.9:4001\"",
                "\"ETCD_DISCOVERY=https://d/1\"",
                "\"ETCD_DISCOVERY_FALLBACK=proxy\"",
                "\"ETCD_INITIAL_ADVERTISE_PEER_URLS=https://10.0.0.5:2380\"",
                "\"ETCD_LISTEN_CLIENT_URLS=http://10.0.0.9:4001,http://127.0.0.1:4001\"",
                "\"ETCD_LISTEN_PEER_URLS=https://10.0.0.5:2380\"",
                "\"ETCD_NAME=n\"",
                "\"ETCD_PEER_CERT_FILE=/c\"",
            ],
        );
        check(
            "etcd2: {snapshot-count: 5}",
            &Facts::default(),
            &Metadata::default(),
            &["\"ETCD_SNAPSHOT_COUNT=5\""],
        );
    }

    #[test]
    fn without_a_route_the_metadatas_address_counts_and_without_that_a_warning() {
        let addresses = Addresses { private_ipv4: Some("10.1.1.1".parse().unwrap()), ..Addresses::default() };
        let metadata = Metadata { addresses, ..Metadata::default() };
        let yaml = "coreos: {etcd2: {discovery: \"https://d/1\"}}\n";
        let plan = planned(yaml, &metadata, &Facts::default());
        let path = "/run/systemd/system/etcd.service.d/20-cloudinit.conf";
        assert!(text(&plan, path).contains("ETCD_LISTEN_PEER_URLS=http://10.1.1.1:2380"));
        let plan = planned(yaml, &Metadata::default(), &Facts::default());
        assert!(!text(&plan, path).contains("0.0.0.0") && plan.warnings.len() == 1);
    }
}
