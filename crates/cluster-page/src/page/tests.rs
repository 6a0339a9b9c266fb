//! The page for clusters that are well and that are not, and texts that try to be markup.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::source::Source;
use crate::testing::{after_a_bad_version, answers, edit, seen};

/// What is between `<` and `>`, in order: what a browser builds its tree of.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect()
}

#[test]
fn the_page_is_the_one_that_was_looked_at() {
    let mut view = seen(after_a_bad_version);
    view.events = crate::events::events(None, &view);
    view.events.reverse();
    let page = render(&view, 5).replace(STYLE, "…");
    expect_test::expect_file!["../../tests/data/page.html"].assert_eq(&page);
}

#[test]
fn the_sentence_of_a_cluster_in_order_is_at_the_top() {
    let page = render(&seen(|_| {}), 5);
    let expected =
        "<span id=\"summary\">3 machines, all on 0.1.1, etcd has its quorum, no slot is held.</span>";
    assert!(page.contains(expected), "{page}");
    assert!(page.contains("<title>In order: 3 machines</title>"));
    assert!(page.contains("http-equiv=\"refresh\" content=\"5\""));
}

#[test]
fn what_did_not_answer_is_a_line_with_what_is_shown_of_it() {
    let mut view = seen(|all| drop(all.insert(Source::Units, None)));
    assert!(
        render(&view, 5)
            .contains("no answer within 20 s</td><td role=\"cell\" data-name=\"Shown here\">nothing of it<")
    );
    view.missing[0].known_at = Some("2026-11-29T01:00:00Z".to_owned());
    view.missing[0].age_secs = Some(7200);
    assert!(render(&view, 5).contains("2026-11-29 01:00:00</time><small>2 h ago</small>"));
}

#[test]
fn a_list_of_troubles_has_an_end() {
    let view = seen(|all| {
        let many: Vec<_> = (0..50).map(|n| json!({ "name": format!("u{n}.service"), "machineID": "m", "systemdActiveState": "failed" })).collect();
        all.insert(Source::Units, Some(Value::Array(many)));
    });
    let page = render(&view, 5);
    assert_eq!(page.matches("<li>").count(), TROUBLES_MAX + 1);
    assert!(page.contains(&format!("<li>and {} more</li>", 49 - TROUBLES_MAX)));
    assert_eq!(view.troubles.len(), 50);
}

#[test]
fn nothing_is_loaded_from_anywhere_and_nothing_runs() {
    let page = render(&seen(after_a_bad_version), 5);
    for word in
        ["src=", "href=", "<script", "<img", "<link", "<form", "<iframe", "url(", "@import", " on", "style="]
    {
        let found: Vec<_> = tags(&page).into_iter().filter(|tag| format!("<{tag}").contains(word)).collect();
        assert!(found.is_empty(), "{word}: {found:?}");
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn the_policy_allows_this_style_alone() {
    let policy = policy();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let page = render(&seen(|_| {}), 5);
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64.encode(Sha256::digest(style.as_bytes()));
    assert!(policy.contains(&format!("'sha256-{hash}'")));
}

#[test]
fn spans_are_as_people_say_them() {
    let spans: Vec<_> = [5, 119, 120, 7199, 7200, 172_800].map(parts::span).into();
    assert_eq!(spans, ["5 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
}

/// Puts a text where a text is, in all documents.
fn put(value: &mut Value, text: &str) {
    match value {
        Value::String(found) => *found = text.to_owned(),
        Value::Array(rows) => rows.iter_mut().for_each(|row| put(row, text)),
        Value::Object(fields) => fields.values_mut().for_each(|field| put(field, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The page of a cluster where everything foreign is this text.
fn page_of(text: &str) -> String {
    let all_of = |all: &mut BTreeMap<Source, Option<Value>>| {
        all.values_mut().flatten().for_each(|value| put(value, text));
        edit(all, Source::Versions(String::new()), |value| value[0]["state"] = json!("failed"));
        all.insert(Source::Locks(text.to_owned()), answers().remove(&Source::Locks(String::new())));
        all.insert(Source::Versions(text.to_owned()), None);
    };
    let mut view = seen(all_of);
    view.events = crate::events::events(Some(&seen(|_| {})), &view);
    render(&view, 5)
}

#[test]
fn a_script_in_a_name_is_text() {
    let page = page_of("<script>alert(1)</script>\"'&amp;");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;amp;"));
    assert_eq!(tags(&page), tags(&page_of("x")));
}

/// What the page is made of whatever is written in it.
static PLAIN: LazyLock<String> = LazyLock::new(|| page_of("xyz"));

proptest! {
    #[test]
    fn no_foreign_text_changes_what_the_page_is_made_of(text in "[^a-z0]{1,40}") {
        // Words that have a meaning of their own, as names of states have, are not among these texts.
        let found = page_of(&text);
        prop_assert_eq!(tags(&found), tags(&PLAIN));
    }
}
