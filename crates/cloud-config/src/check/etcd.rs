//! Options of etcd 0.4 and etcd 2, as options of the etcd 3.5 that is there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::finding::{Finding, Position};
use crate::model::Options;

use super::accounts::is_url;
use super::fields::Fields;
use super::services::values;

/// What is left of an option in etcd 3.5.
enum Now {
    /// A variable, without `ETCD_`.
    Variable(&'static str),
    /// A trusted authority, which also meant that clients must have a certificate.
    Authority(&'static str, &'static str),
    /// More is logged, if it says yes.
    Debug,
    /// A part of addresses: they are put together when all are known.
    Address,
    /// Nothing.
    Gone(&'static str),
    /// The same variable as ever.
    Same,
}

/// What the sections say so far, and where.
type Set = BTreeMap<String, (String, Position)>;

/// Checks `coreos.etcd` and `coreos.etcd2`, which both are about the one etcd.
pub fn options(coreos: Fields<'_>, findings: &mut Vec<Finding>) -> Options {
    let (mut set, mut demanded) = (Set::new(), Vec::new());
    let [etcd, etcd2] = ["etcd", "etcd2"].map(|section| coreos.section(section));
    for (section, fields) in [("etcd", etcd), ("etcd2", etcd2)] {
        for (key, value) in values(fields, section, findings) {
            translate((key, value, fields.at(key)), &mut set, &mut demanded, findings);
        }
    }
    for (variable, at) in demanded {
        // Unless somebody says that clients need none.
        set.entry(variable.to_owned()).or_insert(("true".to_owned(), at));
    }
    let mut addresses = Addresses { set: &mut set, findings };
    addresses.translate(etcd, ["addr", "bind_addr"], CLIENTS);
    addresses.translate(etcd, ["peer_addr", "peer_bind_addr"], PEERS);
    judge(&set, findings);
    set.into_iter().map(|(key, (value, _))| (key, value)).collect()
}

fn now(key: &str) -> Now {
    match key {
        "addr" | "bind_addr" | "peer_addr" | "peer_bind_addr" => Now::Address,
        "ca_file" => Now::Authority("TRUSTED_CA_FILE", "CLIENT_CERT_AUTH"),
        "peer_ca_file" => Now::Authority("PEER_TRUSTED_CA_FILE", "PEER_CLIENT_CERT_AUTH"),
        "discovery_url" => Now::Variable("DISCOVERY"),
        "peer_election_timeout" => Now::Variable("ELECTION_TIMEOUT"),
        "peer_heartbeat_interval" => Now::Variable("HEARTBEAT_INTERVAL"),
        "verbose" | "very_verbose" | "very_very_verbose" | "debug" => Now::Debug,
        "peers" | "peers_file" => Now::Gone("use discovery or etcd2.initial_cluster"),
        "cluster_active_size" => Now::Gone("the size is the discovery token's"),
        "log_package_levels" | "trace" => Now::Gone("use debug"),
        "snapshot" => Now::Gone("there are always snapshots"),
        "cluster_remove_delay"
        | "cluster_sync_interval"
        | "graphite_host"
        | "http_read_timeout"
        | "http_write_timeout"
        | "max_result_buffer"
        | "max_retry_attempts"
        | "retry_interval" => Now::Gone("there is nothing like it"),
        _ => Now::Same,
    }
}

fn translate(
    (key, value, at): (&str, String, Position),
    set: &mut Set,
    demanded: &mut Vec<(&'static str, Position)>,
    findings: &mut Vec<Finding>,
) {
    match now(key) {
        Now::Same => put(set, &key.to_uppercase(), value, at, findings),
        // `discovery` was there before its alias in the table, and wins.
        Now::Variable("DISCOVERY") if set.contains_key("DISCOVERY") => {}
        Now::Variable(variable) => put(set, variable, value, at, findings),
        Now::Authority(variable, demand) => {
            put(set, variable, value, at, findings);
            demanded.push((demand, at));
        }
        Now::Debug if value == "true" => put(set, "LOG_LEVEL", "debug".to_owned(), at, findings),
        Now::Debug | Now::Address => {}
        Now::Gone(remedy) => {
            let message = format!("{key} has no meaning for etcd 3.5 and is passed over: {remedy}");
            findings.push(Finding::warning(at, message));
        }
    }
}

fn put(set: &mut Set, variable: &str, value: String, at: Position, findings: &mut Vec<Finding>) {
    match set.get(variable) {
        Some((other, first)) if *other != value => {
            let message = format!("sets {variable} of etcd to another value than line {} does", first.line);
            findings.push(Finding::error(at, message));
        }
        _ => drop(set.insert(variable.to_owned(), (value, at))),
    }
}

/// Names of the variables of one kind of traffic.
struct Traffic {
    listen: &'static str,
    advertise: &'static str,
    certificate: &'static str,
    /// Whether programs on the machine itself are to be served too.
    loopback: Option<&'static str>,
}

const CLIENTS: Traffic = Traffic {
    listen: "LISTEN_CLIENT_URLS",
    advertise: "ADVERTISE_CLIENT_URLS",
    certificate: "CERT_FILE",
    loopback: Some("127.0.0.1"),
};
const PEERS: Traffic = Traffic {
    listen: "LISTEN_PEER_URLS",
    advertise: "INITIAL_ADVERTISE_PEER_URLS",
    certificate: "PEER_CERT_FILE",
    loopback: None,
};

/// Puts URLs together from the addresses of etcd 0.4.
struct Addresses<'a> {
    set: &'a mut Set,
    findings: &'a mut Vec<Finding>,
}

impl Addresses<'_> {
    fn translate(&mut self, etcd: Fields<'_>, [addr, bind]: [&str; 2], traffic: Traffic) {
        let Some(told) = etcd.text(addr) else {
            if etcd.text(bind).is_some() {
                let message = format!("{bind} without {addr}: say which address others are to use");
                self.findings.push(Finding::error(etcd.at(bind), message));
            }
            return;
        };
        let at = etcd.at(addr);
        let scheme = if self.set.contains_key(traffic.certificate) { "https" } else { "http" };
        let Some((host, Some(port))) = host_and_port(told) else {
            let message = format!("{addr} is not ADDRESS:PORT");
            return self.findings.push(Finding::error(at, message));
        };
        let bound = match etcd.text(bind).map(|text| (text, host_and_port(text))) {
            None => (host, port),
            Some((_, Some((host, own)))) => (host, own.unwrap_or(port)),
            // A port alone: every address.
            Some((text, None)) if text.trim_start_matches(':').parse::<u16>().is_ok() => {
                ("0.0.0.0", text.trim_start_matches(':'))
            }
            Some(_) => {
                let message = format!("{bind} is not ADDRESS or ADDRESS:PORT");
                return self.findings.push(Finding::error(etcd.at(bind), message));
            }
        };
        if ip(bound.0).is_none() {
            let message = format!("etcd listens on IP addresses only: give one in {bind}");
            return self.findings.push(Finding::error(at, message));
        }
        let mut listen = format!("{scheme}://{}:{}", bound.0, bound.1);
        let is_everywhere = ip(bound.0).is_some_and(|ip| ip.is_unspecified() || ip.is_loopback());
        if let Some(loopback) = traffic.loopback.filter(|_| !is_everywhere) {
            listen.push_str(&format!(",{scheme}://{loopback}:{}", bound.1));
        }
        let advertise = format!("{scheme}://{host}:{port}");
        put(self.set, traffic.advertise, advertise, at, self.findings);
        put(self.set, traffic.listen, listen, at, self.findings);
    }
}

/// Splits an address of etcd 0.4: with or without a scheme and a port.
fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    let text = text.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches('/');
    let (host, port) = match text.rsplit_once(':') {
        // Colons inside of brackets, or of an IPv6 address without them.
        Some((_, port)) if port.contains(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let is_good =
        !host.is_empty() && host.bytes().all(allowed) && port.is_none_or(|port| port.parse::<u16>().is_ok());
    is_good.then_some((host, port))
}

fn ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Looks at what all of it together means.
fn judge(set: &Set, findings: &mut Vec<Finding>) {
    let ways = ["DISCOVERY", "DISCOVERY_SRV", "INITIAL_CLUSTER"].map(|way| set.get(way).map(|(_, at)| *at));
    if ways.iter().flatten().count() > 1
        && let Some(at) = ways.iter().flatten().max()
    {
        let message = "more than one of discovery, discovery_srv and initial_cluster";
        findings.push(Finding::error(*at, message));
    }
    if let Some((url, at)) = set.get("DISCOVERY")
        && !is_url(url)
    {
        findings.push(Finding::warning(*at, "discovery URL is not valid"));
    }
    for (traffic, listen, advertise) in [
        (CLIENTS, "listen_client_urls", "advertise_client_urls"),
        (PEERS, "listen_peer_urls", "initial_advertise_peer_urls"),
    ] {
        let Some((urls, at)) = set.get(traffic.listen) else { continue };
        if !set.contains_key(traffic.advertise) {
            let message = format!("{listen} without {advertise}: others would be told a wrong address");
            findings.push(Finding::warning(*at, message));
        }
        let is_open = |url: &str| url.starts_with("http://0.0.0.0") || url.starts_with("http://[::]");
        if urls.split(',').any(|url| is_open(url.trim())) {
            let message = "listens on every address of the machine without TLS: name one address";
            findings.push(Finding::warning(*at, message));
        }
    }
    if let Some((_, at)) = set.get("FORCE_NEW_CLUSTER").filter(|(value, _)| value == "true") {
        let message = "force_new_cluster makes a cluster of one anew at every boot";
        findings.push(Finding::warning(*at, message));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check_says, checked, config};

    #[track_caller]
    fn check(etcd: &str, expected: &[&str]) {
        let (config, lines) = checked(&format!("coreos: {{{etcd}}}\n"));
        let config = config.unwrap_or_else(|| panic!("{lines:?}"));
        let set: Vec<_> = config.etcd.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(set, expected, "{lines:?}");
    }

    #[test]
    fn addresses_of_0_4_become_urls() {
        check(
            "etcd: {addr: \"10.0.0.5:4001\", peer-addr: \"10.0.0.5:7001\"}",
            &[
                "ADVERTISE_CLIENT_URLS=http://10.0.0.5:4001",
                "INITIAL_ADVERTISE_PEER_URLS=http://10.0.0.5:7001",
                "LISTEN_CLIENT_URLS=http://10.0.0.5:4001,http://127.0.0.1:4001",
                "LISTEN_PEER_URLS=http://10.0.0.5:7001",
            ],
        );
        check(
            "etcd: {addr: \"h.example:4001\", bind-addr: \"10.0.0.6\", cert-file: /c}",
            &[
                "ADVERTISE_CLIENT_URLS=https://h.example:4001",
                "CERT_FILE=/c",
                "LISTEN_CLIENT_URLS=https://10.0.0.6:4001,https://127.0.0.1:4001",
            ],
        );
        check(
            "etcd: {addr: \"10.0.0.5:4001\", bind-addr: \":4002\"}",
            &["ADVERTISE_CLIENT_URLS=http://10.0.0.5:4001", "LISTEN_CLIENT_URLS=http://0.0.0.0:4002"],
        );
        check(
            "etcd: {peer-addr: \"[2001:db8::1]:7001\"}",
            &[
                "INITIAL_ADVERTISE_PEER_URLS=http://[2001:db8::1]:7001",
                "LISTEN_PEER_URLS=http://[2001:db8::1]:7001",
            ],
        );
    }

    #[test]
    fn both_sections_are_about_one_etcd() {
        check(
            "etcd: {name: a, discovery-url: http://x/1}, etcd2: {name: a, strict-reconfig-check: false}",
            &["DISCOVERY=http://x/1", "NAME=a", "STRICT_RECONFIG_CHECK=false"],
        );
        check("etcd: {discovery-url: http://x/1, discovery: http://y/2}", &["DISCOVERY=http://y/2"]);
        check_says(
            "coreos: {etcd: {name: a}, etcd2: {name: b}}\n",
            &["1:41: error: sets NAME of etcd to another value than line 1 does"],
        );
    }

    #[test]
    fn a_fixed_list_of_members_is_taken_in_either_section() {
        let options = "name: b, initial-cluster: \"a=http://10.0.0.1:2380,b=http://10.0.0.2:2380\", \
                       initial-cluster-state: existing, initial-cluster-token: t, \
                       initial-advertise-peer-urls: \"http://10.0.0.2:2380\", \
                       listen-peer-urls: \"http://10.0.0.2:2380\", \
                       advertise-client-urls: \"http://10.0.0.2:2379\", \
                       listen-client-urls: \"http://10.0.0.2:2379,http://127.0.0.1:2379\", \
                       heartbeat-interval: \"500\", election-timeout: 5000";
        for section in ["etcd", "etcd2"] {
            check(
                &format!("{section}: {{{options}}}"),
                &[
                    "ADVERTISE_CLIENT_URLS=http://10.0.0.2:2379",
                    "ELECTION_TIMEOUT=5000",
                    "HEARTBEAT_INTERVAL=500",
                    "INITIAL_ADVERTISE_PEER_URLS=http://10.0.0.2:2380",
                    "INITIAL_CLUSTER=a=http://10.0.0.1:2380,b=http://10.0.0.2:2380",
                    "INITIAL_CLUSTER_STATE=existing",
                    "INITIAL_CLUSTER_TOKEN=t",
                    "LISTEN_CLIENT_URLS=http://10.0.0.2:2379,http://127.0.0.1:2379",
                    "LISTEN_PEER_URLS=http://10.0.0.2:2380",
                    "NAME=b",
                ],
            );
        }
    }

    #[test]
    fn options_that_are_gone_say_so() {
        check(
            "etcd: {verbose: yes, snapshot-count: 5, snapshot: yes}",
            &["LOG_LEVEL=debug", "SNAPSHOT_COUNT=5"],
        );
        check_says(
            "coreos: {etcd: {peers: \"a:1\"}}\n",
            &["1:24: warning: peers has no meaning for etcd 3.5 and is passed over: use discovery"],
        );
        check("etcd2: {debug: no}", &[]);
        check("etcd2: {ca-file: /c}", &["CLIENT_CERT_AUTH=true", "TRUSTED_CA_FILE=/c"]);
        check(
            "etcd2: {ca-file: /c, client-cert-auth: no}",
            &["CLIENT_CERT_AUTH=false", "TRUSTED_CA_FILE=/c"],
        );
    }

    #[test]
    fn addresses_that_nobody_could_use_are_errors() {
        check_says("coreos: {etcd: {addr: \":4001\"}}\n", &["1:23: error: addr is not ADDRESS:PORT"]);
        check_says(
            "coreos: {etcd: {addr: \"a:4001\"}}\n",
            &["1:23: error: etcd listens on IP addresses only"],
        );
        check_says("coreos: {etcd: {bind-addr: \"10.0.0.1\"}}\n", &["1:28: error: bind_addr without addr"]);
        check_says("coreos: {etcd: {addr: \"10.0.0.1:x\"}}\n", &["1:23: error: addr is not ADDRESS:PORT"]);
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        check_says("coreos: {etcd: {discovery: here}}\n", &["1:28: warning: discovery URL is not valid"]);
        check_says(
            "coreos: {etcd2: {discovery: http://x/1, initial-cluster: a=b}}\n",
            &["1:58: error: more than one of discovery"],
        );
        check_says(
            "coreos: {etcd2: {listen-client-urls: \"http://0.0.0.0:2379\"}}\n",
            &["1:38: warning: listen_client_urls without", "1:38: warning: listens on every address"],
        );
        check_says("coreos: {etcd2: {force-new-cluster: yes}}\n", &["1:37: warning: force_new_cluster"]);
        config("coreos: {etcd2: {discovery: \"https://d/1\"}}\n");
    }
}
