//! Rules about dependencies: which of our crates may know which, and deny.toml, from cargo's own metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use super::{assert_none, read, repo, tracked_ending};

/// What each of our crates may depend on among them. A new crate takes its place here.
const ALLOWED: [(&str, &[&str]); 25] = [
    // Formats: nothing of ours, except that a disk has slots.
    ("deb", &[]),
    ("disk-image", &["slots"]),
    ("payload", &[]),
    ("slots", &[]),
    ("uki", &[]),
    ("verity", &[]),
    ("write-log", &[]),
    // Which device may take an image, and how it gets it: formats.
    ("flash", &["disk-image", "slots"]),
    // Machines know nothing of what runs in them.
    ("vm", &[]),
    // Processes of etcd, for tests.
    ("etcd-lab", &[]),
    // How agents ask etcd.
    ("etcd-rpc", &[]),
    // What fleet decides knows nobody; its programs know that and etcd.
    ("fleet-core", &[]),
    ("fleet", &["etcd-rpc", "fleet-core"]),
    // What locksmith decides: versions in their order.
    ("locksmith-core", &["slots"]),
    // A web server for one folder, of machines and tests.
    ("file-server", &[]),
    // What agents share of the machine: formats of the machine.
    ("agent-support", &["disk-image", "slots", "uki", "verity"]),
    // How those agents ask web servers that are not in the initrd.
    ("http-get", &["agent-support"]),
    // Agents: that, formats, and how a disk is written, never each other.
    ("slipway", &["agent-support", "disk-image", "flash", "slots", "uki", "verity"]),
    ("update-agent", &["agent-support", "disk-image", "http-get", "payload", "slots", "uki", "verity"]),
    ("cloud-config", &["agent-support", "http-get"]),
    // It knows the others by what their programs print, and versions by their order.
    ("cluster-page", &["slots"]),
    ("locksmith", &["agent-support", "etcd-rpc", "locksmith-core", "slots"]),
    (
        "e2e",
        &[
            "disk-image",
            "etcd-lab",
            "file-server",
            "flash",
            "http-get",
            "payload",
            "slots",
            "uki",
            "verity",
            "vm",
            "write-log",
        ],
    ),
    // What each parser of foreign bytes must hold.
    (
        "slipway-fuzz",
        &[
            "cloud-config",
            "deb",
            "disk-image",
            "fleet-core",
            "locksmith-core",
            "payload",
            "slots",
            "uki",
            "verity",
            "write-log",
        ],
    ),
    (
        "xtask",
        &[
            "cloud-config",
            "deb",
            "disk-image",
            "etcd-lab",
            "file-server",
            "flash",
            "payload",
            "slots",
            "uki",
            "verity",
            "vm",
            "write-log",
        ],
    ),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    path: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
    reason: String,
    /// Crates that may have it all the same.
    #[serde(default)]
    wrappers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    unknown_registry: String,
    unknown_git: String,
    allow_registry: Vec<String>,
}

