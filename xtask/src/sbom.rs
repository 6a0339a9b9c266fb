//! The bill of materials of an image as a CycloneDX 1.6 document: every package, every crate in our programs, the
//! programs. `docs/formats/release.md` says which fields are used, and for what.

use serde::{Deserialize, Serialize};

use crate::crates::Crate;
use crate::manifest::Package;

mod licence;

/// The format, as in its schema.
const FORMAT: (&str, &str) = ("CycloneDX", "1.6");
/// Where its schema is published.
const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";
/// Release of the distribution, as package URLs name it.
const DISTRO: &str = "trixie";

/// The whole document.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    #[serde(rename = "$schema")]
    schema: String,
    /// `CycloneDX`
    pub bom_format: String,
    /// `1.6`
    pub spec_version: String,
    version: u32,
    metadata: Metadata,
    /// By package URL.
    pub components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Metadata {
    timestamp: String,
    component: Component,
}

/// Something that the image has.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Component {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Of the file that it comes in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenceChoice>,
    /// Package URL; our own programs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pedigree: Option<Pedigree>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Hash {
    alg: String,
    content: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
enum LicenceChoice {
    One { license: Licence },
    Expression { expression: String },
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Licence {
    Id(String),
    Name(String),
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Pedigree {
    ancestors: Vec<Component>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Property {
    name: String,
    value: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    r#ref: String,
    depends_on: Vec<String>,
}

/// What the document is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Name of the product.
    pub product: &'a str,
    /// Version of the image.
    pub version: &'a str,
    /// Root hash of `/usr`, hexadecimal.
    pub root_hash: &'a str,
    /// Time of the lock, seconds since 1970.
    pub time: u64,
    /// Packages of the image.
    pub packages: Vec<Binary<'a>>,
    /// Crates in our programs.
    pub crates: &'a [Crate],
    /// Our programs.
    pub programs: &'a [Program],
}

/// A package of the distribution and what it was built from.
#[derive(Clone, Debug)]
pub struct Binary<'a> {
    /// Name, version, licences.
    pub package: &'a Package,
    /// SHA-256 of its file.
    pub sha256: &'a str,
    /// Source package.
    pub source: Source,
}

/// A source package by name and version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

impl Source {
    /// Reads a package's `control` file. Where it has no `Source`, or one without version, they are those of the
    /// package.
    pub fn of_control(text: &str) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let paragraph = deb::control::paragraphs(text).next().context("the control file is empty")??;
        let field = |name: &'static str| {
            paragraph.get(name).with_context(|| format!("the control file has no field `{name}`"))
        };
        let (package, version) = (field("Package")?, field("Version")?);
        let source = paragraph.get("Source").unwrap_or(package);
        let (name, own) = source.split_once(" (").unwrap_or((source, ""));
        let version = own.strip_suffix(')').unwrap_or(version);
        Ok(Self { name: name.trim().to_owned(), version: version.to_owned() })
    }
}

/// One of our programs.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name below `/usr/bin`.
    pub name: String,
    /// SHA-256 of its file.
    pub sha256: String,
}

