//! Runs the operations table, and what it says of every answer.

use etcd_lab::{Answer, Client};
use serde_json::Value;
use ureq::http::Method;

use crate::keys_table::{Asked, Expected, ROWS, Row};
use crate::one_member;

#[test]
fn the_keys_api_answers_by_the_table() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    let mut found = Vec::new();
    for (n, row) in ROWS.iter().enumerate() {
        if let Err(why) = check(&client, row, &format!("/row{n}")) {
            found.push(format!("{}: {why}", row.claim));
        }
    }
    assert!(ROWS.len() > 60, "the table has only {} rows", ROWS.len());
    assert!(found.is_empty(), "{} of {} rows:\n  {}", found.len(), ROWS.len(), found.join("\n  "));
}

#[test]
fn the_changes_of_c04_have_their_statuses_and_codes() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    let status = |method: &str, path: &str, form: &str| {
        let answer = ask(&client, (method, path, form), "/c04", 0);
        (answer.status, answer.error_code().unwrap_or_default())
    };
    assert_eq!(status("PUT", "$/put", "value=v"), (201, 0));
    assert_eq!(status("PUT", "$/k?prevExist=false", "value=one"), (201, 0));
    assert_eq!(status("PUT", "$/k?prevExist=false", "value=one"), (412, 105));
    assert_eq!(status("PUT", "$/k?prevValue=one", "value=two"), (200, 0));
    assert_eq!(status("PUT", "$/k?prevValue=one", "value=three"), (412, 101));
    assert_eq!(status("GET", "$/k", ""), (200, 0));
    assert_eq!(status("DELETE", "$/put", ""), (200, 0));
    assert_eq!(status("DELETE", "$/k?prevValue=one", ""), (412, 101));
    assert_eq!(status("DELETE", "$/k?prevValue=two", ""), (200, 0));
}

#[test]
fn a_removed_directory_is_one_event() {
    let Some(member) = one_member() else { return };
    let client = member.client();
    for name in ["a", "b", "c"] {
        client.put(&format!("/v2/keys/dir/{name}"), "value=v").unwrap();
    }
    let before = client.get("/v2/keys/").unwrap().index().unwrap();
    let watch = client.watch("/v2/keys/dir/a?wait=true").unwrap();
    let answer = client.delete("/v2/keys/dir?recursive=true").unwrap();
    assert_eq!(answer.json()["node"]["modifiedIndex"], before + 1);
    assert_eq!(client.get("/v2/keys/").unwrap().index(), Some(before + 1));
    // A watcher below is told of its parent's end.
    assert_eq!(watch.event()["action"], "delete");
}

fn check(client: &Client, row: &Row, dir: &str) -> Result<(), String> {
    let mut index = 0;
    for asked in row.before {
        let answer = ask(client, *asked, dir, index);
        if !answer.is_success() {
            return Err(format!("the preparation {asked:?} answers {} {}", answer.status, answer.body));
        }
        index = answer.json()["node"]["modifiedIndex"].as_u64().unwrap();
    }
    let answer = ask(client, row.asked, dir, index);
    let shown = format!("{} {}", answer.status, answer.body.trim());
    if answer.status != row.status {
        return Err(format!("expected {}, found {shown}", row.status));
    }
    let json = answer.json();
    match &row.answer {
        Expected::Header(name, text) => {
            let value = answer.headers.get(*name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let text = text.replace('$', &format!("/v2/keys{dir}"));
            return (value == text).then_some(()).ok_or(format!("expected {name}: {text}, found `{value}`"));
        }
        Expected::Error(code, cause) => {
            let (found, why) = (json["errorCode"].as_u64(), json["cause"].as_str().unwrap_or_default());
            if found != Some(*code) || !why.contains(&cause.replace('$', dir)) {
                return Err(format!("expected code {code} and cause {cause}, found {shown}"));
            }
            if json["message"].as_str().unwrap_or_default().is_empty() || !json["index"].is_u64() {
                return Err(format!("an error without message or index: {shown}"));
            }
        }
        Expected::Action(action, part) => success(&json, action, part, dir)?,
        Expected::That(action, part, claim) => {
            success(&json, action, part, dir)?;
            if !claim(&json) {
                return Err(format!("the claim does not hold for {shown}"));
            }
        }
    }
    headers(&answer)
}

fn success(json: &Value, action: &str, part: &str, dir: &str) -> Result<(), String> {
    let expected: Value = serde_json::from_str(&part.replace('$', dir)).unwrap();
    if json["action"] != action || !holds(json, &expected) {
        return Err(format!("expected {action} {expected}, found {json}"));
    }
    Ok(())
}

/// Whether `found` has all that `expected` has; null is what must be absent.
fn holds(found: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(fields) => fields.iter().all(|(name, value)| holds(&found[name], value)),
        Value::Array(items) => found.as_array().is_some_and(|found| {
            found.len() == items.len() && items.iter().zip(found).all(|(item, found)| holds(found, item))
        }),
        _ => found == expected,
    }
}

/// What every answer of the keys API tells in its headers.
fn headers(answer: &Answer) -> Result<(), String> {
    let number = |name: &str| answer.headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let cluster = answer.headers.get("x-etcd-cluster-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    // Without leading zeros.
    let is_id = (1..=16).contains(&cluster.len()) && cluster.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_json = answer.headers.get("content-type").is_some_and(|kind| kind == "application/json");
    let raft = [number("x-raft-index"), number("x-raft-term")];
    let raft_fits = match answer.is_success() {
        true => raft.iter().all(Option::is_some),
        false => raft == [None, None],
    };
    if is_id && is_json && raft_fits && answer.index().is_some() && answer.body.ends_with('\n') {
        return Ok(());
    }
    Err(format!("headers {:?} of {} {}", answer.headers, answer.status, answer.body))
}

fn ask(client: &Client, (method, path, form): Asked<'_>, dir: &str, index: u64) -> Answer {
    let path = format!("/v2/keys{}", path.replace('$', dir).replace('#', &index.to_string()));
    client.send(&Method::from_bytes(method.as_bytes()).unwrap(), &path, form).unwrap()
}