fn metadata() -> Metadata {
    // Without a network: cargo has what it compiled this test from.
    let args = ["metadata", "--format-version=1", "--locked", "--offline"];
    let out = Command::new(env!("CARGO"))
        .current_dir(repo())
        .args(args)
        .arg("--filter-platform=x86_64-unknown-linux-gnu")
        .output()
        .unwrap();
    assert!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn deny() -> Deny {
    toml::from_str(&read("deny.toml")).unwrap()
}

#[test]
fn our_crates_depend_on_each_other_in_one_direction() {
    let allowed: BTreeMap<_, _> = ALLOWED.into();
    let mut found = Vec::new();
    for package in metadata().packages.iter().filter(|package| package.source.is_none()) {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            found.push(format!("{}: not in the list of xtask/src/tidy/dependencies.rs", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let is_test = dependency.kind.as_deref() == Some("dev");
            if !is_test && !allowed.contains(&dependency.name.as_str()) {
                found.push(format!("{} must not depend on {}", package.name, dependency.name));
            }
        }
    }
    assert_none("dependencies between our crates", &found);
}

#[test]
fn licences_are_allowed_by_deny_toml() {
    let allowed: BTreeSet<String> = deny().licenses.allow.into_iter().collect();
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for Package { name, version, license, .. } in metadata().packages {
        let Some(text) = license else {
            found.push(format!("{name} {version}: no licence"));
            continue;
        };
        let expression = spdx::Expression::parse_mode(&text, spdx::ParseMode::LAX).unwrap();
        let ok = expression.evaluate(|wanted| {
            let allowed = allowed.contains(&wanted.to_string());
            if allowed {
                used.insert(wanted.to_string());
            }
            allowed
        });
        if !ok {
            found.push(format!("{name} {version}: {text}"));
        }
    }
    assert_none("licences that deny.toml does not allow", &found);
    assert_none(
        "licences that deny.toml allows and nothing has",
        &allowed.difference(&used).cloned().collect::<Vec<_>>(),
    );
}

#[test]
fn no_banned_crate_is_used() {
    let packages = metadata().packages;
    let banned = deny().bans.deny;
    assert!(!banned.is_empty());
    // What others test with is not compiled here.
    let is_built =
        |package: &Package, it: &Dependency| package.source.is_none() || it.kind.as_deref() != Some("dev");
    let depends = |package: &Package, name: &str| {
        package.dependencies.iter().any(|it| it.name == name && is_built(package, it))
    };
    let used = |ban: &Ban| {
        let is_there = packages.iter().any(|package| package.name == ban.name);
        let mut users = packages.iter().filter(|package| depends(package, &ban.name));
        is_there && (ban.wrappers.is_empty() || users.any(|user| !ban.wrappers.contains(&user.name)))
    };
    let found: Vec<_> =
        banned.iter().filter(|ban| used(ban)).map(|ban| format!("{}: {}", ban.name, ban.reason)).collect();
    assert_none("banned crates", &found);
}

#[test]
fn code_is_generated_by_tests_alone() {
    let packages = metadata().packages;
    let ours = packages.iter().filter(|package| package.source.is_none());
    let mut found = Vec::new();
    for package in ours {
        let generators = package
            .dependencies
            .iter()
            .filter(|it| ["protox", "tonic-prost-build"].contains(&it.name.as_str()));
        let shipped = generators.filter(|it| it.kind.as_deref() != Some("dev"));
        found.extend(shipped.map(|it| format!("{}: {}", package.name, it.name)));
    }
    assert_none("generators of code in builds", &found);
}

#[test]
fn every_crate_comes_from_an_allowed_registry() {
    let Sources { unknown_registry, unknown_git, allow_registry } = deny().sources;
    assert_eq!([unknown_registry.as_str(), unknown_git.as_str()], ["deny", "deny"]);
    let allowed: Vec<String> = allow_registry.iter().map(|url| format!("registry+{url}")).collect();
    let is_foreign =
        |package: &Package| package.source.as_ref().is_some_and(|source| !allowed.contains(source));
    let packages = metadata().packages;
    let found: Vec<_> =
        packages.iter().filter(|package| is_foreign(package)).map(|p| p.name.clone()).collect();
    assert_none("crates from elsewhere", &found);
}

#[test]
fn dependencies_of_one_crate_alone_say_why() {
    let mut found = Vec::new();
    for path in tracked_ending(&["/Cargo.toml"]) {
        let mut in_dependencies = false;
        let mut commented = false;
        for line in read(&path).lines().map(str::trim) {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            }
            let own = line.contains(" = ") && !line.contains("workspace = true");
            if in_dependencies && own && !line.contains('#') && !commented {
                found.push(format!("{path}: {line}"));
            }
            commented = line.starts_with('#');
        }
    }
    assert_none("dependencies without a comment that says what for", &found);
}