impl Bom {
    /// Makes the document: same facts, same bytes.
    pub fn of(facts: &Facts<'_>) -> Self {
        let root = root(facts);
        let mut components: Vec<Component> = facts.packages.iter().map(binary).collect();
        components.extend(facts.crates.iter().map(of_crate));
        components.extend(facts.programs.iter().map(|it| program(it, facts.version)));
        components.sort_by(|a, b| a.bom_ref.cmp(&b.bom_ref));
        let depends_on = components.iter().map(|it| it.bom_ref.clone()).collect();
        let dependencies = vec![Dependency { r#ref: root.bom_ref.clone(), depends_on }];
        Self {
            schema: SCHEMA.to_owned(),
            bom_format: FORMAT.0.to_owned(),
            spec_version: FORMAT.1.to_owned(),
            version: 1,
            metadata: Metadata { timestamp: crate::time::rfc3339(facts.time), component: root },
            components,
            dependencies,
        }
    }

    /// The text of the file.
    pub fn text(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// Reads a document of the same form.
    pub fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let bom: Self = serde_json::from_slice(text)?;
        anyhow::ensure!(
            (bom.bom_format.as_str(), bom.spec_version.as_str()) == FORMAT,
            "it is {} {}, expected {} {}",
            bom.bom_format,
            bom.spec_version,
            FORMAT.0,
            FORMAT.1
        );
        Ok(bom)
    }

    /// Crates in our programs.
    pub fn crates(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(|it| it.bom_ref.starts_with("pkg:cargo/"))
    }

    /// Our programs.
    pub fn programs(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(|it| it.kind == "application")
    }
}

impl Component {
    /// SHA-256 of the file that it comes in, if it has one.
    pub fn sha256(&self) -> Option<&str> {
        self.hashes.iter().find(|hash| hash.alg == "SHA-256").map(|hash| hash.content.as_str())
    }

    /// The crate that it stands for, if it is one.
    pub fn as_crate(&self) -> Option<Crate> {
        let licence = self.licenses.iter().find_map(|it| match it {
            LicenceChoice::Expression { expression } => Some(expression.clone()),
            LicenceChoice::One { .. } => None,
        });
        let (name, version) = (self.name.clone(), self.version.clone());
        Some(Crate { name, version, licence: licence?, sha256: self.sha256()?.to_owned() })
    }

    /// Its package URL.
    pub fn purl(&self) -> Option<&str> {
        self.purl.as_deref()
    }
}

fn root(facts: &Facts<'_>) -> Component {
    let properties = vec![property("root-hash", facts.root_hash)];
    let bom_ref = format!("{}@{}", facts.product, facts.version);
    Component { properties, ..component("operating-system", bom_ref, facts.product, facts.version) }
}

fn binary(it: &Binary<'_>) -> Component {
    let Package { name, version, architecture, licence } = it.package;
    let purl = deb_purl(name, version, architecture);
    let source = &it.source;
    let ancestor = Component {
        purl: Some(deb_purl(&source.name, &source.version, "source")),
        ..component("library", format!("{purl}#source"), &source.name, &source.version)
    };
    Component {
        hashes: vec![sha256(it.sha256)],
        licenses: licence.split(", ").map(licence::of_debian).collect(),
        purl: Some(purl.clone()),
        pedigree: Some(Pedigree { ancestors: vec![ancestor] }),
        properties: vec![
            property("architecture", architecture),
            property("licence-text", &format!("/usr/share/licenses/{name}/copyright")),
        ],
        ..component("library", purl, name, version)
    }
}

fn of_crate(it: &Crate) -> Component {
    let purl = cargo_purl(&it.name, &it.version);
    Component {
        hashes: vec![sha256(&it.sha256)],
        licenses: vec![LicenceChoice::Expression { expression: it.licence.replace('/', " OR ") }],
        purl: Some(purl.clone()),
        ..component("library", purl, &it.name, &it.version)
    }
}

fn program(it: &Program, version: &str) -> Component {
    Component {
        hashes: vec![sha256(&it.sha256)],
        licenses: vec![LicenceChoice::Expression { expression: env!("CARGO_PKG_LICENSE").to_owned() }],
        properties: vec![property("path", &format!("/usr/bin/{}", it.name))],
        ..component("application", format!("program:{}", it.name), &it.name, version)
    }
}

fn component(kind: &str, bom_ref: String, name: &str, version: &str) -> Component {
    Component {
        kind: kind.to_owned(),
        bom_ref,
        name: name.to_owned(),
        version: version.to_owned(),
        hashes: Vec::new(),
        licenses: Vec::new(),
        purl: None,
        pedigree: None,
        properties: Vec::new(),
    }
}

fn sha256(content: &str) -> Hash {
    Hash { alg: "SHA-256".to_owned(), content: content.to_owned() }
}

fn property(name: &str, value: &str) -> Property {
    Property { name: property_name(name), value: value.to_owned() }
}

fn property_name(name: &str) -> String {
    format!("slipway:{name}")
}

/// Package URL (<https://github.com/package-url/purl-spec>) of a package of the distribution.
pub fn deb_purl(name: &str, version: &str, architecture: &str) -> String {
    format!(
        "pkg:deb/debian/{}@{}?arch={architecture}&distro={DISTRO}",
        percent_encoded(name),
        percent_encoded(version)
    )
}

/// Package URL of a crate.
pub fn cargo_purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", percent_encoded(version))
}

/// Everything but what package URLs leave as it is.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
        }
        out
    })
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
