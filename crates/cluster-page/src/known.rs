//! What was heard last of each source, and what it did not say since.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::documents;
use crate::source::Source;

/// Most groups that are asked about: names come from what machines say of themselves.
pub const GROUPS_MAX: usize = 16;

/// What one look heard. A source may answer and complain: etcdctl does when one of several members is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The document.
    pub document: Option<Value>,
    /// What is missing of it, or why there is none.
    pub missing: Option<String>,
    /// Why a member of etcd did not answer, by the URL where it was asked.
    pub silent: BTreeMap<String, String>,
}

/// What is known of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// The last document, and when it came.
    pub last: Option<(Value, Timestamp)>,
    /// What was missing at the last look.
    pub missing: Option<String>,
    /// See [`Answer::silent`].
    pub silent: BTreeMap<String, String>,
}

/// All sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What is known of each.
    pub sources: BTreeMap<Source, Heard>,
}

impl Known {
    /// Takes what a look heard. A source that was not asked is forgotten: its group is gone.
    pub fn take(&mut self, answers: BTreeMap<Source, Answer>, now: Timestamp) {
        self.sources.retain(|source, _| answers.contains_key(source));
        for (source, Answer { document, missing, silent }) in answers {
            let heard = self.sources.entry(source).or_default();
            if let Some(document) = document {
                heard.last = Some((document, now));
            }
            (heard.missing, heard.silent) = (missing, silent);
        }
    }

    /// Returns the last document of a source.
    pub fn document(&self, source: &Source) -> Option<&Value> {
        self.sources.get(source)?.last.as_ref().map(|(document, _)| document)
    }

    /// Returns where members of etcd are asked, as far as that is known.
    pub fn client_urls(&self) -> Vec<String> {
        let members = self.document(&Source::Members).map(documents::members);
        members
            .into_iter()
            .flat_map(|found| found.rows)
            .filter_map(|member| member.client_urls.into_iter().next())
            .collect()
    }
}

/// Returns the groups to ask about: the one without a name, and those that machines name.
pub fn groups(machines: Option<&Value>) -> BTreeSet<String> {
    let named = machines.map(documents::reports).into_iter().flat_map(|found| found.rows);
    let mut groups = BTreeSet::from([String::new()]);
    for group in named.map(|report| report.group) {
        if groups.len() < GROUPS_MAX {
            groups.insert(group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(document: Option<Value>, missing: Option<&str>) -> Answer {
        Answer { document, missing: missing.map(str::to_owned), ..Answer::default() }
    }

    #[test]
    fn what_was_known_stays_with_its_time_when_nobody_answers() {
        let mut known = Known::default();
        let (first, second): (Timestamp, Timestamp) =
            ("2026-11-29T01:00:00Z".parse().unwrap(), "2026-11-29T01:01:00Z".parse().unwrap());
        known.take(BTreeMap::from([(Source::Units, answer(Some(json!([])), None))]), first);
        known.take(BTreeMap::from([(Source::Units, answer(None, Some("no answer")))]), second);
        let heard = &known.sources[&Source::Units];
        assert_eq!(heard.last, Some((json!([]), first)));
        assert_eq!(heard.missing.as_deref(), Some("no answer"));
        known.take(BTreeMap::new(), second);
        assert!(known.sources.is_empty());
    }

    #[test]
    fn groups_are_those_that_machines_name_and_not_too_many() {
        let machines = json!([{"id": "a", "group": "web"}, {"id": "b", "group": ""}, {"id": "c"}]);
        assert_eq!(groups(Some(&machines)), BTreeSet::from([String::new(), "web".to_owned()]));
        assert_eq!(groups(None), BTreeSet::from([String::new()]));
        let many: Vec<_> = (0..100).map(|n| json!({ "id": "a", "group": n.to_string() })).collect();
        assert_eq!(groups(Some(&Value::Array(many))).len(), GROUPS_MAX);
    }

    #[test]
    fn members_are_asked_where_they_said_that_clients_reach_them() {
        let mut known = Known::default();
        let list = json!({"members": [{"ID": 1, "clientURLs": ["http://a:1", "http://a:2"]}, {"ID": 2}]});
        let now = Timestamp::UNIX_EPOCH;
        known.take(BTreeMap::from([(Source::Members, answer(Some(list), None))]), now);
        assert_eq!(known.client_urls(), ["http://a:1"]);
    }
}
