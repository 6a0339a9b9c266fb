//! How this machine's etcd is asked: taken from the environment of its process, wherever that was configured.

use std::collections::BTreeMap;
use std::path::PathBuf;

use agent_support::host::Host;
use anyhow::{Context, bail};

use super::{UNIT, addresses};
use crate::tools::systemctl_show;

const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:2379";
/// That of the image's unit.
const DEFAULT_DATA_DIR: &str = "/var/lib/etcd/default";
/// What the unit reads beside its own lines.
const ENVIRONMENT_FILE: &str = "/etc/default/etcd";
/// Where other members ask a member.
const ADVERTISED: &str = "ETCD_INITIAL_ADVERTISE_PEER_URLS";
/// etcd's own.
const DEFAULT_PEER_URL: &str = "http://localhost:2380";
/// etcd's own, which the unit repeats.
const DEFAULT_QUOTA: u64 = 2 << 30;

/// What the command line says.
#[derive(Debug, Default)]
pub struct Given {
    /// Where etcd listens for clients.
    pub endpoint: Option<String>,
    /// Its data folder.
    pub data_dir: Option<PathBuf>,
}

/// How to ask the running member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens for clients.
    pub endpoint: String,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Folder of its log, if that is elsewhere.
    pub wal_dir: Option<PathBuf>,
    /// Limit of its database in bytes.
    pub quota: u64,
    /// Environment of `etcdctl` for TLS.
    pub tls: Vec<(&'static str, String)>,
    /// Options of a cloud-config that have to be the same on all members.
    pub pace: Vec<(&'static str, String)>,
}

/// What is known of a member that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Where other members will ask it, several separated by commas.
    pub peer_url: String,
}

/// Reads the settings of the running member.
pub fn running(host: &Host, given: Given) -> anyhow::Result<Settings> {
    let environment = match host.is_live() {
        true => Some(process_environment(host)?),
        false => None,
    };
    let environment = match environment {
        Some(Some(environment)) => environment,
        Some(None) if given.endpoint.is_none() => {
            bail!("{UNIT} does not run: see `systemctl status {UNIT}`, or name a member with --endpoint")
        }
        _ => String::new(),
    };
    Ok(settings(&environment, given))
}

/// Reads what is known of a member that does not run.
pub fn stopped(host: &Host, given: Given, peer_url: Option<String>) -> anyhow::Result<Stopped> {
    let unit = if host.is_live() { systemctl_show(UNIT, &["Environment"])? } else { BTreeMap::new() };
    // Words of the unit's Environment=; one with blanks in it needs the command line. The file wins, as for the unit.
    let words = unit.get("Environment").map(|text| text.replace(' ', "\0")).unwrap_or_default();
    let words = format!("{words}\0{}", lines(&host.read(ENVIRONMENT_FILE)?.unwrap_or_default()));
    if let Some(dir) = value(&words, "ETCD_WAL_DIR") {
        bail!(
            "etcd's log is in {dir}, outside of its data: take ETCD_WAL_DIR away, what is restored has it inside"
        );
    }
    let peer_url = match (peer_url, value(&words, ADVERTISED)) {
        (Some(url), _) => url,
        (None, Some(url)) => url.to_owned(),
        (None, None) => {
            let found = addresses::missing(&words, addresses::default_address)
                .context("finding where other members ask this one (`--peer-url` says it)")?
                .into_iter();
            let found = found.filter(|(name, _)| *name == ADVERTISED).map(|(_, url)| url).next();
            found.unwrap_or_else(|| DEFAULT_PEER_URL.to_owned())
        }
    };
    Ok(Stopped { data_dir: settings(&words, given).data_dir, peer_url })
}

/// The environment of etcd's process; `None` if there is no process.
fn process_environment(host: &Host) -> anyhow::Result<Option<String>> {
    let unit = systemctl_show(UNIT, &["MainPID"])?;
    let pid = unit.get("MainPID").map_or("0", String::as_str);
    if pid == "0" {
        return Ok(None);
    }
    let path = format!("/proc/{pid}/environ");
    let bytes = std::fs::read(host.path(&path)).with_context(|| format!("reading {path} (needs root)"))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// What `NAME=value` words, each ended by a zero byte, and the command line say together.
fn settings(environment: &str, given: Given) -> Settings {
    let value = |name: &str| value(environment, name);
    let endpoint = given
        .endpoint
        .unwrap_or_else(|| endpoint(value("ETCD_LISTEN_CLIENT_URLS"), value("ETCD_ADVERTISE_CLIENT_URLS")));
    let mut tls = Vec::new();
    if endpoint.starts_with("https:") {
        let mut add = |to, from| tls.extend(value(from).map(|path| (to, path.to_owned())));
        add("ETCDCTL_CACERT", "ETCD_TRUSTED_CA_FILE");
        if value("ETCD_CLIENT_CERT_AUTH") == Some("true") {
            // The member's own pair is one that it lets in.
            add("ETCDCTL_CERT", "ETCD_CERT_FILE");
            add("ETCDCTL_KEY", "ETCD_KEY_FILE");
        }
    }
    let pace =
        [("heartbeat_interval", "ETCD_HEARTBEAT_INTERVAL"), ("election_timeout", "ETCD_ELECTION_TIMEOUT")];
    let pace = pace.into_iter().filter_map(|(key, name)| Some((key, value(name)?.to_owned())));
    Settings {
        endpoint,
        data_dir: given.data_dir.unwrap_or_else(|| value("ETCD_DATA_DIR").unwrap_or(DEFAULT_DATA_DIR).into()),
        wal_dir: value("ETCD_WAL_DIR").map(PathBuf::from),
        quota: value("ETCD_QUOTA_BACKEND_BYTES")
            .and_then(|text| text.parse().ok())
            .filter(|quota| *quota != 0)
            .unwrap_or(DEFAULT_QUOTA),
        tls,
        pace: pace.collect(),
    }
}

/// Lines of a file of settings as words; one pair of quotes around a value does not count.
fn lines(text: &str) -> String {
    let settings = text.lines().filter_map(|line| line.trim().split_once('='));
    let unquoted = |value: &str| -> String {
        let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
        inner('"').or_else(|| inner('\'')).unwrap_or(value).to_owned()
    };
    settings.map(|(name, value)| format!("{name}={}", unquoted(value))).collect::<Vec<_>>().join("\0")
}

/// The last one of that name; an empty one says nothing.
pub(super) fn value<'a>(environment: &'a str, name: &str) -> Option<&'a str> {
    let mut words = environment.split('\0').rev();
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).filter(|value| !value.is_empty())
}

