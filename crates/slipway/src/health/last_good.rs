//! What the last good boot had: `/var/lib/slipway/health/last-good.json`, by which the next boots are judged.
//!
//! | field | type | meaning |
//! | --- | --- | --- |
//! | `format` | number | 1 |
//! | `default_routes` | list | families that had a default route: `ipv4`, `ipv6` |
//! | `update_server` | object | `state`: `unknown`, `not-configured`, or `unreached` or `reached` with `server` (`host:port`) |
//! | `failed_units` | list of text | units that were in failed state |
//! | `degraded_units` | list of text | units that were in failed state when, since then, a blessed boot was found degraded |
//!
//! Replaced when a boot is found good.
//! A file that is missing, unreadable, or of another format says that nothing is known: then only what needs no
//! knowledge is checked.

use std::fs;
use std::path::Path;

use agent_support::durable;
use agent_support::host::Host;
use anyhow::Context;
use serde::{Deserialize, Serialize};

const FILE: &str = "/var/lib/slipway/health/last-good.json";
const FORMAT: u32 = 1;
const FILE_MAX: u64 = 64 * 1024;

/// What a boot had, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastGood {
    /// Families that had a default route.
    pub default_routes: Vec<Family>,
    /// Whether the update server could be reached.
    pub update_server: UpdateServer,
    /// Units in failed state.
    pub failed_units: Vec<String>,
    /// Units in failed state on a blessed boot that was found degraded, after the last good one.
    ///
    /// Their failing is no fault of a version that comes later.
    pub degraded_units: Vec<String>,
}

/// Families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// What is known of the update server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum UpdateServer {
    /// Nothing.
    #[default]
    Unknown,
    /// The settings name none.
    NotConfigured,
    /// It took no connection.
    Unreached {
        /// Host and port.
        server: String,
    },
    /// It took a connection.
    Reached {
        /// Host and port.
        server: String,
    },
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    #[serde(flatten)]
    what: LastGood,
}

/// Returns what is known; nothing if there is no record that can be read.
pub fn load(host: &Host) -> LastGood {
    read(&host.path(FILE)).unwrap_or_default()
}

/// Replaces the record, unless it says the same already.
pub fn store(host: &Host, what: &LastGood) -> anyhow::Result<()> {
    let path = host.path(FILE);
    if read(&path).as_ref() == Some(what) {
        return Ok(());
    }
    let bytes = serde_json::to_vec(&File { format: FORMAT, what: what.clone() })
        .context("writing what this boot has")?;
    durable::write(&path, &bytes)
}

/// Returns `before` with what was seen later in the same boot: what is lost by then may come back and stays in.
pub fn completed(before: LastGood, now: LastGood) -> LastGood {
    let has = |family: &Family| before.default_routes.contains(family) || now.default_routes.contains(family);
    let default_routes = [Family::Ipv4, Family::Ipv6].into_iter().filter(has).collect();
    let update_server = match (before.update_server, now.update_server) {
        (UpdateServer::Reached { server: before }, UpdateServer::Unreached { server })
            if before == server =>
        {
            UpdateServer::Reached { server }
        }
        (_, now) => now,
    };
    // Degraded since then is what `before` says; a unit that was repaired is no longer excused.
    LastGood {
        default_routes,
        update_server,
        failed_units: now.failed_units,
        degraded_units: before.degraded_units,
    }
}

fn read(path: &Path) -> Option<LastGood> {
    // Every failure means the same, that nothing is known: see the module's words.
    if FILE_MAX < fs::metadata(path).ok()?.len() {
        return None;
    }
    let file: File = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (file.format == FORMAT).then_some(file.what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    fn sample() -> LastGood {
        LastGood {
            default_routes: vec![Family::Ipv4, Family::Ipv6],
            update_server: UpdateServer::Reached { server: "updates.example:443".to_owned() },
            failed_units: vec!["backup.service".to_owned()],
            degraded_units: Vec::new(),
        }
    }

    #[test]
    fn the_next_boot_reads_what_was_stored() {
        let tree = Tree::new();
        assert_eq!(load(&tree.host), LastGood::default());
        for what in [sample(), LastGood::default()] {
            store(&tree.host, &what).unwrap();
            assert_eq!(load(&tree.host), what);
        }
    }

    #[test]
    fn the_file_has_the_documented_shape() {
        let tree = Tree::new();
        store(&tree.host, &sample()).unwrap();
        expect_test::expect![[r#"{"format":1,"default_routes":["ipv4","ipv6"],"update_server":{"state":"reached","server":"updates.example:443"},"failed_units":["backup.service"],"degraded_units":[]}"#]]
            .assert_eq(&tree.host.read(FILE).unwrap().unwrap());
    }

    #[test]
    fn fields_of_another_writer_do_not_matter() {
        let tree = Tree::new();
        tree.file(FILE, r#"{"format":1,"default_routes":["ipv6"],"clock":"synchronised"}"#);
        let expected = LastGood { default_routes: vec![Family::Ipv6], ..LastGood::default() };
        assert_eq!(load(&tree.host), expected);
    }

    #[test]
    fn a_later_look_adds_and_takes_no_network_back() {
        let unreached = |server: &str| UpdateServer::Unreached { server: server.to_owned() };
        let later =
            |default_routes, update_server| LastGood { default_routes, update_server, ..LastGood::default() };
        let empty = completed(LastGood::default(), later(vec![Family::Ipv6], unreached("b:80")));
        assert_eq!(empty, later(vec![Family::Ipv6], unreached("b:80")));
        let lost = completed(sample(), later(vec![], unreached("updates.example:443")));
        assert_eq!(lost, LastGood { failed_units: Vec::new(), ..sample() });
        let moved = completed(sample(), later(vec![], unreached("b:80")));
        assert_eq!(moved.update_server, unreached("b:80"));
    }

    #[test]
    fn an_unreadable_record_says_nothing() {
        let tree = Tree::new();
        let of_another_format = serde_json::to_string(&File { format: 2, what: sample() }).unwrap();
        for text in
            ["", "{\"format\":1,", "[]", r#"{"format":1,"default_routes":["ipx"]}"#, &of_another_format]
        {
            tree.file(FILE, text);
            assert_eq!(load(&tree.host), LastGood::default(), "{text}");
        }
        tree.file(FILE, vec![b' '; usize::try_from(FILE_MAX).unwrap() + 1]);
        assert_eq!(load(&tree.host), LastGood::default());
    }
}
