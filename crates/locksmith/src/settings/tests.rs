//! What the settings are made of, and what is said of those that cannot be meant.

use agent_support::testing::Tree;
use clap::Parser as _;

use super::*;
use crate::flags::{Ctl, with_two_dashes};

fn resolve(flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, Error> {
    let words = std::iter::once(&"locksmithctl").chain(flags).map(Into::into).collect();
    let flags = Ctl::parse_from(with_two_dashes(words)).global;
    Settings::resolve(Program::Ctl, &flags, find(variables))
}

fn pace(variables: &[(&str, &str)]) -> Result<Pace, Error> {
    Pace::resolve(&Daemon::parse_from(["locksmithd"]), find(variables))
}

fn find<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

#[track_caller]
fn check_wrong(variables: &[(&str, &str)], expected: &str) {
    let err = resolve(&[], variables).unwrap_err().to_string();
    assert_eq!(err, expected);
}

#[test]
fn without_anything_etcd_is_on_this_machine_and_the_group_has_no_name() {
    let settings = resolve(&[], &[]).unwrap();
    assert_eq!(settings.etcd.endpoints, ENDPOINTS);
    assert!(settings.etcd.tls.is_none() && settings.etcd.user.is_none());
    assert_eq!(settings.key, "/coreos.com/updateengine/rebootlock/semaphore");
    let pace = pace(&[]).unwrap();
    assert_eq!((pace.window, pace.drain_timeout, pace.break_stale), (None, DRAIN_TIMEOUT, None));
}

#[test]
fn a_flag_wins_over_its_variable_and_an_empty_variable_is_not_set() {
    let variables = [("LOCKSMITHCTL_ENDPOINT", "http://a:1, http://b:2/"), ("LOCKSMITHCTL_GROUP", "")];
    let settings = resolve(&["-group", "db east"], &variables).unwrap();
    assert_eq!(settings.etcd.endpoints, ["http://a:1", "http://b:2"]);
    assert_eq!(settings.key, "/coreos.com/updateengine/rebootlock/groups/db+east/semaphore");
    let settings = resolve(&["-endpoint", "http://c:3"], &variables).unwrap();
    assert_eq!(
        (settings.etcd.endpoints.as_slice(), settings.group.as_str()),
        (&["http://c:3".to_owned()][..], "")
    );
}

#[test]
fn certificates_are_read_from_their_files() {
    let tree = Tree::new();
    tree.file("/ca", "CA").file("/cert", "CERT").file("/key", "KEY");
    let path = |name: &str| tree.host.path(name).display().to_string();
    let (ca, certificate, key) = (path("/ca"), path("/cert"), path("/key"));
    let variables = [
        ("LOCKSMITHCTL_ENDPOINT", "https://a:1"),
        ("LOCKSMITHCTL_ETCD_CAFILE", ca.as_str()),
        ("LOCKSMITHCTL_ETCD_CERTFILE", certificate.as_str()),
        ("LOCKSMITHCTL_ETCD_USERNAME", "u"),
        ("LOCKSMITHCTL_ETCD_PASSWORD", "p"),
    ];
    let tls = resolve(&["-etcd-keyfile", &key], &variables).unwrap().etcd;
    assert_eq!(tls.user, Some(("u".to_owned(), "p".to_owned())));
    let tls = tls.tls.unwrap();
    let identity = tls.identity.unwrap();
    assert_eq!(
        (tls.ca, identity.certificate, identity.key),
        (b"CA".to_vec(), b"CERT".to_vec(), b"KEY".to_vec())
    );
}

#[test]
fn what_is_wrong_is_named_with_its_remedy() {
    check_wrong(
        &[("LOCKSMITHCTL_ENDPOINT", "http://a:1,b:2")],
        "LOCKSMITHCTL_ENDPOINT: `b:2` is no URL of etcd; write http://HOST:PORT or https://HOST:PORT",
    );
    check_wrong(
        &[("LOCKSMITHCTL_ENDPOINT", "https://a:1")],
        "LOCKSMITHCTL_ENDPOINT has an https URL, and LOCKSMITHCTL_ETCD_CAFILE is not set; name the file with the \
         authority's certificate",
    );
    check_wrong(
        &[("LOCKSMITHCTL_ETCD_PASSWORD", "p")],
        "LOCKSMITHCTL_ETCD_PASSWORD is set and LOCKSMITHCTL_ETCD_USERNAME is not; set both or neither",
    );
    check_wrong(
        &[("LOCKSMITHCTL_ETCD_KEYFILE", "/k")],
        "LOCKSMITHCTL_ETCD_KEYFILE is set and LOCKSMITHCTL_ETCD_CAFILE is not; set both or neither",
    );
    let err = resolve(&["-etcd-cafile", "/no/such/ca"], &[]).unwrap_err().to_string();
    assert!(
        err.starts_with("--etcd-cafile: reading /no/such/ca: ") && err.ends_with("or name another"),
        "{err}"
    );
    let err = resolve(&["-group", "a\nb"], &[]).unwrap_err().to_string();
    assert!(err.starts_with("--group: the name of the group has a control character"), "{err}");
}

#[tokio::test]
async fn a_file_that_is_no_certificate_is_found_before_etcd_is_asked() {
    let tree = Tree::new();
    tree.file("/ca", "no PEM");
    let path = tree.host.path("/ca").display().to_string();
    let settings = resolve(&["-endpoint", "https://127.0.0.1:1", "-etcd-cafile", &path], &[]).unwrap();
    let err = settings.client(Program::Ctl).unwrap_err().to_string();
    assert!(err.starts_with("LOCKSMITHCTL_ENDPOINT, LOCKSMITHCTL_ETCD_…: the CA's file"), "{err}");
}

#[test]
fn the_window_has_two_names_and_both_halves() {
    let window = |variables: &[(&str, &str)]| pace(variables).map(|pace| pace.window.is_some());
    let length = ("LOCKSMITHD_REBOOT_WINDOW_LENGTH", "1h");
    assert!(window(&[("LOCKSMITHD_REBOOT_WINDOW_START", "Thu 04:00"), length]).unwrap());
    assert!(window(&[("REBOOT_WINDOW_START", "04:00"), ("REBOOT_WINDOW_LENGTH", "1h")]).unwrap());
    let err = window(&[("REBOOT_WINDOW_START", "25:00"), length]).unwrap_err().to_string();
    assert!(err.starts_with("REBOOT_WINDOW_START=25:00 is no start of a window"), "{err}");
    let err = window(&[length]).unwrap_err().to_string();
    assert!(
        err.starts_with("LOCKSMITHD_REBOOT_WINDOW_LENGTH is set and LOCKSMITHD_REBOOT_WINDOW_START"),
        "{err}"
    );
}

#[test]
fn times_have_limits() {
    let told = pace(&[("LOCKSMITHD_DRAIN_TIMEOUT", "90s"), ("LOCKSMITHD_BREAK_STALE", "6h")]).unwrap();
    assert_eq!((told.drain_timeout.as_secs(), told.break_stale.unwrap().as_secs()), (90, 21_600));
    let err = pace(&[("LOCKSMITHD_BREAK_STALE", "5m")]).unwrap_err().to_string();
    assert_eq!(err, "LOCKSMITHD_BREAK_STALE=5m is no time from 10m to 720h; write it as 10m, 1h30m or 90s");
    let err = pace(&[("LOCKSMITHD_DRAIN_TIMEOUT", "soon")]).unwrap_err().to_string();
    assert!(err.starts_with("LOCKSMITHD_DRAIN_TIMEOUT=soon is no time from 1s to 24h"), "{err}");
}

#[test]
fn the_strategy_is_read_where_the_update_agent_reads_it() {
    let tree = Tree::new();
    assert_eq!(strategy(&tree.host).unwrap(), Strategy::Reboot);
    tree.file("/usr/lib/slipway/update.conf.d/10-defaults.conf", "REBOOT_STRATEGY=reboot\n")
        .file("/etc/slipway/update.conf", "REBOOT_STRATEGY=best-effort\n")
        .file("/etc/slipway/update.conf.d/20-cloudinit.conf", "# x\nREBOOT_STRATEGY=etcd-lock\n");
    assert_eq!(strategy(&tree.host).unwrap(), Strategy::EtcdLock);
    tree.file("/etc/slipway/update.conf.d/20-cloudinit.conf", "# x\nREBOOT_STRATEGY=never\n");
    let err = strategy(&tree.host).unwrap_err().to_string();
    assert!(
        err.starts_with("/etc/slipway/update.conf.d/20-cloudinit.conf:2: REBOOT_STRATEGY=never is no"),
        "{err}"
    );
}
