//! Indexes that are signed, forged, stale, damaged or missing.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::mirror::mock::archive::{self as mock_archive, deb};
use crate::mirror::mock::{self, Server};

const IN_RELEASE: &str = "debian/dists/trixie/InRelease";

struct World {
    _dir: TempDir,
    ctx: Ctx,
    server: Server,
    archive: mock_archive::Archive,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let ctx = mock::ctx(dir.path());
    let server = Server::start();
    let mut archive = mock_archive::Archive::new(&server);
    archive.trust(&ctx.repo);
    for (name, depends) in [("hello", "world"), ("world", ""), ("apt", "world"), ("qemu", "")] {
        let control = format!("Package: {name}\nVersion: 1.0\nArchitecture: amd64\nDepends: {depends}\n");
        archive.add(&control, deb(&[(&format!("./usr/{name}"), name)]));
    }
    World { _dir: dir, ctx, server, archive }
}

fn definition() -> Definition {
    mock_archive::definition("  base:\n    packages: [hello]\n", "  build: [apt]\n  vm: [qemu, world]\n")
}

impl World {
    /// Loads at the time of this test; the key and the signatures are as young as the test itself.
    fn load(&self) -> anyhow::Result<Archive> {
        archive::load(&self.ctx, &definition(), &self.server.mirror(), now()?)
    }

    #[track_caller]
    fn fails(&self, says: &[&str]) {
        let text = format!("{:#}", self.load().unwrap_err());
        assert!(says.iter().all(|says| text.contains(says)), "{text}");
    }
}

#[test]
fn takes_packages_from_signed_indexes_and_the_time_from_their_date() {
    let world = world();
    world.archive.publish("");
    let archive = world.load().unwrap();
    // `date -u -d "Sat, 21 Nov 2020 09:15:44 UTC" +%s`
    assert_eq!(archive.time, 1_605_950_144);
    let universe = Universe::new(archive.packages());
    check_names(&definition(), &universe).unwrap();
    let rows = tool_rows(&definition(), &archive, &universe).unwrap();
    let groups: Vec<_> = rows
        .iter()
        .map(|row| (row.name.as_str(), Vec::from_iter(row.groups.iter().map(String::as_str))))
        .collect();
    assert_eq!(groups, [("apt", vec!["build"]), ("qemu", vec!["vm"]), ("world", vec!["build", "vm"])]);
    assert!(world.server.bytes(&rows[0].mirror_path()).starts_with(b"!<arch>"));
    let lock = Lock { time: archive.time, definition: "0".repeat(64), rows };
    assert_eq!(Lock::parse(&lock.text()).unwrap(), lock);
}

#[test]
fn refuses_an_index_with_a_wrong_signature() {
    let world = world();
    world.archive.publish("");
    let text = String::from_utf8(world.server.bytes(IN_RELEASE)).unwrap();
    world.server.put(IN_RELEASE, text.replace("Codename: trixie", "Codename: trixy"));
    world.fails(&["checking the signature of debian/dists/trixie/InRelease", "is wrong", &world.server.url]);
    world.server.put(IN_RELEASE, text.split("-----BEGIN PGP SIGNATURE").next().unwrap());
    world.fails(&["checking the signature", "reading the signed text"]);
}

#[test]
fn refuses_an_index_signed_by_a_foreign_key() {
    let world = world();
    let other = mock_archive::Archive::new(&world.server);
    other.publish("");
    world.fails(&["checking the signature", "none of which is a trusted key"]);
}

#[test]
fn refuses_a_stale_index_and_another_suites() {
    let world = world();
    world.archive.publish("Valid-Until: Sat, 28 Nov 2020 09:15:44 UTC\n");
    world.fails(&["debian/dists/trixie/InRelease", "28 Nov 2020", "expired"]);
    world.archive.publish("");
    world.server.put(IN_RELEASE, world.server.bytes("debian/dists/trixie-updates/InRelease"));
    world.fails(&["is of suite `trixie-updates`, expected `trixie`"]);
}

