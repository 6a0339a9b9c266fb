//! A small document, judged by the format's own schema.

use super::schema::against_schema;
use super::*;

impl Component {
    fn property(&self, name: &str) -> Option<&str> {
        let name = property_name(name);
        self.properties.iter().find(|it| it.name == name).map(|it| it.value.as_str())
    }
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
    assert_eq!(bom.metadata.component.property("root-hash"), Some("ab"));
    let package = bom.components.iter().find(|it| it.name == "libstdc++6").unwrap();
    let purl = "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19%2Bb1~x?arch=amd64&distro=trixie";
    assert_eq!((package.purl(), package.sha256()), (Some(purl), Some("3".repeat(64).as_str())));
    assert_eq!(package.pedigree.as_ref().unwrap().ancestors[0].name, "gcc-14");
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
