//! What etcd is told beside what the file says.
//!
//! Where it listens is not known before the network: `slipway etcd addresses` finds that when etcd starts.

use crate::model::Options;

use super::Inputs;

/// Returns the options of etcd: those of the file, and what a member of a cluster needs and the file leaves out.
///
/// A member is named after its machine, and ends when the cluster is full in place of becoming a proxy.
pub(super) fn completed(inputs: Inputs<'_>) -> Options {
    let mut options = inputs.config.etcd.clone();
    if options.is_empty() {
        return options;
    }
    if let Some(id) = &inputs.facts.machine_id {
        options.entry("NAME".to_owned()).or_insert_with(|| id.clone());
    }
    if options.contains_key("DISCOVERY") {
        options.entry("DISCOVERY_FALLBACK".to_owned()).or_insert_with(|| "exit".to_owned());
    }
    options
}

#[cfg(test)]
mod tests {
    use super::super::testing::{planned, text};
    use crate::facts::Facts;
    use crate::metadata::Metadata;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(etcd: &str, facts: &Facts, expected: &[&str]) {
        let plan = planned(&format!("coreos: {{{etcd}}}\n"), &Metadata::default(), facts);
        let text = text(&plan, "/run/systemd/system/etcd.service.d/20-cloudinit.conf");
        let lines: Vec<_> =
            text.lines().skip(1).map(|line| line.trim_start_matches("Environment=")).collect();
        assert_eq!(lines, expected);
    }

    fn facts() -> Facts {
        Facts { machine_id: Some(ID.to_owned()), ..Facts::default() }
    }

    #[test]
    fn with_discovery_alone_a_member_has_its_machines_name_and_ends_when_the_cluster_is_full() {
        check(
            "etcd: {discovery: \"https://d/1\"}",
            &facts(),
            &[
                "\"ETCD_DISCOVERY=https://d/1\"",
                "\"ETCD_DISCOVERY_FALLBACK=exit\"",
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
            &[
                "\"ETCD_ADVERTISE_CLIENT_URLS=http://10.0.0.9:4001\"",
                "\"ETCD_DISCOVERY=https://d/1\"",
                "\"ETCD_DISCOVERY_FALLBACK=proxy\"",
                "\"ETCD_LISTEN_CLIENT_URLS=http://10.0.0.9:4001,http://127.0.0.1:4001\"",
                "\"ETCD_NAME=n\"",
                "\"ETCD_PEER_CERT_FILE=/c\"",
            ],
        );
        check("etcd2: {snapshot-count: 5}", &Facts::default(), &["\"ETCD_SNAPSHOT_COUNT=5\""]);
    }
}
