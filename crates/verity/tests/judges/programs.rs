//! Finds the foreign programs that judge our output; included by the judge tests of several crates.
//!
//! `SLIPWAY_JUDGES=DIR` names a folder with the programs, and then a missing one fails the test. Without it
//! they are looked up on the machine, and a test whose program is missing says so and passes.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs};

/// Returns the file `name` among the judges, or `None` if it may be missing here.
pub fn judge_file(name: &str) -> Option<PathBuf> {
    let is_file = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.is_file());
    if let Some(dir) = env::var_os("SLIPWAY_JUDGES") {
        let path = PathBuf::from(dir).join(name);
        assert!(is_file(&path), "SLIPWAY_JUDGES is set, but {} is missing", path.display());
        return Some(path);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = dirs.map(|dir| dir.join(name)).find(is_file);
    if found.is_none() {
        println!("skipped: `{name}` is not on this machine; set SLIPWAY_JUDGES to demand it");
    }
    found
}

/// Runs the judge `name` and returns what it says, or `None` if it is missing here.
pub fn judge(name: &str, args: &[&str]) -> Option<Output> {
    let output = Command::new(judge_file(name)?).args(args).output();
    Some(output.unwrap_or_else(|err| panic!("running {name}: {err}")))
}

/// Runs the judge `name` and fails unless it exits with 0. Returns its standard output.
pub fn judge_accepts(name: &str, args: &[&str]) -> Option<String> {
    let output = judge(name, args)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {}\n{stdout}{stderr}", output.status);
    Some(stdout)
}
