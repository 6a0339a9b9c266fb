//! A small document, judged by the format's own schema.

use super::*;

/// Names under which the schemas refer to each other.
const SCHEMAS: [(&str, &str); 2] = [
    (
        "http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json",
        include_str!("../../tests/data/cyclonedx/spdx.SNAPSHOT.schema.json"),
    ),
    (
        "http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json",
        include_str!("../../tests/data/cyclonedx/jsf-0.82.SNAPSHOT.schema.json"),
    ),
];

/// Returns what the schema has against a document.
pub fn against_schema(text: &str) -> Vec<String> {
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let schema = json(include_str!("../../tests/data/cyclonedx/bom-1.6.SNAPSHOT.schema.json"));
    let mut registry = jsonschema::Registry::new();
    for (uri, text) in SCHEMAS {
        registry = registry.add(uri, json(text)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let validator = jsonschema::options().with_registry(&registry).build(&schema).unwrap();
    validator.iter_errors(&json(text)).map(|err| format!("{}: {err}", err.instance_path())).collect()
}

fn package() -> Package {
    Package {
        name: "libstdc++6".to_owned(),
        version: "1:14.2.0-19+b1~x".to_owned(),
        architecture: "amd64".to_owned(),
        licence: "Expat, GPL-3+, special".to_owned(),
    }
}

fn bom() -> Bom {
    let crates = [Crate {
        name: "a".to_owned(),
        version: "1.0.0+b".to_owned(),
        licence: "MIT/Apache-2.0".to_owned(),
        sha256: "1".repeat(64),
    }];
    let programs = [Program { name: "slipway".to_owned(), sha256: "2".repeat(64) }];
    let source = Source { name: "gcc-14".to_owned(), version: "1:14.2.0-19".to_owned() };
    let (package, sha256) = (package(), "3".repeat(64));
    let facts = Facts {
        product: "slipway",
        version: "0.2.0",
        root_hash: "ab",
        time: 1_795_313_345,
        packages: vec![Binary { package: &package, sha256: &sha256, source }],
        crates: &crates,
        programs: &programs,
    };
    Bom::of(&facts)
}

#[test]
fn the_schema_accepts_it() {
    assert_eq!(against_schema(&bom().text().unwrap()), Vec::<String>::new());
}

#[test]
fn the_schema_finds_what_is_wrong() {
    let text = bom().text().unwrap();
    for (from, to) in [
        ("\"id\": \"MIT\"", "\"id\": \"Expat\""),
        ("\"CycloneDX\"", "\"Other\""),
        ("SHA-256", "SHA"),
        ("\"purl\"", "\"url\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(!against_schema(&text.replacen(from, to, 1)).is_empty(), "{to} is accepted");
    }
}

#[test]
fn what_is_read_is_what_was_written() {
    let bom = bom();
    let text = bom.text().unwrap();
    assert_eq!(Bom::parse(text.as_bytes()).unwrap(), bom);
    assert!(
        Bom::parse(text.replace("\"1.6\"", "\"1.5\"").as_bytes()).unwrap_err().to_string().contains("1.5")
    );
    assert_eq!(bom.root_hash(), Some("ab"));
    let package = bom.packages().next().unwrap();
    let purl = "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19%2Bb1~x?arch=amd64&distro=trixie";
    assert_eq!((package.purl(), package.sha256()), (Some(purl), Some("3".repeat(64).as_str())));
    assert_eq!(package.source().unwrap().name, "gcc-14");
    assert_eq!(bom.crates().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(
        bom.programs().map(|it| it.property("path").unwrap()).collect::<Vec<_>>(),
        ["/usr/bin/slipway"]
    );
}

#[track_caller]
fn check_source(control: &str, name: &str, version: &str) {
    let found = Source::of_control(control).unwrap();
    assert_eq!((found.name.as_str(), found.version.as_str()), (name, version));
}

#[test]
fn a_package_is_of_its_own_source_unless_it_says_otherwise() {
    check_source("Package: a\nVersion: 1\n", "a", "1");
    check_source("Package: a\nVersion: 1\nSource: b\n", "b", "1");
    check_source("Package: a\nVersion: 1+b1\nSource: b (1)\n", "b", "1");
    assert!(Source::of_control("Package: a\n").unwrap_err().to_string().contains("no field `Version`"));
}
