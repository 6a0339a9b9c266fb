//! Tests of the settings: what is read, what counts more, and what is refused with which words.

use super::*;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.conf");
    fs::write(&path, text).unwrap();
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load(Source::Named(&path), variables)
}

fn config(text: &str) -> Config {
    let loaded = read(text, &[]).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    loaded.config
}

/// What is refused, without the folder of the file.
fn refused(text: &str) -> String {
    let message = read(text, &[]).unwrap_err().to_string();
    message.rsplit_once("/fleet.conf").map_or(message.clone(), |(_, rest)| format!("fleet.conf{rest}"))
}

#[test]
fn without_a_file_all_is_as_documented() {
    let nowhere = Path::new("/nonexistent/fleet.conf");
    let Loaded { config, warnings } = load(Source::Usual(nowhere), []).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.etcd.servers, ["http://127.0.0.1:2379"]);
    assert_eq!(config.etcd.prefix, "/fleet/v1/");
    assert_eq!(config.units_directory, Path::new("/run/fleet/units"));
    assert_eq!(config.api.socket, Path::new("/run/fleet.sock"));
    assert_eq!((config.agent_ttl, config.grace), (Duration::from_secs(30), Duration::from_secs(30)));
    assert_eq!(config.engine.mass_loss_wait, Duration::from_secs(300));
    assert_eq!(config.engine.role, Role::Candidate);
    assert_eq!((config.token_limit, config.verbosity), (100, 0));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let err = load(Source::Named(Path::new("/nonexistent/fleet.conf")), []).unwrap_err();
    assert!(matches!(err, Error::Unreadable { .. }));
    assert!(err.to_string().starts_with("reading /nonexistent/fleet.conf: "), "{err}");
    let folder = tempfile::tempdir().unwrap();
    let err = load(Source::Usual(folder.path()), []).unwrap_err();
    assert!(matches!(err, Error::Unreadable { .. }), "a folder is no file: {err}");
}

#[test]
fn a_file_of_the_original_is_understood() {
    let text = r#"
# verbosity=0
verbosity=1
etcd_servers=["http://10.0.0.1:2379", "http://10.0.0.2:2379"]
etcd_request_timeout=2.5
public_ip="192.0.2.7"
metadata="region=us-west,az=us-west-1"
agent_ttl="60s"
engine_reconcile_interval=10
disable_engine=true
token_limit=50
systemd_user=false
"#;
    let config = config(text);
    assert_eq!(config.etcd.servers, ["http://10.0.0.1:2379", "http://10.0.0.2:2379"]);
    assert_eq!(config.etcd.timeout, Duration::from_millis(2500));
    assert_eq!(config.public_ip.unwrap().to_string(), "192.0.2.7");
    assert_eq!(config.metadata["az"], "us-west-1");
    assert_eq!(config.agent_ttl, Duration::from_secs(60));
    assert_eq!(config.engine.reconcile, Duration::from_secs(10));
    assert_eq!(config.engine.role, Role::Never);
    assert_eq!((config.token_limit, config.verbosity), (50, 1));
}

#[test]
fn what_has_nothing_left_to_do_is_said_once_each() {
    let text = "verify_units=true\nauthorized_keys_file=/x\nenable_grpc=false\ndisable_watches=true\n";
    let warnings = read(text, &[]).unwrap().warnings;
    assert_eq!(warnings.len(), 4);
    assert!(
        warnings[0].contains("fleet.conf:1: verify_units is ignored: units are not signed"),
        "{warnings:?}"
    );
}

#[test]
fn variables_count_more_than_the_file() {
    let loaded = read("agent_ttl=60s\ngrace=1m\n", &[("FLEET_AGENT_TTL", "90s"), ("PATH", "/bin")]).unwrap();
    assert_eq!(loaded.config.agent_ttl, Duration::from_secs(90));
    assert_eq!(loaded.config.grace, Duration::from_secs(60));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let empty = read("agent_ttl=60s\n", &[("FLEET_AGENT_TTL", "")]).unwrap();
    assert_eq!(empty.config.agent_ttl, Duration::from_secs(30), "an empty value is the default");
}

