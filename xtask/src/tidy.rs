//! The house rules of CONTRIBUTING.md that a program can check, as tests.

mod dependencies;
mod documents;
mod files;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout.
fn repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Paths of all tracked files that are there, relative to the checkout.
fn tracked() -> Vec<String> {
    let out = Command::new("git").arg("-C").arg(repo()).args(["ls-files", "-z"]).output().unwrap();
    assert!(out.status.success(), "git ls-files: {}", String::from_utf8_lossy(&out.stderr));
    let paths: Vec<String> = String::from_utf8(out.stdout)
        .unwrap()
        .split_terminator('\0')
        .filter(|path| repo().join(path).symlink_metadata().is_ok())
        .map(str::to_owned)
        .collect();
    assert!(paths.len() > 100, "git lists only {} files: is this a whole checkout?", paths.len());
    paths
}

/// Tracked files with one of these ends.
fn tracked_ending(ends: &[&str]) -> Vec<String> {
    tracked().into_iter().filter(|path| ends.iter().any(|end| path.ends_with(end))).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    let path: PathBuf = repo().join(path);
    fs::read_to_string(&path).unwrap_or_else(|err| panic!("reading {}: {err}", path.display()))
}

/// Fails with all that was found, not only the first.
#[track_caller]
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}
