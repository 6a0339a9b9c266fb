//! apt of the tools tree, without network and with indexes that were checked before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use vm::sandbox::Sandbox;

use super::archive::Archive;
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::durable;
use crate::lock::Row;
use crate::log::Cancel;

/// Host of the sources that apt is shown; it never asks it, the name ends up in file names only.
const HOST: &str = "mirror.invalid";

/// How much of apt's output an error shows, in lines.
const TAIL: usize = 20;

/// An apt that sees an empty system and the archive.
#[derive(Debug)]
pub struct Apt {
    sandbox: Sandbox,
    dir: PathBuf,
    cancel: Cancel,
    /// By SHA-256.
    rows: BTreeMap<String, Row>,
}

impl Apt {
    /// Writes apt's state into `target/lock`.
    pub fn prepare(
        ctx: &Ctx,
        tree: &Path,
        definition: &Definition,
        archive: &Archive,
    ) -> anyhow::Result<Self> {
        let dir = ctx.target.join("lock");
        durable::remove_if_there(&dir)?;
        for sub in ["lists/partial", "cache/archives/partial", "state"] {
            let sub = dir.join(sub);
            fs::create_dir_all(&sub).with_context(|| format!("creating {}", sub.display()))?;
        }
        let write = |path: &str, text: &str| {
            let path = dir.join(path);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        let arch = &definition.archive.architecture;
        let components = definition.archive.components.join(" ");
        let mut sources = String::new();
        for suite in &archive.suites {
            let line =
                format!("deb [trusted=yes] http://{HOST}/{} {} {components}", suite.archive, suite.suite);
            writeln!(sources, "{line}")?;
            let list =
                format!("lists/{HOST}_{}_dists_{}", list_name(&suite.archive), list_name(&suite.suite));
            write(&format!("{list}_Release"), &suite.release)?;
            for (component, text) in &suite.indexes {
                write(&format!("{list}_{}_binary-{arch}_Packages", list_name(component)), text)?;
            }
        }
        write("sources.list", &sources)?;
        write("status", "")?;
        write("apt.conf", &configuration(&dir, arch))?;
        let sandbox =
            Sandbox::new(tree).bind(&dir).without_network().setenv("APT_CONFIG", dir.join("apt.conf"));
        sandbox.probe().context("running apt from the tools tree")?;
        Ok(Self { sandbox, dir, cancel: ctx.cancel.clone(), rows: archive.rows() })
    }

    /// Returns what an empty system needs for these packages, in no group yet, by name.
    pub fn resolve(&self, names: &[&str]) -> anyhow::Result<Vec<Row>> {
        let mut command = self.sandbox.command("apt-get");
        command.args(["--quiet=2", "--print-uris", "install"]).args(names);
        let out = command.output().context("starting apt-get of the tools tree")?;
        // Ctrl-C reaches apt as well; that it failed is then no news.
        self.cancel.check()?;
        if !out.status.success() {
            let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
            bail!("apt-get cannot resolve the packages of image/image.yaml:\n{tail}");
        }
        let text = String::from_utf8(out.stdout).context("reading what apt-get printed")?;
        let mut rows = text.lines().map(|line| self.row(line)).collect::<anyhow::Result<Vec<_>>>()?;
        rows.sort();
        Ok(rows)
    }

    /// Looks up a line `'URI' FILE SIZE SHA256:HASH`.
    fn row(&self, line: &str) -> anyhow::Result<Row> {
        let sha256 = line.rsplit_once(" SHA256:").map(|(_, sum)| sum.trim());
        let row = sha256.and_then(|sum| self.rows.get(sum));
        row.cloned().with_context(|| format!("apt-get in {} printed `{line}`", self.dir.display()))
    }
}

/// apt escapes an underscore in the names of its lists, and turns slashes into underscores.
fn list_name(part: &str) -> String {
    part.replace('_', "%5f").replace('/', "_")
}

fn configuration(dir: &Path, arch: &str) -> String {
    let dir = dir.display();
    format!(
        r#"Dir::State "{dir}/state";
Dir::State::status "{dir}/status";
Dir::State::lists "{dir}/lists";
Dir::Cache "{dir}/cache";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "/dev/null";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "0";
APT::Install-Suggests "0";
APT::Sandbox::User "";
APT::Get::Assume-Yes "1";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Debug::NoLocking "1";
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_names_are_those_of_apt() {
        assert_eq!(list_name("debian-security"), "debian-security");
        assert_eq!(list_name("a/b_c"), "a_b%5fc");
    }
}
