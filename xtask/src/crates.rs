//! The crates that are compiled into our programs: names and licences from cargo, hashes from `Cargo.lock`.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::Context as _;

use crate::cargo;
use crate::ctx::Ctx;

/// One crate of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crate {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SPDX expression of its manifest.
    pub licence: String,
    /// SHA-256 of its file in the registry.
    pub sha256: String,
}

/// What `cargo tree` puts between name and licence: no name has it.
const BETWEEN: &str = " | ";

/// Returns the crates that these packages of the workspace are compiled with, by name and version; not those of
/// build scripts and tests, nor those of the workspace itself.
pub fn of(ctx: &Ctx, packages: &[&str]) -> anyhow::Result<Vec<Crate>> {
    let format = format!("{{p}}{BETWEEN}{{l}}");
    let args = ["tree", "--locked", "--edges", "normal", "--target", "x86_64-unknown-linux-gnu"];
    let mut command = cargo::command(ctx, &args);
    command.args(["--prefix", "none", "--format", &format]);
    for package in packages {
        command.args(["--package", package]);
    }
    let output = command.stderr(Stdio::piped()).output().context("starting cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`cargo tree` failed: {}", said.trim());
    let listed = String::from_utf8(output.stdout).context("reading what `cargo tree` printed")?;
    let path = ctx.repo.join("Cargo.lock");
    let lock = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    joined(&listed, &sums(&lock))
}

/// Joins the lines of `cargo tree` with the sums of the lock.
fn joined(listed: &str, sums: &BTreeMap<(String, String), String>) -> anyhow::Result<Vec<Crate>> {
    let mut crates = BTreeMap::new();
    for line in listed.lines().map(|line| line.trim_end_matches(" (*)")).filter(|line| !line.is_empty()) {
        let wrong = || format!("`cargo tree` printed `{line}`: expected name, version and licence");
        let (package, licence) = line.split_once(BETWEEN).with_context(wrong)?;
        // What follows the version is a folder of the workspace, or that it is a macro.
        let mut words = package.split(' ');
        let name = words.next().with_context(wrong)?.to_owned();
        let version = words.next().and_then(|word| word.strip_prefix('v')).with_context(wrong)?.to_owned();
        if words.any(|word| word.starts_with("(/")) {
            continue;
        }
        let key = (name, version);
        let sha256 =
            sums.get(&key).with_context(|| format!("Cargo.lock has no sum of {} {}", key.0, key.1))?;
        let licence = licence.trim_end_matches(" (*)").to_owned();
        anyhow::ensure!(!licence.is_empty(), "crate {} {} names no licence", key.0, key.1);
        crates.insert(key, (licence, sha256.clone()));
    }
    let of = |((name, version), (licence, sha256))| Crate { name, version, licence, sha256 };
    Ok(crates.into_iter().map(of).collect())
}

/// The sums of a lock by name and version; packages of the workspace have none. The file is written by cargo alone, one
/// field a line.
fn sums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut sums = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            line.and_then(|value| value.strip_suffix('"')).map(str::to_owned)
        };
        if let (Some(name), Some(version), Some(sum)) = (field("name"), field("version"), field("checksum")) {
            sums.insert((name, version), sum);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n\
                        checksum = \"11\"\ndependencies = [\n \"own\",\n]\n\n[[package]]\nname = \"own\"\n\
                        version = \"0.1.0\"\n";

    #[test]
    fn crates_have_the_licence_of_cargo_and_the_sum_of_the_lock() {
        let listed =
            "own v0.1.0 (/x/crates/own) | Apache-2.0\na v1.0.0 | MIT\na v1.0.0 (proc-macro) | MIT (*)\n\n";
        let found = joined(listed, &sums(LOCK)).unwrap();
        let expected = Crate {
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
            sha256: "11".to_owned(),
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_crate_without_sum_or_licence_is_refused() {
        let error = |listed: &str| joined(listed, &sums(LOCK)).unwrap_err().to_string();
        assert!(error("b v1.0.0 | MIT").contains("no sum of b 1.0.0"));
        assert!(error("a v1.0.0 | ").contains("names no licence"));
        assert!(error("a 1.0.0").contains("expected name, version and licence"));
    }
}
