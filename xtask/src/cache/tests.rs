//! The cache on a full disk, and what it remembers.

use super::*;

fn row(bytes: &[u8]) -> Row {
    Row {
        name: "aa".to_owned(),
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        groups: ["image".to_owned()].into(),
        archive: "debian".to_owned(),
        path: "pool/a.deb".to_owned(),
        size: bytes.len().try_into().unwrap(),
        sha256: hash::of_bytes(bytes),
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_no_final_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.part");
    // The device answers every write as a full disk does.
    let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
    let mut part = Part { path: path.clone(), file };
    let text = format!("{:#}", part.append(b"x").unwrap_err());
    for says in [path.to_str().unwrap(), "no space is left", "XDG_CACHE_HOME"] {
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn only_one_writer_grows_a_part() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.part");
    let first = Part::open(path.clone()).unwrap().unwrap();
    assert!(Part::open(path.clone()).unwrap().is_none());
    first.finish(&dir.path().join("x")).unwrap();
    assert!(Part::open(path).unwrap().is_some());
}

#[test]
fn remembers_only_files_that_nobody_touched_since() {
    let dir = tempfile::tempdir().unwrap();
    let packages = Packages::open(dir.path()).unwrap();
    let row = row(b"right");
    fs::write(packages.path(&row), "right").unwrap();
    let found = packages.find(&row, &packages.seen()).unwrap();
    assert_eq!(found, Found::Good(packages.path(&row)));
    let paths = BTreeMap::from([(row.sha256.clone(), packages.path(&row))]);
    packages.remember(packages.seen(), &paths).unwrap();
    assert!(packages.seen().contains(&row.sha256, &fs::metadata(packages.path(&row)).unwrap()));

    fs::write(packages.path(&row), "wrong").unwrap();
    let found = packages.find(&row, &packages.seen()).unwrap();
    assert_eq!(found, Found::Bad { found: hash::of_bytes(b"wrong") });
    assert_eq!(packages.find(&row, &packages.seen()).unwrap(), Found::Missing);
}

#[test]
fn an_index_is_asked_for_once_unless_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let sha256 = hash::of_bytes(b"index");
    let get = || Ok(b"index".to_vec());
    assert_eq!(index(dir.path(), &sha256, get).unwrap(), b"index");
    let never = || anyhow::bail!("asked again");
    assert_eq!(index(dir.path(), &sha256, never).unwrap(), b"index");
    fs::write(dir.path().join("indexes").join(&sha256), "damaged").unwrap();
    assert_eq!(index(dir.path(), &sha256, get).unwrap(), b"index");
}
