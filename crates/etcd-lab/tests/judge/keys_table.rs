//! The operations table of the v2 keys API: what each request answers under each condition.
//!
//! In requests and expected answers `$` stands for the row's own directory, and in requests `#` for the index of
//! what the row's last preparation changed.

use serde_json::Value;

/// A method, a path with its query, and a form.
pub type Asked<'a> = (&'a str, &'a str, &'a str);

/// One request under one condition.
pub struct Row {
    /// The claim.
    pub claim: &'static str,
    /// What makes the condition.
    pub before: &'static [Asked<'static>],
    /// The request.
    pub asked: Asked<'static>,
    /// The expected status.
    pub status: u16,
    /// The expected answer.
    pub answer: Expected,
}

/// What an answer has to say.
pub enum Expected {
    /// A success with this action, and a node and previous node that hold at least this JSON; `null`: absent.
    Action(&'static str, &'static str),
    /// The same, and a claim about its numbers.
    That(&'static str, &'static str, fn(&Value) -> bool),
    /// An error with this code and a cause that holds this text.
    Error(u64, &'static str),
    /// Headers that hold this text, and no body that counts.
    Header(&'static str, &'static str),
}

use Expected::{Action, Error, Header, That};

const FILE: Asked<'_> = ("PUT", "$/k", "value=old");
const DIR: Asked<'_> = ("PUT", "$/d", "dir=true");
const FULL_DIR: Asked<'_> = ("PUT", "$/d/in", "value=v");

const fn row(
    claim: &'static str,
    before: &'static [Asked<'static>],
    asked: Asked<'static>,
    status: u16,
    answer: Expected,
) -> Row {
    Row { claim, before, asked, status, answer }
}

fn index_is_reset(json: &Value) -> bool {
    let (node, before) = (&json["node"], &json["prevNode"]);
    node["createdIndex"] == node["modifiedIndex"] && node["createdIndex"] != before["createdIndex"]
}

fn created_index_is_kept(json: &Value) -> bool {
    let (node, before) = (&json["node"], &json["prevNode"]);
    node["createdIndex"] == before["createdIndex"]
        && before["modifiedIndex"].as_u64() < node["modifiedIndex"].as_u64()
}

fn children_are_sorted(json: &Value) -> bool {
    let keys = |node: &Value| -> Vec<String> {
        let nodes = node["nodes"].as_array().cloned().unwrap_or_default();
        nodes.iter().map(|node| node["key"].as_str().unwrap().to_owned()).collect()
    };
    let (top, inner) = (keys(&json["node"]), keys(&json["node"]["nodes"][0]));
    (top.len(), inner.len()) == (3, 2) && top.is_sorted() && inner.is_sorted()
}

fn expires(json: &Value) -> bool {
    let text = json["node"]["expiration"].as_str().unwrap_or_default();
    // RFC 3339 in UTC with a fraction; trailing zeros are left out.
    text.len() > 20 && text.as_bytes()[10] == b'T' && text.as_bytes()[19] == b'.' && text.ends_with('Z')
}

fn key_is_its_index(json: &Value) -> bool {
    let key = json["node"]["key"].as_str().unwrap_or_default();
    let name = key.rsplit('/').next().unwrap_or_default();
    name.len() == 20 && name.parse().ok() == json["node"]["createdIndex"].as_u64()
}