#[test]
fn a_wrong_variable_is_named() {
    let err = read("", &[("FLEET_AGENT_TTL", "soon")]).unwrap_err();
    assert_eq!(
        err.to_string(),
        "variable FLEET_AGENT_TTL: agent_ttl: `soon` is no time: write seconds, such as 30, or 30s, 1m30s, 500ms"
    );
}

#[test]
fn an_unknown_option_is_refused_and_an_unknown_variable_is_told() {
    assert_eq!(
        refused("\netcd_server=http://a:1\n"),
        "fleet.conf:2: etcd_server is no option of fleet; is etcd_servers meant?"
    );
    assert!(refused("colour=red\n").ends_with("remove it (docs/operating/fleet.md lists the options)"));
    let loaded = read("", &[("FLEET_METADATE", "a=b")]).unwrap();
    assert_eq!(
        loaded.warnings,
        ["variable FLEET_METADATE: metadate is no option of fleet; is metadata meant? (ignored)"]
    );
}

#[test]
fn options_that_need_others_are_refused_without_them() {
    assert_eq!(
        refused("etcd_servers=https://a:1\n"),
        "fleet.conf:1: etcd_servers needs etcd_cafile too: set it, or remove etcd_servers"
    );
    assert!(refused("etcd_keyfile=/k\n").contains("etcd_keyfile needs etcd_certfile too"));
    assert!(refused("etcd_username=u\n").contains("etcd_username needs etcd_password too"));
    assert!(
        refused("api_addresses=127.0.0.1:1\n").contains("needs api_cafile, api_certfile and api_keyfile")
    );
    assert!(refused("api_cafile=/ca\n").contains("api_cafile needs api_certfile too"));
    assert!(refused("api_certfile=/c\napi_keyfile=/k\n").contains("api_certfile needs api_cafile too"));
}

#[test]
fn tls_is_taken_whole() {
    let config = config(
        "etcd_servers=https://a:1\netcd_cafile=/ca\netcd_certfile=/c\netcd_keyfile=/k\n\
         api_addresses=[::]:49153\napi_cafile=/ca\napi_certfile=/c\napi_keyfile=/k\n",
    );
    let identity = Identity { certificate: "/c".into(), key: "/k".into() };
    assert_eq!(config.etcd.identity.as_ref(), Some(&identity));
    assert_eq!(config.api.addresses, ["[::]:49153".parse().unwrap()]);
    assert_eq!(config.api.tls.unwrap(), ApiTls { ca: "/ca".into(), identity });
}

#[test]
fn values_out_of_range_are_refused() {
    assert!(refused("agent_ttl=1s\n").contains("agent_ttl: 1 s is not from 6 s to 3600 s"));
    assert!(refused("token_limit=5000\n").contains("is no number of at most 100:"));
    assert!(refused("systemd_user=true\n").contains("system's service manager alone"));
}

#[test]
fn a_password_is_not_printed() {
    let shown = format!("{:?}", config("etcd_username=fleet\netcd_password=hunter2\n"));
    assert!(shown.contains("fleet") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn every_option_that_cloud_config_hands_over_is_known() {
    // The keys of `coreos.fleet`, which become variables of the unit.
    let keys = [
        "agent_ttl",
        "api_addresses",
        "api_cafile",
        "api_certfile",
        "api_keyfile",
        "authorized_keys_file",
        "disable_engine",
        "engine_mass_loss_wait",
        "engine_reconcile_interval",
        "engine_ttl",
        "etcd_cafile",
        "etcd_certfile",
        "etcd_keyfile",
        "etcd_key_prefix",
        "etcd_request_timeout",
        "etcd_servers",
        "etcd_username",
        "etcd_password",
        "grace",
        "metadata",
        "public_ip",
        "token_limit",
        "verbosity",
        "verify_units",
    ];
    let unknown: Vec<_> = keys.into_iter().filter(|key| options::find(key).is_none()).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}
