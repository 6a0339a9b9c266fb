//! What a plan must know of the machine: read once, before anything changes.

use std::collections::{BTreeMap, BTreeSet};

use agent_support::host::Host;
use anyhow::Context;

use crate::apply::accounts::Accounts;
use crate::apply::manifest::Manifest;
use crate::apply::tree::{Found, Tree};
use crate::model::{Config, Secret};
use crate::plan::unit_file_name;
use crate::settings;

/// Where units are, the strongest first.
const UNIT_FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];
/// Services that a plan must know of whatever the configuration says.
const SERVICES: [&str; 1] = [LOCKSMITH];

/// The service that reboots one machine of a cluster after the other.
pub const LOCKSMITH: &str = "locksmithd.service";

/// What is known of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its id.
    pub machine_id: Option<String>,
    /// The name it has now; unknown below another root.
    pub hostname: Option<String>,
    /// Its users.
    pub users: BTreeMap<String, UserFact>,
    /// Its groups.
    pub groups: BTreeSet<String>,
    /// Text of `/etc/environment`.
    pub environment: String,
    /// Those units of the configuration that it has without: by name, file and text.
    pub units: BTreeMap<String, UnitFact>,
    /// Whether it knows the configuration's time zone.
    pub has_zone: bool,
    /// What stands in the place of GitHub.
    pub github: Option<String>,
    /// Paths that earlier configurations made.
    pub made: BTreeSet<String>,
}

/// A user of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFact {
    /// Home folder.
    pub home: String,
    /// Groups that list the user.
    pub groups: BTreeSet<String>,
    /// Hash of the password, if it can be read.
    pub hash: Option<Secret>,
}

/// A unit's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFact {
    /// Path.
    pub path: String,
    /// Text; empty of a link.
    pub text: String,
}

/// Reads what a plan for `config` must know.
pub fn read(tree: &Tree, config: &Config) -> anyhow::Result<Facts> {
    let text = |path: &str| -> anyhow::Result<Option<String>> {
        let Found::File(file) = tree.find(path)? else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(&file.bytes).into_owned()))
    };
    let machine_id = text("/etc/machine-id")?.map(|text| text.trim().to_owned());
    let names = config.units.iter().map(|unit| unit.name.as_str()).chain(SERVICES);
    let mut units = BTreeMap::new();
    for name in names {
        if let Some(unit) = unit(tree, name)? {
            units.insert(name.to_owned(), unit);
        }
    }
    let zone = config.timezone.as_ref().map(|zone| format!("/usr/share/zoneinfo/{zone}"));
    // A zone may be a link to another name of it.
    let has_zone = zone.map(|path| tree.find(&path)).transpose()?;
    let accounts = Accounts::read(tree).context("reading users and groups")?;
    Ok(Facts {
        machine_id: machine_id.filter(|id| id.len() == 32),
        hostname: if tree.is_host() { text("/proc/sys/kernel/hostname")? } else { None }
            .map(|name| name.trim().to_owned()),
        users: accounts.facts(),
        groups: accounts.group_names(),
        environment: text("/etc/environment")?.unwrap_or_default(),
        units,
        has_zone: matches!(has_zone, Some(Found::File(_) | Found::Link(_))),
        github: Some(settings::read(&Host::new(tree.root().to_owned())).0.github),
        made: Manifest::read(tree)?.paths(),
    })
}

fn unit(tree: &Tree, name: &str) -> anyhow::Result<Option<UnitFact>> {
    for folder in UNIT_FOLDERS {
        let path = format!("{folder}/{}", unit_file_name(name));
        match tree.find(&path)? {
            // A mask is no unit.
            Found::Link(target) if target == "/dev/null" => return Ok(None),
            Found::Link(_) => return Ok(Some(UnitFact { path, text: String::new() })),
            Found::File(file) => {
                let text = String::from_utf8_lossy(&file.bytes).into_owned();
                return Ok(Some(UnitFact { path, text }));
            }
            Found::Nothing | Found::Other => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::Unit;

    #[test]
    fn a_folder_of_files_is_a_machine() {
        let dir = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        file("etc/passwd", "core:x:500:500::/home/core:/bin/bash\n");
        file("etc/group", "core:x:500:\nsudo:x:27:core\n");
        file("usr/lib/systemd/system/a.service", "[Install]\n");
        file("usr/share/zoneinfo/UTC", "");
        let unit = |name: &str| Unit { name: name.to_owned(), ..Unit::default() };
        let config = Config {
            units: vec![unit("a.service"), unit("b.service")],
            timezone: Some("UTC".to_owned()),
            ..Config::default()
        };
        let facts = read(&Tree::open(dir.path()).unwrap(), &config).unwrap();
        assert_eq!(facts.machine_id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!(facts.units.keys().collect::<Vec<_>>(), ["a.service"]);
        assert_eq!(facts.users["core"].groups, BTreeSet::from(["sudo".to_owned()]));
        assert!(facts.has_zone && facts.groups.contains("sudo"));
        assert_eq!(facts.hostname, None);
    }
}