/// All rows, in the order of the specification.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("GET of a key that exists", &[FILE], ("GET", "$/k", ""), 200, Action("get", r#"{"node":{"key":"$/k","value":"old","dir":null},"prevNode":null}"#)),
    row("GET of a missing key; the cause is the first part of the path that is missing", &[], ("GET", "$/k", ""), 404, Error(100, "$")),
    row("GET of a missing key in a directory", &[DIR], ("GET", "$/d/k", ""), 404, Error(100, "$/d/k")),
    row("GET of a directory", &[FULL_DIR], ("GET", "$/d", ""), 200, Action("get", r#"{"node":{"key":"$/d","dir":true,"value":null,"nodes":[{"key":"$/d/in","value":"v"}]}}"#)),
    row("GET of a directory shows one level", &[("PUT", "$/d/e/f", "value=v")], ("GET", "$/d", ""), 200, Action("get", r#"{"node":{"nodes":[{"key":"$/d/e","dir":true,"nodes":null}]}}"#)),
    row("GET of the root, which has no key", &[], ("GET", "/", ""), 200, Action("get", r#"{"node":{"dir":true,"key":null}}"#)),
    row("GET recursive", &[("PUT", "$/d/e/f", "value=v")], ("GET", "$/d?recursive=true", ""), 200, Action("get", r#"{"node":{"nodes":[{"key":"$/d/e","nodes":[{"key":"$/d/e/f","value":"v"}]}]}}"#)),
    row("GET sorted, at each level", &[("PUT", "$/a/z", "value=v"), ("PUT", "$/c", "value=v"), ("PUT", "$/b", "value=v"), ("PUT", "$/a/y", "value=v")], ("GET", "$?recursive=true&sorted=true", ""), 200, That("get", "{}", children_are_sorted)),
    row("GET with a quorum", &[FILE], ("GET", "$/k?quorum=true", ""), 200, Action("get", r#"{"node":{"value":"old"}}"#)),
    row("HEAD of a key that exists", &[FILE], ("HEAD", "$/k", ""), 200, Header("content-type", "application/json")),
    row("HEAD of a missing key", &[], ("HEAD", "$/k", ""), 404, Header("content-type", "application/json")),
    row("PUT of a new key", &[], ("PUT", "$/k", "value=v"), 201, Action("set", r#"{"node":{"key":"$/k","value":"v"},"prevNode":null}"#)),
    row("PUT of a key that exists resets its index", &[FILE], ("PUT", "$/k", "value=v"), 200, That("set", r#"{"node":{"value":"v"},"prevNode":{"value":"old"}}"#, index_is_reset)),
    row("PUT of a new key without a value", &[], ("PUT", "$/k", ""), 201, Action("set", r#"{"node":{"value":""}}"#)),
    row("PUT without a value on a key that exists", &[FILE], ("PUT", "$/k", ""), 200, Action("set", r#"{"node":{"value":""}}"#)),
    row("PUT makes the parents", &[("PUT", "$/p/q/r", "value=v")], ("GET", "$/p/q", ""), 200, Action("get", r#"{"node":{"dir":true}}"#)),
    row("PUT prevExist=false of a new key", &[], ("PUT", "$/k?prevExist=false", "value=v"), 201, Action("create", r#"{"node":{"value":"v"},"prevNode":null}"#)),
    row("PUT prevExist=false of a key that exists", &[FILE], ("PUT", "$/k?prevExist=false", "value=v"), 412, Error(105, "$/k")),
    row("PUT prevExist=true of a key that exists keeps its index", &[FILE], ("PUT", "$/k?prevExist=true", "value=v"), 200, That("update", r#"{"node":{"value":"v"},"prevNode":{"value":"old"}}"#, created_index_is_kept)),
    row("PUT prevExist=true of a missing key", &[], ("PUT", "$/k?prevExist=true", "value=v"), 404, Error(100, "$")),
    row("PUT prevValue that matches", &[FILE], ("PUT", "$/k?prevValue=old", "value=v"), 200, That("compareAndSwap", r#"{"node":{"value":"v"},"prevNode":{"value":"old"}}"#, created_index_is_kept)),
    row("PUT prevIndex that matches", &[FILE], ("PUT", "$/k?prevIndex=#", "value=v"), 200, That("compareAndSwap", r#"{"node":{"value":"v"},"prevNode":{"value":"old"}}"#, created_index_is_kept)),
    row("PUT prevValue and prevIndex that match", &[FILE], ("PUT", "$/k?prevValue=old&prevIndex=#", "value=v"), 200, Action("compareAndSwap", r#"{"prevNode":{"value":"old"}}"#)),
    row("PUT conditions in the form", &[FILE], ("PUT", "$/k", "prevValue=old&value=v"), 200, Action("compareAndSwap", r#"{"node":{"value":"v"}}"#)),
    row("PUT conditions in the form win over the query's", &[FILE], ("PUT", "$/k?prevValue=old", "prevValue=other&value=v"), 412, Error(101, "[other != old]")),
    row("PUT prevValue that does not match", &[FILE], ("PUT", "$/k?prevValue=other", "value=v"), 412, Error(101, "[other != old]")),
    row("PUT prevIndex that does not match", &[FILE], ("PUT", "$/k?prevIndex=1", "value=v"), 412, Error(101, "[1 != ")),
    row("PUT prevValue that matches with a prevIndex that does not", &[FILE], ("PUT", "$/k?prevValue=old&prevIndex=1", "value=v"), 412, Error(101, "[1 != ")),
    row("PUT prevValue on a missing key", &[], ("PUT", "$/k?prevValue=old", "value=v"), 404, Error(100, "$")),
    row("PUT prevIndex on a missing key", &[], ("PUT", "$/k?prevIndex=1", "value=v"), 404, Error(100, "$")),
    row("PUT with an empty prevValue", &[FILE], ("PUT", "$/k?prevValue=", "value=v"), 400, Error(201, "")),
    row("PUT prevIndex that is no number", &[FILE], ("PUT", "$/k?prevIndex=abc", "value=v"), 400, Error(203, "")),
    row("PUT with a boolean that is neither true nor false", &[], ("PUT", "$/k?prevExist=maybe", "value=v"), 400, Error(209, "")),
    row("PUT dir=true of a new directory ignores a value", &[], ("PUT", "$/d", "dir=true&value=v"), 201, Action("set", r#"{"node":{"key":"$/d","dir":true,"value":null}}"#)),
    row("PUT dir=true where a directory is", &[DIR], ("PUT", "$/d", "dir=true"), 403, Error(102, "$/d")),
    row("PUT dir=true where a file is", &[FILE], ("PUT", "$/k", "dir=true"), 200, Action("set", r#"{"node":{"dir":true,"nodes":null},"prevNode":{"value":"old"}}"#)),
    row("PUT of a value where a directory is", &[DIR], ("PUT", "$/d", "value=v"), 403, Error(102, "$/d")),
    row("PUT below a file", &[FILE], ("PUT", "$/k/below", "value=v"), 400, Error(104, "$/k")),
    row("PUT of the root", &[], ("PUT", "/", "value=v"), 400, Error(107, "/")),
    row("DELETE of the root", &[], ("DELETE", "/?recursive=true", ""), 400, Error(107, "/")),
    row("PUT with a ttl", &[], ("PUT", "$/k", "value=v&ttl=100"), 201, That("set", r#"{"node":{"ttl":100}}"#, expires)),
    row("PUT with a ttl on a key that exists", &[FILE], ("PUT", "$/k", "value=v&ttl=100"), 200, That("set", r#"{"node":{"ttl":100}}"#, expires)),
    row("PUT of a directory with a ttl", &[], ("PUT", "$/d", "dir=true&ttl=100"), 201, That("set", r#"{"node":{"dir":true,"ttl":100}}"#, expires)),
    row("PUT of an empty ttl takes it away, and the value too", &[("PUT", "$/k", "value=v&ttl=100")], ("PUT", "$/k?prevExist=true", "ttl="), 200, Action("update", r#"{"node":{"value":"","ttl":null,"expiration":null}}"#)),
    row("PUT of an empty ttl with the value keeps the value", &[("PUT", "$/k", "value=v&ttl=100")], ("PUT", "$/k?prevExist=true", "ttl=&value=v"), 200, Action("update", r#"{"node":{"value":"v","ttl":null}}"#)),
    row("PUT with a negative ttl", &[], ("PUT", "$/k", "value=v&ttl=-1"), 400, Error(202, "")),
    row("PUT with a ttl that is no number", &[], ("PUT", "$/k", "value=v&ttl=abc"), 400, Error(202, "")),
    row("PUT refresh keeps the value", &[("PUT", "$/k", "value=v&ttl=50")], ("PUT", "$/k", "refresh=true&ttl=100&prevExist=true"), 200, That("update", r#"{"node":{"value":"v","ttl":100}}"#, expires)),
    row("PUT refresh with a value", &[FILE], ("PUT", "$/k", "refresh=true&ttl=100&prevExist=true&value=v"), 400, Error(211, "")),
    row("PUT refresh without a ttl", &[FILE], ("PUT", "$/k", "refresh=true&prevExist=true"), 400, Error(212, "")),
    row("PUT noValueOnSuccess of a new key", &[], ("PUT", "$/k?noValueOnSuccess=true", "value=v"), 201, Action("set", r#"{"node":null,"prevNode":null}"#)),
    row("PUT noValueOnSuccess of a key that exists", &[FILE], ("PUT", "$/k?noValueOnSuccess=true", "value=v"), 200, Action("set", r#"{"node":null,"prevNode":null}"#)),
    row("PUT of a directory's ttl, the defect of this version", &[DIR], ("PUT", "$/d?prevExist=true", "dir=true&ttl=100"), 500, Error(300, "Not a file")),
    row("POST to a directory", &[DIR], ("POST", "$/d", "value=v"), 201, That("create", r#"{"node":{"value":"v"},"prevNode":null}"#, key_is_its_index)),
    row("POST makes the directory", &[], ("POST", "$/d", "value=v"), 201, That("create", r#"{"node":{"value":"v"}}"#, key_is_its_index)),
    row("DELETE of a file", &[FILE], ("DELETE", "$/k", ""), 200, That("delete", r#"{"node":{"key":"$/k","value":null},"prevNode":{"value":"old"}}"#, created_index_is_kept)),
    row("DELETE of a missing key", &[], ("DELETE", "$/k", ""), 404, Error(100, "$")),
    row("DELETE prevValue that matches", &[FILE], ("DELETE", "$/k?prevValue=old", ""), 200, Action("compareAndDelete", r#"{"prevNode":{"value":"old"}}"#)),
    row("DELETE prevIndex that matches", &[FILE], ("DELETE", "$/k?prevIndex=#", ""), 200, Action("compareAndDelete", r#"{"prevNode":{"value":"old"}}"#)),
    row("DELETE prevValue that does not match", &[FILE], ("DELETE", "$/k?prevValue=other", ""), 412, Error(101, "[other != old]")),
    row("DELETE prevIndex that does not match", &[FILE], ("DELETE", "$/k?prevIndex=1", ""), 412, Error(101, "[1 != ")),
    row("DELETE prevValue of a missing key", &[], ("DELETE", "$/k?prevValue=old", ""), 404, Error(100, "$")),
    row("DELETE of a directory without a flag", &[DIR], ("DELETE", "$/d", ""), 403, Error(102, "$/d")),
    row("DELETE dir=true of an empty directory", &[DIR], ("DELETE", "$/d?dir=true", ""), 200, Action("delete", r#"{"node":{"key":"$/d","dir":true},"prevNode":{"dir":true}}"#)),
    row("DELETE dir=true of a directory that is not empty", &[FULL_DIR], ("DELETE", "$/d?dir=true", ""), 403, Error(108, "$/d")),
    row("DELETE recursive", &[FULL_DIR], ("DELETE", "$/d?recursive=true", ""), 200, Action("delete", r#"{"node":{"key":"$/d","dir":true}}"#)),
    row("DELETE prevValue of a directory", &[DIR], ("DELETE", "$/d?prevValue=v", ""), 403, Error(102, "$/d")),
    row("PATCH", &[FILE], ("PATCH", "$/k", "value=v"), 405, Header("allow", "HEAD,GET,PUT,POST,DELETE")),
    row("a path with two slashes", &[FILE], ("GET", "$//k", ""), 301, Header("location", "$/k")),
    row("a hidden key is absent from the listing", &[("PUT", "$/_h", "value=v"), ("PUT", "$/k", "value=v")], ("GET", "$", ""), 200, That("get", "{}", |json| json["node"]["nodes"].as_array().is_some_and(|nodes| nodes.len() == 1))),
    row("a hidden key can be read by its path", &[("PUT", "$/_h/in", "value=v")], ("GET", "$/_h/in", ""), 200, Action("get", r#"{"node":{"value":"v"}}"#)),
];
