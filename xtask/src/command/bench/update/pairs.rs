//! The pairs of versions that are measured, from `image/update-pairs.yaml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::lock::{Lock, Row};

const SCHEMA: u32 = 1;

/// Two versions of the image that differ in a known way.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// One word.
    pub name: String,
    /// How the two differ.
    pub about: String,
    /// Most of the payload that an update may fetch, in percent.
    pub percent_max: f64,
    /// Whether our programs differ.
    pub agents: Agents,
    /// Packages of the old version only.
    pub old: Vec<Row>,
    /// Packages of the new version only.
    pub new: Vec<Row>,
}

/// Our programs of the new version.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Agents {
    /// Those of the old one.
    #[default]
    Same,
    /// Compiled again, with the version of the new one.
    Rebuilt,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: u32,
    pairs: Vec<WirePair>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePair {
    name: String,
    about: String,
    percent_max: f64,
    #[serde(default)]
    agents: Agents,
    #[serde(default)]
    old: Vec<String>,
    #[serde(default)]
    new: Vec<String>,
    #[serde(default)]
    together: Vec<String>,
}

/// Reads the file.
pub fn read(path: &Path) -> anyhow::Result<Vec<Pair>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| format!("reading {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<Pair>> {
    let wire: Wire = serde_yaml::from_str(text)?;
    anyhow::ensure!(wire.schema == SCHEMA, "schema {} is not known, only {SCHEMA}", wire.schema);
    let mut pairs: Vec<Pair> = Vec::new();
    for found in wire.pairs {
        let rows = |lines: &[String]| -> anyhow::Result<Vec<Row>> {
            lines
                .iter()
                .map(|line| Row::parse(line).with_context(|| format!("{}: `{line}`", found.name)))
                .collect()
        };
        let mut pair = Pair {
            old: rows(&found.old)?,
            new: rows(&found.new)?,
            name: found.name,
            about: found.about,
            percent_max: found.percent_max,
            agents: found.agents,
        };
        for name in &found.together {
            let part = pairs.iter().find(|part| part.name == *name);
            let part = part.with_context(|| format!("{}: no pair `{name}` in front of it", pair.name))?;
            pair.old.extend(part.old.iter().cloned());
            pair.new.extend(part.new.iter().cloned());
            if part.agents == Agents::Rebuilt {
                pair.agents = Agents::Rebuilt;
            }
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

impl Pair {
    /// Returns all packages that the pair needs beside those of the lock.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.old.iter().chain(&self.new)
    }

    /// Returns `base` with the rows of one side in place of all packages that come from the same sources as any of
    /// the pair's: packages of a kernel have other names in each version.
    pub fn lock(&self, base: &Lock, side: &[Row]) -> Lock {
        let sources: BTreeSet<&str> = self.rows().map(source).collect();
        let kept = base.rows.iter().filter(|row| !sources.contains(source(row)));
        let mut rows: Vec<Row> = kept.chain(side).cloned().collect();
        rows.sort();
        Lock { rows, ..base.clone() }
    }
}

/// The folder of a package's source in an archive's pool, which has the source's name.
fn source(row: &Row) -> &str {
    row.path.rsplit('/').nth(1).unwrap_or(&row.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn line(name: &str, source: &str) -> String {
        format!("image {name} 1 amd64 debian pool/main/x/{source}/{name}_1.deb 12 {SUM}")
    }

    #[test]
    fn the_committed_pairs_are_read() {
        let pairs = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../image/update-pairs.yaml")).unwrap();
        let names: Vec<_> = pairs.iter().map(|pair| pair.name.as_str()).collect();
        assert_eq!(names, ["agent", "library", "kernel", "docker", "all"]);
        let [.., last] = &pairs[..] else { panic!("no pairs") };
        let parts: usize = pairs[..4].iter().map(|pair| pair.rows().count()).sum();
        assert_eq!((last.rows().count(), last.agents), (parts, Agents::Rebuilt));
    }

    #[test]
    fn a_side_takes_the_place_of_all_packages_of_its_source() {
        let text = format!(
            "schema: 1\npairs: [{{name: k, about: b, percent_max: 1, old: [{}], new: [{}]}}]",
            line("kernel-1", "linux"),
            line("kernel-2", "linux")
        );
        let pair = parse(&text).unwrap().remove(0);
        let rows = [line("aa", "aa"), line("kernel-0", "linux"), line("zz", "zz")];
        let rows = rows.iter().map(|line| Row::parse(line).unwrap()).collect();
        let base = Lock { time: 1, definition: SUM.to_owned(), rows };
        let names = |lock: Lock| lock.rows.into_iter().map(|row| row.name).collect::<Vec<_>>();
        assert_eq!(names(pair.lock(&base, &pair.old)), ["aa", "kernel-1", "zz"]);
        assert_eq!(names(pair.lock(&base, &pair.new)), ["aa", "kernel-2", "zz"]);
    }

    #[test]
    fn rejects_what_it_does_not_know() {
        for (text, says) in [
            ("schema: 2\npairs: []", "schema 2"),
            ("schema: 1\npairs: [{name: a, about: b, percent_max: 1, together: [c]}]", "no pair `c`"),
            ("schema: 1\npairs: [{name: a, about: b, percent_max: 1, old: [x]}]", "a: `x`"),
            ("schema: 1\npairs: [{name: a, about: b, percent_max: 1, older: []}]", "older"),
        ] {
            let err = format!("{:#}", parse(text).unwrap_err());
            assert!(err.contains(says), "{err}");
        }
    }
}
