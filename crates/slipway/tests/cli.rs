//! The command line as scripts use it: exit codes, JSON on standard output, errors in one line.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn slipway(root: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_slipway")).arg("--root").arg(root).args(args).output().unwrap()
}

fn file(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn machine() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "usr/lib/os-release", "IMAGE_VERSION=1.2.3\n");
    file(dir.path(), "proc/cmdline", "rw usrhash=abcd\n");
    file(dir.path(), "proc/uptime", "5.0 5.0\n");
    let package = r#"[{"name":"bash","version":"5","architecture":"amd64","licence":"GPL-3+"}]"#;
    file(dir.path(), "usr/lib/slipway/packages.json", package);
    dir
}

#[track_caller]
fn check_failure(out: &Output, code: i32, beginning: &str) {
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{stderr}");
    assert!(stderr.starts_with(beginning), "{stderr}");
    assert!(out.stdout.is_empty());
}

#[test]
fn status_is_one_json_document_even_where_little_can_be_learned() {
    let out = slipway(machine().path(), &["status", "--json"]);
    assert_eq!(out.status.code(), Some(0));
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(status["format"], 1);
    assert_eq!(status["version"], "1.2.3");
    assert_eq!(status["root_hash"], "abcd");
    assert_eq!(status["boot_complete"], "waiting");
    assert!(status["slot"].is_null() && !status["warnings"].as_array().unwrap().is_empty());
}

#[test]
fn packages_come_as_columns_or_json() {
    let dir = machine();
    let text = slipway(dir.path(), &["packages"]);
    assert_eq!(String::from_utf8_lossy(&text.stdout), "bash  5  GPL-3+\n");
    let json = slipway(dir.path(), &["packages", "--json"]);
    let packages: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(packages[0]["name"], "bash");
}

#[test]
fn a_failure_is_one_line_and_exit_code_1() {
    let dir = tempfile::tempdir().unwrap();
    check_failure(&slipway(dir.path(), &["packages"]), 1, "error: reading /usr/lib/slipway/packages.json: ");
    let refused = slipway(machine().path(), &["kernel-args", "set", "quiet", "usrhash=00"]);
    check_failure(&refused, 1, "error: `usrhash=00` would change which /usr is trusted");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let dir = machine();
    check_failure(&slipway(dir.path(), &["statsu"]), 2, "error: ");
    check_failure(&slipway(dir.path(), &["kernel-args", "set"]), 2, "error: ");
    check_failure(&slipway(dir.path(), &["packages", "--yaml"]), 2, "error: ");
}

#[test]
fn kernel_args_without_any_says_so() {
    let dir = machine();
    fs::create_dir_all(dir.path().join("efi")).unwrap();
    let out = slipway(dir.path(), &["kernel-args"]);
    assert!(String::from_utf8_lossy(&out.stdout).starts_with("Additional arguments: none\n"));
    for args in [
        &["kernel-args", "--json"][..],
        &["kernel-args", "list", "--json"],
        &["kernel-args", "clear", "--json"],
    ] {
        let report: serde_json::Value = serde_json::from_slice(&slipway(dir.path(), args).stdout).unwrap();
        assert_eq!((&report["args"], &report["active"]), (&"".into(), &true.into()));
    }
}

/// Puts a program in the place of slipway-cluster.
fn cluster_program(root: &Path, script: &str) {
    file(root, "usr/bin/slipway-cluster", script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(root.join("usr/bin/slipway-cluster"), mode).unwrap();
}

#[test]
fn cluster_is_another_program_that_gets_all_arguments() {
    let dir = machine();
    cluster_program(dir.path(), "#!/bin/sh\nprintf '<%s>' \"$@\"\nexit 7\n");
    for (args, expected) in [
        (
            &["cluster", "serve", "--listen", "[::1]:1", "-x", "a b"][..],
            "<serve><--listen><[::1]:1><-x><a b>",
        ),
        (&["cluster", "--help"], "<--help>"),
        (&["cluster", "show", "--help"], "<show><--help>"),
        (&["cluster", "--version"], "<--version>"),
        (&["cluster"], "<>"),
    ] {
        let out = slipway(dir.path(), args);
        assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stdout).as_ref()), (Some(7), expected));
    }
}

#[test]
fn a_missing_program_of_cluster_is_named() {
    let dir = machine();
    let out = slipway(dir.path(), &["cluster", "show"]);
    let path = dir.path().join("usr/bin/slipway-cluster");
    check_failure(&out, 1, &format!("error: {} is not there: it comes with the image", path.display()));
    file(dir.path(), "usr/bin/slipway-cluster", "");
    check_failure(&slipway(dir.path(), &["cluster", "show"]), 1, "error: running ");
}