#[test]
fn refuses_an_index_whose_hash_is_not_the_signed_one() {
    let world = world();
    world.archive.publish("");
    let path = "debian/dists/trixie/main/binary-amd64/Packages.xz";
    let expected = hash::of_bytes(&world.server.bytes(path));
    world.server.put(path, "evil");
    world.fails(&[path, &expected, &hash::of_bytes(b"evil"), "in the middle of an update"]);
    world.server.remove(path);
    world.fails(&["has no debian/dists/trixie/main/binary-amd64/Packages.xz"]);
}

#[test]
fn prefers_the_index_by_its_hash() {
    let world = world();
    world.archive.publish("");
    let path = "debian/dists/trixie/main/binary-amd64/Packages.xz";
    let bytes = world.server.bytes(path);
    let by_hash = format!("debian/dists/trixie/main/binary-amd64/by-hash/SHA256/{}", hash::of_bytes(&bytes));
    world.server.put(&by_hash, bytes);
    // The mirror has a newer one already.
    world.server.put(path, "newer");
    assert_eq!(world.load().unwrap().packages().count(), 4);
}

#[test]
fn finds_the_files_of_sources_in_signed_indexes_and_names_those_that_are_gone() {
    let mut world = world();
    world.archive.add_source("hello", "1.0-1", "a description");
    world.archive.add_source("hello", "1.0-2", "another one");
    world.archive.publish("");
    let wanted = |version: &str| -> BTreeSet<Source> {
        [Source { name: "hello".to_owned(), version: version.to_owned() }].into()
    };
    let look = |world: &World, version: &str| {
        sources(&world.ctx, &definition(), &world.server.mirror(), &wanted(version))
    };
    let found = look(&world, "1.0-1").unwrap();
    let [row] = found.rows.as_slice() else { panic!("{found:?}") };
    assert_eq!(row.mirror_path(), "debian/pool/hello/hello_1.0-1.dsc");
    assert_eq!(row.sha256, hash::of_bytes(b"a description"));
    assert_eq!(SourcesLock::parse(&found.text()).unwrap(), found);
    let text = format!("{:#}", look(&world, "1.0-3").unwrap_err());
    assert!(text.contains("no longer has the sources of 1 locked packages: hello 1.0-3"), "{text}");
    let path = "debian/dists/trixie/main/source/Sources.xz";
    world.server.put(path, "evil");
    // What was read once is known by its hash.
    fs::remove_dir_all(world.ctx.cache.join("indexes")).unwrap();
    let text = format!("{:#}", look(&world, "1.0-1").unwrap_err());
    assert!(text.contains(path) && text.contains("expected"), "{text}");
}

#[test]
fn names_the_mirror_that_has_no_such_suite() {
    let world = world();
    world.archive.publish("");
    world.server.remove("debian-security/dists/trixie-security/InRelease");
    world.fails(&[&world.server.url, "has no debian-security/dists/trixie-security/InRelease", "base URL"]);
}

#[test]
fn an_unknown_package_is_named_with_file_line_and_group() {
    let world = world();
    world.archive.publish("");
    let archive = world.load().unwrap();
    let universe = Universe::new(archive.packages());
    let check = |packages: &str, tools: &str, says: &str| {
        let definition = mock_archive::definition(packages, tools);
        let text = format!("{:#}", check_names(&definition, &universe).unwrap_err());
        assert!(text.starts_with("image/image.yaml:") && text.ends_with(says), "{text}");
        let line: usize = text.split(':').nth(1).unwrap().parse().unwrap();
        assert!(1 < line, "{text}");
    };
    check(
        "  base:\n    packages: [hello, helo]\n",
        "  build: [apt]",
        "packages.base: unknown package `helo`",
    );
    check("  base:\n    packages: [hello]\n", "  build: [aptt]", "tools.build: unknown package `aptt`");
}