/// A loopback URL that is listened at, then one that is told to clients, whose name a certificate has.
fn endpoint(listened: Option<&str>, advertised: Option<&str>) -> String {
    let urls = |text: Option<&str>| -> Vec<String> {
        text.unwrap_or_default().split(',').filter(|url| !url.is_empty()).map(str::to_owned).collect()
    };
    let (listened, advertised) = (urls(listened), urls(advertised));
    let loopback = listened
        .iter()
        .find(|url| ["://127.", "://localhost", "://[::1]"].iter().any(|sign| url.contains(sign)));
    loopback.or(advertised.first()).or(listened.first()).map_or(DEFAULT_ENDPOINT, String::as_str).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    fn of(environment: &[&str]) -> Settings {
        settings(&environment.join("\0"), Given::default())
    }

    #[test]
    fn without_a_word_they_are_those_of_the_unit() {
        let defaults = of(&[]);
        assert_eq!(defaults.endpoint, "http://127.0.0.1:2379");
        assert_eq!(defaults.data_dir, PathBuf::from("/var/lib/etcd/default"));
        assert_eq!((defaults.quota, defaults.tls), (2 << 30, vec![]));
        assert_eq!(of(&["ETCD_QUOTA_BACKEND_BYTES=4096"]).quota, 4096);
    }

    #[test]
    fn a_loopback_address_comes_before_the_advertised_one() {
        let listens = "ETCD_LISTEN_CLIENT_URLS=http://10.0.0.5:2379,http://127.0.0.1:2379";
        let advertised = "ETCD_ADVERTISE_CLIENT_URLS=http://10.0.0.5:2379";
        assert_eq!(of(&[listens, advertised]).endpoint, "http://127.0.0.1:2379");
        assert_eq!(
            of(&["ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379", advertised]).endpoint,
            "http://10.0.0.5:2379"
        );
        assert_eq!(of(&["ETCD_LISTEN_CLIENT_URLS=http://10.0.0.6:2379"]).endpoint, "http://10.0.0.6:2379");
    }

    #[test]
    fn tls_takes_the_members_own_certificate() {
        let files = ["ETCD_TRUSTED_CA_FILE=/ca", "ETCD_CERT_FILE=/cert", "ETCD_KEY_FILE=/key"];
        let secure = ["ETCD_ADVERTISE_CLIENT_URLS=https://a:2379"];
        let found = of(&[&files[..], &secure].concat());
        assert_eq!(found.tls, [("ETCDCTL_CACERT", "/ca".to_owned())]);
        let found = of(&[&files[..], &secure, &["ETCD_CLIENT_CERT_AUTH=true"]].concat());
        assert_eq!(found.tls.len(), 3);
        assert_eq!(of(&files).tls, []);
    }

    #[test]
    fn the_command_line_wins() {
        let given = Given { endpoint: Some("http://b:1".to_owned()), data_dir: Some("/elsewhere".into()) };
        let found = running(&Tree::new().host, given).unwrap();
        assert_eq!((found.endpoint.as_str(), found.data_dir), ("http://b:1", "/elsewhere".into()));
    }

    #[test]
    fn a_stopped_member_is_known_by_the_file_of_the_unit_and_the_command_line() {
        let tree = Tree::new();
        let found = |peer: Option<&str>| stopped(&tree.host, Given::default(), peer.map(str::to_owned));
        let default = Stopped {
            data_dir: "/var/lib/etcd/default".into(),
            peer_url: "http://localhost:2380".to_owned(),
        };
        assert_eq!(found(None).unwrap(), default);
        tree.file(
            "/etc/default/etcd",
            "# mine\nETCD_DATA_DIR=\"/data\"\nETCD_INITIAL_ADVERTISE_PEER_URLS='http://a:2380'\n",
        );
        let of_file = Stopped { data_dir: "/data".into(), peer_url: "http://a:2380".to_owned() };
        assert_eq!(found(None).unwrap(), of_file);
        assert_eq!(found(Some("http://b:2380")).unwrap().peer_url, "http://b:2380");
        tree.file("/etc/default/etcd", "ETCD_WAL_DIR=/log\n");
        let err = found(None).unwrap_err().to_string();
        assert!(err.starts_with("etcd's log is in /log"), "{err}");
    }

    #[test]
    fn the_pace_is_told_if_it_is_set() {
        assert_eq!(of(&[]).pace, []);
        assert_eq!(of(&["ETCD_ELECTION_TIMEOUT=5000"]).pace, [("election_timeout", "5000".to_owned())]);
    }

    #[test]
    fn a_log_elsewhere_is_known() {
        assert_eq!(of(&["ETCD_WAL_DIR=/log"]).wal_dir, Some("/log".into()));
    }
}
