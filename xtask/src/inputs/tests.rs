//! A mirror that has moved on: every locked file is gone.

use std::fs;

use super::*;
use crate::mirror::mock::archive::{Archive, add_part, deb, definition};
use crate::mirror::mock::{self, Server};
use crate::stage::fetch::{Input, Source};

/// Fills the archive with the real tools, whose apt has to work, and a small image. From version 2 on every
/// file is another one.
fn fill(archive: &mut Archive, tools: &[Vec<u8>], version: u32) {
    archive.clear();
    for real in tools {
        let control = deb::package::control(&real[..]).unwrap();
        let mut bytes = real.clone();
        add_part(&mut bytes, "_version", version.to_string().as_bytes());
        archive.add(&control, bytes);
    }
    for (name, depends) in [("hello", "world"), ("world", ""), ("blob", "")] {
        let control =
            format!("Package: {name}\nVersion: {version}:1\nArchitecture: amd64\nDepends: {depends}\n");
        archive.add(&control, deb(&[(&format!("./usr/{name}"), &version.to_string())]));
    }
    archive.publish("");
}

#[test]
#[ignore = "needs the locked tools in the cache; `cargo xtask test judge` runs it"]
fn locks_again_when_every_locked_file_is_gone() {
    let real = Ctx::new(false).unwrap();
    let locks = Locks::read(&real.image_dir()).unwrap();
    let rows: Vec<&Row> = locks.tools.rows_of(&["build"]).collect();
    let output = fetch::run(&real, &Input { rows, source: Source::Offline }).unwrap();
    let tools: Vec<Vec<u8>> = output.paths.values().map(|path| fs::read(path).unwrap()).collect();

    let dir = tempfile::tempdir().unwrap();
    let ctx = mock::ctx(dir.path());
    let server = Server::start();
    let mut archive = Archive::new(&server);
    archive.trust(&ctx.repo);
    let definition = definition(
        "  base:\n    packages: [hello]\n  extra:\n    optional: true\n    packages: [blob]\n",
        "  build: [apt, bubblewrap, dpkg]\n",
    );
    let plain = flags::Inputs { mirror: Some(server.url.clone()), ..Default::default() };
    let locked = flags::Inputs { locked: true, ..plain.clone() };
    let get = |args: &flags::Inputs, without: &[String]| get(&ctx, &definition, args, without, &["build"]);

    fill(&mut archive, &tools, 1);
    let text = format!("{:#}", get(&locked, &[]).unwrap_err());
    assert!(text.contains("packages.lock") && text.contains("--locked"), "{text}");
    let first = get(&plain, &[]).unwrap();
    let names: Vec<&str> = first.locks.packages.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["blob", "hello", "world"]);
    assert!(first.locks.packages.rows[0].in_group("extra") && first.locks.packages.rows[2].in_group("image"));
    get(&locked, &[]).unwrap();

    // The mirror moves on, and the cache is empty.
    fill(&mut archive, &tools, 2);
    fs::remove_dir_all(&ctx.cache).unwrap();
    let text = format!("{:#}", get(&locked, &[]).unwrap_err());
    for says in ["gone from the mirror", "hello 1:1", "apt ", "--locked forbids", "cargo xtask lock"] {
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(Locks::read(&ctx.image_dir()).unwrap(), first.locks);
    let second = get(&plain, &["extra".to_owned()]).unwrap();
    assert_eq!(Locks::read(&ctx.image_dir()).unwrap(), second.locks);
    let (old, new) = (&first.locks.packages.rows[1], &second.locks.packages.rows[1]);
    assert_eq!((old.version.as_str(), new.version.as_str()), ("1:1", "2:1"));
    assert!(second.files.contains_key(&new.sha256) && !second.files.contains_key(&old.sha256));
    assert!(!second.files.contains_key(&second.locks.packages.rows[0].sha256), "left out with `without`");
}

#[test]
fn a_lock_older_than_the_definition_is_refused_when_locked_or_offline() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = mock::ctx(dir.path());
    let lock = crate::lock::Lock { time: 1, definition: "0".repeat(64), rows: Vec::new() };
    Locks { packages: lock.clone(), tools: lock }.write(&ctx.image_dir()).unwrap();
    let definition = definition("  base:\n    packages: [hello]\n", "  build: [apt]\n");
    let refused = |args: flags::Inputs| format!("{:#}", get(&ctx, &definition, &args, &[], &[]).unwrap_err());
    let text = refused(flags::Inputs { locked: true, ..Default::default() });
    assert!(text.contains("older than image/image.yaml") && text.contains("cargo xtask lock"), "{text}");
    let text = refused(flags::Inputs { offline: true, ..Default::default() });
    assert!(text.contains("older than image/image.yaml") && text.contains("--offline"), "{text}");
}
