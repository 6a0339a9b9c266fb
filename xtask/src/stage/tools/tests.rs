//! Trees of small packages made here.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::mirror::mock::{self, archive::deb};

struct World {
    dir: TempDir,
    ctx: Ctx,
    rows: Vec<Row>,
    files: BTreeMap<String, PathBuf>,
}

fn world(packages: &[(&str, &[(&str, &str)])]) -> World {
    let dir = tempfile::tempdir().unwrap();
    let ctx = mock::ctx(dir.path());
    let mut world = World { dir, ctx, rows: Vec::new(), files: BTreeMap::new() };
    for (name, files) in packages {
        let bytes = deb(files);
        let sha256 = hash::of_bytes(&bytes);
        let path = world.dir.path().join(format!("{name}.deb"));
        fs::write(&path, &bytes).unwrap();
        world.files.insert(sha256.clone(), path);
        world.rows.push(Row {
            name: (*name).to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            groups: ["build".to_owned()].into(),
            archive: "debian".to_owned(),
            path: format!("pool/{name}.deb"),
            size: bytes.len().try_into().unwrap(),
            sha256,
        });
    }
    world
}

impl World {
    fn run(&self) -> anyhow::Result<Output> {
        run(&self.ctx, &Input { rows: self.rows.iter().collect(), files: &self.files })
    }

    /// Everything below `target/tools` but the locks.
    fn trees(&self) -> Vec<String> {
        let names =
            hash::sorted_dir(&self.ctx.target.join("tools")).unwrap().into_iter().map(|(name, _)| name);
        names.filter(|name| !name.ends_with(".lock")).collect()
    }
}

#[test]
fn makes_one_tree_that_programs_can_run_from() {
    let world = world(&[
        ("dash", &[("./bin/dash", "x"), ("./usr/share/doc/dash/copyright", "x")]),
        ("gawk", &[("./usr/bin/gawk", "x")]),
    ]);
    let tree = world.run().unwrap();
    assert!(tree.path.join("bin/dash").is_file(), "merged folders");
    assert_eq!(fs::read_link(tree.path.join("usr/bin/sh")).unwrap(), Path::new("dash"));
    assert_eq!(fs::read_link(tree.path.join("usr/bin/awk")).unwrap(), Path::new("gawk"));
    assert!(fs::read_to_string(tree.path.join("etc/passwd")).unwrap().starts_with("root:x:0:0:"));
    assert!(!tree.path.join("usr/share/doc").exists());
    assert_eq!(world.trees(), [tree.hash]);
}

#[test]
fn makes_a_tree_once_and_another_for_other_packages() {
    let mut world = world(&[("aa", &[("./usr/a", "x")]), ("bb", &[("./usr/b", "x")])]);
    let tree = world.run().unwrap();
    fs::write(tree.path.join("mark"), "").unwrap();
    assert_eq!(world.run().unwrap(), tree);
    assert!(tree.path.join("mark").exists());
    world.rows.reverse();
    assert_eq!(world.run().unwrap(), tree);
    world.rows.pop();
    assert_ne!(world.run().unwrap(), tree);
}

#[test]
fn never_unpacks_a_package_whose_hash_differs() {
    let world = world(&[("aa", &[("./usr/a", "x")])]);
    let path = world.files.values().next().unwrap();
    fs::write(path, deb(&[("./usr/a", "evil")])).unwrap();
    let text = format!("{:#}", world.run().unwrap_err());
    for says in ["package aa 1", &world.rows[0].sha256, "it is deleted"] {
        assert!(text.contains(says), "{text}");
    }
    assert!(!path.exists());
    assert_eq!(world.trees(), [""; 0]);
}

#[test]
fn leaves_nothing_when_a_package_is_broken() {
    let mut world = world(&[("aa", &[("./usr/a", "x")]), ("bb", &[("./usr/a", "x")])]);
    let text = format!("{:#}", world.run().unwrap_err());
    assert!(text.contains("`usr/a` is in another package as well"), "{text}");
    assert_eq!(world.trees(), [""; 0]);
    // What an interrupted run left does not get in the way.
    world.rows.pop();
    let key = key(&world.rows.iter().collect::<Vec<_>>());
    fs::create_dir_all(world.ctx.target.join(format!("tools/{key}.tmp/usr/a"))).unwrap();
    world.run().unwrap();
    assert_eq!(world.trees(), [key]);
}
