//! The provenance of a release: an in-toto statement with SLSA's predicate that names every input and every file by hash.
//!
//! - <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>
//! - <https://slsa.dev/spec/v1.0/provenance>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lock::Lock;
use crate::manifest::Manifest;
use crate::sbom::{self, Bom};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// How it is built: `docs/formats/release.md` says what the parameters mean.
const BUILD: &str = "urn:slipway:build:release:1";

/// The whole statement.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    build_type: String,
    external_parameters: External,
    internal_parameters: BTreeMap<String, String>,
    resolved_dependencies: Vec<Resource>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct External {
    product: String,
    version: String,
    channel: String,
    trusted_keys: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct RunDetails {
    builder: Builder,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Builder {
    id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Resource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    digest: BTreeMap<String, String>,
}

/// What the statement is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Files of the release and their SHA-256: all but the sums and the statement itself.
    pub files: &'a BTreeMap<String, String>,
    /// What the build says.
    pub manifest: &'a Manifest,
    /// Channel that offers the version.
    pub channel: &'a str,
    /// Ids of the keys that the image trusts.
    pub trusted_keys: Vec<String>,
    /// Who builds.
    pub builder: &'a str,
    /// The locks by the names of their files.
    pub locks: &'a [(&'a str, &'a Lock)],
    /// Groups of tools that took part.
    pub tools: &'a [&'a str],
    /// The bill of materials, for the crates.
    pub bom: &'a Bom,
}

impl Statement {
    /// Makes the statement: same facts, same bytes.
    pub fn of(facts: &Facts<'_>) -> Self {
        let subject = facts.files.iter().map(|(name, sum)| named(name, sha256(sum))).collect();
        let manifest = facts.manifest;
        Self {
            kind: STATEMENT.to_owned(),
            subject,
            predicate_type: PREDICATE.to_owned(),
            predicate: Predicate {
                build_definition: BuildDefinition {
                    build_type: BUILD.to_owned(),
                    external_parameters: External {
                        product: manifest.product.clone(),
                        version: manifest.version.clone(),
                        channel: facts.channel.to_owned(),
                        trusted_keys: facts.trusted_keys.clone(),
                    },
                    internal_parameters: manifest.toolchain.clone(),
                    resolved_dependencies: inputs(facts),
                },
                run_details: RunDetails { builder: Builder { id: facts.builder.to_owned() } },
            },
        }
    }

    /// The text of the file.
    pub fn text(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// Reads a statement of the same form.
    pub fn parse(text: &[u8]) -> anyhow::Result<Self> {
        Ok(serde_json::from_slice(text)?)
    }

    /// Who built.
    pub fn builder(&self) -> &str {
        &self.predicate.run_details.builder.id
    }

    /// Channel that offers the version.
    pub fn channel(&self) -> &str {
        &self.predicate.build_definition.external_parameters.channel
    }

    /// Says where two statements differ first, in words.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let (ours, theirs) = (&self.predicate.build_definition, &other.predicate.build_definition);
        let file = first_difference(&self.subject, &other.subject).map(|name| format!("the file {name}"));
        let input = first_difference(&ours.resolved_dependencies, &theirs.resolved_dependencies)
            .map(|name| format!("the input {name}"));
        let compiler =
            (ours.internal_parameters != theirs.internal_parameters).then(|| "the compilers".to_owned());
        Some(file.or(input).or(compiler).unwrap_or_else(|| "the parameters".to_owned()))
    }
}

/// Name of the first resource that one list has and the other has not.
fn first_difference(ours: &[Resource], theirs: &[Resource]) -> Option<String> {
    let differs = |(a, b): &(&[Resource], &[Resource])| a.iter().find(|it| !b.contains(it)).cloned();
    let found = [(ours, theirs), (theirs, ours)].iter().find_map(differs)?;
    Some(found.name.or(found.uri).unwrap_or_default())
}

/// Everything that went in: the commit, both locks, each package that they name, each crate.
fn inputs(facts: &Facts<'_>) -> Vec<Resource> {
    let commit = facts.manifest.commit.clone();
    let mut inputs = vec![named("source", [("gitCommit".to_owned(), commit)].into())];
    for (name, lock) in facts.locks {
        inputs.push(named(name, sha256(&crate::hash::of_bytes(lock.text().as_bytes()))));
    }
    let mut packages = BTreeMap::new();
    for (name, lock) in facts.locks {
        let is_image = *name == super::LOCKS[0];
        for row in
            lock.rows.iter().filter(|row| is_image || facts.tools.iter().any(|group| row.in_group(group)))
        {
            packages.insert(sbom::deb_purl(&row.name, &row.version, &row.architecture), row.sha256.clone());
        }
    }
    inputs.extend(packages.iter().map(|(purl, sum)| at(purl, sha256(sum))));
    for component in facts.bom.crates() {
        if let (Some(purl), Some(sum)) = (component.purl(), component.sha256()) {
            inputs.push(at(purl, sha256(sum)));
        }
    }
    inputs
}

fn sha256(sum: &str) -> BTreeMap<String, String> {
    [("sha256".to_owned(), sum.to_owned())].into()
}

fn named(name: &str, digest: BTreeMap<String, String>) -> Resource {
    Resource { name: Some(name.to_owned()), uri: None, digest }
}

fn at(uri: &str, digest: BTreeMap<String, String>) -> Resource {
    Resource { name: None, uri: Some(uri.to_owned()), digest }
}
