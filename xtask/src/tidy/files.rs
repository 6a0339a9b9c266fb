//! Rules about files: their first line, length, names, modes, and what must not be in them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{assert_none, read, repo, tracked, tracked_ending};

/// Longer files are split by concept long before.
const LINES_MAX: usize = 500;
/// Files of generated or foreign text, which nobody reads from top to bottom.
const MAY_BE_LONG: [&str; 1] = ["crates/etcd-rpc/src/generated.rs"];

#[test]
fn every_rust_file_says_what_it_gives() {
    let silent = |path: &String| {
        let first = read(path).lines().next().unwrap_or_default().to_owned();
        first.strip_prefix("//!").is_none_or(|words| words.trim().len() <= 10)
    };
    let found: Vec<_> = tracked_ending(&[".rs"]).into_iter().filter(silent).collect();
    assert_none("files that do not open with `//!` and what they give", &found);
}

#[test]
fn no_rust_file_is_too_long() {
    let long =
        |path: &String| !MAY_BE_LONG.contains(&path.as_str()) && read(path).lines().count() > LINES_MAX;
    let found: Vec<_> = tracked_ending(&[".rs"]).into_iter().filter(long).collect();
    assert_none("files over 500 lines: split them by concept", &found);
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let is_vague = |path: &String| {
        ["mod.rs", "utils.rs", "util.rs", "helpers.rs", "common.rs", "misc.rs"]
            .iter()
            .any(|name| path.rsplit('/').next() == Some(name))
    };
    let found: Vec<_> = tracked_ending(&[".rs"]).into_iter().filter(is_vague).collect();
    assert_none("files whose names do not say what they give", &found);
}

#[test]
fn no_file_names_this_machine_or_its_mirror() {
    let mut secrets = vec![repo().display().to_string()];
    let home = std::env::home_dir().map(|home| home.display().to_string());
    // The folder of root is everywhere the same.
    secrets.extend(home.filter(|home| home != "/root" && home.matches('/').count() > 1));
    let apt = std::path::Path::new("/etc/apt");
    let mirror = if apt.is_dir() { crate::mirror::sources::base(apt).unwrap() } else { None };
    secrets.extend(mirror.as_deref().and_then(host).map(str::to_owned));
    secrets.extend(registries());
    let mut found = Vec::new();
    for path in tracked() {
        let Ok(text) = fs::read_to_string(repo().join(&path)) else { continue };
        for secret in &secrets {
            for (idx, _) in text.lines().enumerate().filter(|(_, line)| line.contains(secret.as_str())) {
                found.push(format!("{path}:{}", idx + 1));
            }
        }
    }
    assert_none("lines with a path of this machine, or the host of its mirror or registry", &found);
}

#[test]
fn overlays_hold_no_executable_configuration() {
    let is_wrong = |path: &String| {
        let meta = fs::symlink_metadata(repo().join(path)).unwrap();
        if meta.is_symlink() || meta.permissions().mode() & 0o111 == 0 {
            return false;
        }
        // A script is executable where programs are.
        !(path.contains("/bin/") || path.contains("/libexec/")) || !read(path).starts_with("#!")
    };
    let overlays = tracked().into_iter().filter(|path| path.starts_with("overlays/"));
    assert_none("executable files that are no programs", &overlays.filter(is_wrong).collect::<Vec<_>>());
}

#[test]
fn jobs_only_call_xtask_and_pin_what_they_use() {
    for path in [".ci/run", "ci/pull-request.sh", "ci/release.sh"] {
        let mode = fs::metadata(repo().join(path)).unwrap().permissions().mode();
        assert!(mode & 0o111 == 0o111, "{path} is not executable");
    }
    assert!(read(".ci/run").contains("exec cargo xtask ci"));
    assert!(read("ci/pull-request.sh").contains("exec .ci/run"));
    for command in ["cargo xtask release", "cargo xtask verify-release"] {
        assert!(read("ci/release.sh").contains(command), "ci/release.sh does not call {command}");
    }
    assert!(read(".github/workflows/release.yml").contains("run: ci/release.sh"));
    for path in tracked().into_iter().filter(|path| path.starts_with(".github/workflows/")) {
        let text = read(&path);
        assert!(text.contains("permissions:\n  contents: read"), "{path}: least permissions");
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let commit = line.split_once('@').and_then(|(_, rest)| rest.split_whitespace().next());
            let pinned = commit.is_some_and(|commit| {
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            assert!(pinned, "{path}: `{}` is not pinned by a commit", line.trim());
        }
    }
}

/// Hosts of registries that this machine's cargo uses in place of crates.io.
fn registries() -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let text = home.and_then(|home| fs::read_to_string(home.join("config.toml")).ok()).unwrap_or_default();
    let hosts =
        text.split('"').filter_map(host).filter(|host| !host.ends_with("crates.io") && *host != "github.com");
    hosts.map(str::to_owned).collect()
}

fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    rest.split(['/', ':']).next().filter(|host| host.contains('.'))
}
