//! Targets for what comes from an archive: packages, indexes, signed releases, versions.

use deb::closure::{self, Universe};
use deb::dependency::Relation;
use deb::package::{self, Kind};
use deb::signature::{Keyring, check_cleartext};
use deb::version::Version;
use deb::{index, release, source_index};

/// Longest data that is looked at: a small file can unpack to gigabytes, which is slow but nothing else.
const DATA_MAX: usize = 1 << 16;

/// A package that reads has only paths that stay below the folder they are joined to.
pub fn deb_package(data: &[u8]) {
    let data = &data[..data.len().min(DATA_MAX)];
    let Ok(members) = package::data_members(data) else { return };
    for member in members {
        let mut paths = vec![member.path];
        if let Kind::Hardlink { target } = member.kind {
            paths.push(target);
        }
        for path in paths {
            assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."), "{path:?}");
        }
        assert!(member.mode <= 0o7777);
    }
}

/// An index that reads has relations that are written as they read, and its closures are closed.
pub fn deb_index(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(packages) = index::parse(text) else { return };
    for relation in packages.iter().flat_map(|package| package.depends.iter().flatten()) {
        let again: Relation = relation.to_string().parse().expect("a written relation reads");
        assert_eq!(again, *relation);
    }
    let universe = Universe::new(&packages);
    for package in &packages {
        assert!(index::is_archive_path(&package.path));
        let Ok(closed) = closure::close(&universe, &[&package.name]) else { continue };
        assert!(closed.contains_key(package.name.as_str()));
    }
}

/// An index of sources that reads has files that stay below the archive's folder, and none without a file.
pub fn deb_sources(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(sources) = source_index::parse(text, |_, _| true) else { return };
    for source in &sources {
        assert!((1..=source_index::FILES_MAX).contains(&source.files.len()));
        assert!(source.files.iter().all(|file| index::is_archive_path(&file.path)));
    }
    let named: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
    let some = source_index::parse(text, |name, _| name == named.first().copied().unwrap_or_default());
    assert!(some.is_ok_and(|some| some.iter().all(|source| source.name == named[0])));
}

/// Without a key nothing is vouched for; a release that reads keeps its own rules.
pub fn deb_release(data: &[u8]) {
    assert!(check_cleartext(data, &Keyring::default(), 1_800_000_000).is_err());
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = release::parse(text) else { return };
    assert!(read.files.len() <= release::FILES_MAX);
    if read.check(&read.codename, read.date).is_err() {
        assert!(read.valid_until.is_some_and(|until| until < read.date));
    }
}

/// Versions are written as they were read; their order has two directions.
pub fn deb_version(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(2, '\n');
    let (Some(a), Some(b)) = (lines.next(), lines.next()) else { return };
    let (Ok(a), Ok(b)) = (a.parse::<Version>(), b.parse::<Version>()) else { return };
    assert_eq!(text, format!("{a}\n{b}"));
    assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    assert_eq!(a.cmp(&a.clone()), std::cmp::Ordering::Equal);
}

/// Returns inputs that the target of that name accepts; none for an unknown name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let text = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "deb_package" => vec![small_package()],
        "deb_index" => text(&[INDEX]),
        "deb_sources" => text(&[SOURCES]),
        "deb_release" => text(&[SIGNED, &format!("{RELEASE} {} 1 main/Packages\n", "0".repeat(64))]),
        "deb_version" => text(&["1:2.0~rc1-3+b1\n2.0", "0\n0-0", "1.2-3-4\n1.2a+b~-5"]),
        _ => vec![],
    }
}

const INDEX: &str = "Package: aa
Version: 1:2-3
Architecture: amd64
Pre-Depends: bb (>= 1) | cc
Depends: dd:any, ee
Provides: ee (= 4), dd
Filename: pool/a.deb
Size: 1
SHA256: 0000000000000000000000000000000000000000000000000000000000000000

Package: bb
Version: 2
Architecture: all
Filename: pool/b.deb
Size: 1
SHA256: 0000000000000000000000000000000000000000000000000000000000000000
";

const SOURCES: &str = "Package: aa
Version: 1:2-3
Directory: pool/main/a/aa
Checksums-Sha256:
 0000000000000000000000000000000000000000000000000000000000000000 1 aa_2-3.dsc
 0000000000000000000000000000000000000000000000000000000000000000 2 aa_2.orig.tar.xz

Package: bb
Version: 2
Directory: pool/main/b/bb
Checksums-Sha256:
 0000000000000000000000000000000000000000000000000000000000000000 1 bb_2.dsc
";

const RELEASE: &str = "Suite: stable
Codename: trixie
Date: Sat, 21 Nov 2026 09:15:44 UTC
Valid-Until: Sat, 28 Nov 2026 09:15:44 UTC
SHA256:
";

/// The shape of a signed message; no key made it.
const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Codename: trixie
-----BEGIN PGP SIGNATURE-----

iHUEARYIAB0WIQQ=
-----END PGP SIGNATURE-----
";

/// A package whose tars are not compressed, so that changes reach them.
fn small_package() -> Vec<u8> {
    let mut data = tar::Builder::new(Vec::new());
    for (path, kind) in [("./usr/a", tar::EntryType::Regular), ("./usr/b", tar::EntryType::Symlink)] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(0);
        header.set_link_name("a").expect("a short name fits");
        data.append_data(&mut header, path, &b""[..]).expect("memory takes every byte");
    }
    let data = data.into_inner().expect("memory takes every byte");
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", b""), ("data.tar", &data)] {
        let header = format!("{name:<16}{:<32}{:<10}`\n", 0, content.len());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
    }
    bytes
}
