//! Settings that are wrong, as whoever wrote them reads it.

use crate::lab::Lab;

fn said(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String) {
    let out = lab.run(arguments);
    (out.status.code(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn a_check_names_file_line_option_and_remedy() {
    let (code, text) = said(&Lab::new("agent_ttl=soon\n"), &["check"]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("error: "), "{text}");
    let expected =
        "fleet.conf:3: agent_ttl: `soon` is no time: write seconds, such as 30, or 30s, 1m30s, 500ms\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_check_says_what_is_ignored_and_is_content() {
    let (code, text) = said(&Lab::new("verify_units=true\n"), &["check"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("warning: ") && text.contains("verify_units is ignored"), "{text}");
}

#[test]
fn a_check_sees_files_that_are_not_there() {
    let lab = Lab::new("etcd_servers=https://127.0.0.1:1\netcd_cafile=/nonexistent/ca.pem\n");
    let (code, text) = said(&lab, &["check"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("reading /nonexistent/ca.pem, which etcd_cafile names: "), "{text}");
}

#[test]
fn it_does_not_start_with_wrong_settings() {
    let (code, text) = said(&Lab::new("etcd_server=http://127.0.0.1:1\n"), &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("is etcd_servers meant?"), "{text}");
}

#[test]
fn a_guard_without_a_time_ends_and_says_so() {
    let (code, text) = said(&Lab::new(""), &["guard"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("says no time"), "{text}");
}
