//! One look: all programs side by side, each with its deadline.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clean::{clean, last_line};
use crate::known::{self, Answer, Known};
use crate::program::{self, DEADLINE, Error, Said};
use crate::source::Source;

/// Programs that run at the same time. One of them is etcdctl, which takes 30 MiB; the others take a few.
const SIDE_BY_SIDE: usize = 4;
/// What etcdctl says of a member that it could not ask.
const SILENT: &str = "Failed to get the status of endpoint ";

/// Asks all sources. What was known says where members of etcd are asked.
pub async fn look(known: &Known) -> BTreeMap<Source, Answer> {
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut asking = JoinSet::new();
    for source in [Source::FleetMachines, Source::Units, Source::UnitFiles] {
        asking.spawn(ask_one(Arc::clone(&places), source, Vec::new()));
    }
    asking.spawn(of_groups(Arc::clone(&places)));
    asking.spawn(of_etcd(places, known.clone()));
    let mut answers = BTreeMap::new();
    while let Some(done) = asking.join_next().await {
        // A task that broke off answers nothing, and its sources are missing from what is known.
        answers.extend(done.unwrap_or_default());
    }
    answers
}

/// The group without a name at once, and those that machines name when that is known.
async fn of_groups(places: Arc<Semaphore>) -> BTreeMap<Source, Answer> {
    let of_group = |group: String| [Source::Locks(group.clone()), Source::Versions(group)];
    let mut asking = JoinSet::new();
    for source in of_group(String::new()) {
        asking.spawn(ask_one(Arc::clone(&places), source, Vec::new()));
    }
    let mut answers = ask_one(Arc::clone(&places), Source::Machines, Vec::new()).await;
    let document = answers.get(&Source::Machines).and_then(|answer| answer.document.as_ref());
    for group in known::groups(document).into_iter().filter(|group| !group.is_empty()) {
        for source in of_group(group) {
            asking.spawn(ask_one(Arc::clone(&places), source, Vec::new()));
        }
    }
    while let Some(done) = asking.join_next().await {
        answers.extend(done.unwrap_or_default());
    }
    answers
}

/// The members, and then each of them. Without a quorum nobody lists them; then those that were known are asked.
async fn of_etcd(places: Arc<Semaphore>, mut known: Known) -> BTreeMap<Source, Answer> {
    let mut answers = ask_one(Arc::clone(&places), Source::Members, Vec::new()).await;
    if answers.values().any(|answer| answer.document.is_some()) {
        known.take(answers.clone(), jiff::Timestamp::UNIX_EPOCH);
    }
    answers.extend(ask_one(places, Source::Endpoints, known.client_urls()).await);
    answers
}

async fn ask_one(places: Arc<Semaphore>, source: Source, endpoints: Vec<String>) -> BTreeMap<Source, Answer> {
    let _place = places.acquire().await.expect("nobody closes the semaphore");
    let (program, args) = source.command();
    let said = program::run(program, &args, &variables(program, &endpoints), DEADLINE).await;
    let answer = read(said);
    BTreeMap::from([(source, answer)])
}

/// What etcdctl is told by variables and not by flags: it refuses a flag whose variable is set too, which an operator may
/// have done for certificates.
fn variables(program: &str, endpoints: &[String]) -> BTreeMap<&'static str, Option<String>> {
    if program != "etcdctl" {
        return BTreeMap::new();
    }
    let mut variables = BTreeMap::from([
        ("ETCDCTL_API", Some("3".to_owned())),
        ("ETCDCTL_DIAL_TIMEOUT", Some("3s".to_owned())),
        // For each member: they are asked one after the other.
        ("ETCDCTL_COMMAND_TIMEOUT", Some("3s".to_owned())),
        ("ETCDCTL_WRITE_OUT", None),
    ]);
    if !endpoints.is_empty() {
        variables.insert("ETCDCTL_ENDPOINTS", Some(endpoints.join(",")));
    }
    variables
}

fn read(said: Result<Said, Error>) -> Answer {
    let without = |missing: String| Answer { missing: Some(missing), ..Answer::default() };
    let Said { code, stdout, stderr } = match said {
        Ok(said) => said,
        Err(err) => return without(clean(&err.to_string())),
    };
    let silent = silent(&stderr);
    if code != Some(0) && silent.is_empty() {
        let ended =
            code.map_or_else(|| "a signal ended it".to_owned(), |code| format!("it ended with {code}"));
        let said = last_line(&stderr).or_else(|| last_line(&String::from_utf8_lossy(&stdout)));
        return without(said.unwrap_or(ended));
    }
    match serde_json::from_slice::<Value>(&stdout) {
        // Without one member that answers there is no list.
        Ok(Value::Null) if !silent.is_empty() => {
            Answer { document: Some(Value::Array(vec![])), silent, missing: None }
        }
        Ok(document) => Answer { document: Some(document), silent, missing: None },
        Err(err) => without(clean(&format!("what it printed is no JSON: {err}"))),
    }
}

/// Members that did not answer, by the URL where they were asked, with why.
fn silent(stderr: &str) -> BTreeMap<String, String> {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix(SILENT)?.split_once(" ("));
    lines.map(|(url, why)| (clean(url), clean(why.trim_end_matches(')')))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(code: Option<i32>, stdout: &str, stderr: &str) -> Result<Said, Error> {
        Ok(Said { code, stdout: stdout.as_bytes().to_vec(), stderr: stderr.to_owned() })
    }

    fn missing(said: Result<Said, Error>) -> String {
        let answer = read(said);
        assert_eq!(answer.document, None);
        answer.missing.unwrap()
    }

    #[test]
    fn a_document_is_an_answer() {
        let answer = read(said(Some(0), "[1]\n", "a warning"));
        assert_eq!((answer.document, answer.missing), (Some(json!([1])), None));
    }

    #[test]
    fn why_there_is_none_is_one_line() {
        assert_eq!(missing(said(Some(1), "", "one\ntwo\n")), "two");
        assert_eq!(missing(said(Some(1), "printed", "")), "printed");
        assert_eq!(missing(said(Some(7), "", "")), "it ended with 7");
        assert_eq!(missing(said(None, "", "")), "a signal ended it");
        assert!(missing(said(Some(0), "{", "")).starts_with("what it printed is no JSON: "));
        assert_eq!(missing(Err(Error::Missing)), "this machine has no such program");
    }

    #[test]
    fn members_that_do_not_answer_are_told_beside_those_that_do() {
        let stderr = "{\"level\":\"warn\"}\nFailed to get the status of endpoint http://b:1 (context deadline exceeded)\n";
        let answer = read(said(Some(1), "[{}]", stderr));
        assert_eq!((answer.document, answer.missing), (Some(json!([{}])), None));
        assert_eq!(
            answer.silent,
            BTreeMap::from([("http://b:1".to_owned(), "context deadline exceeded".to_owned())])
        );
        assert_eq!(read(said(Some(1), "null", stderr)).document, Some(json!([])));
    }

    #[test]
    fn only_etcdctl_is_told_where_to_ask() {
        let endpoints = ["http://a:1".to_owned(), "http://b:1".to_owned()];
        assert_eq!(variables("fleetctl", &endpoints), BTreeMap::new());
        assert_eq!(
            variables("etcdctl", &endpoints)["ETCDCTL_ENDPOINTS"].as_deref(),
            Some("http://a:1,http://b:1")
        );
        assert!(!variables("etcdctl", &[]).contains_key("ETCDCTL_ENDPOINTS"));
    }
}
