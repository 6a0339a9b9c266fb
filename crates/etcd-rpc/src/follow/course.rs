//! What a follower makes of what it hears, without input and output: which request comes next, and what is told.

#[cfg(test)]
mod model;

use std::mem::{Discriminant, discriminant};

use crate::error::Error;
use crate::generated::event::EventType;
use crate::generated::{self as proto, WatchResponse};
use crate::keys::{KeyValue, Position, text};

use super::{Change, Event};

/// Where a follower is.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Up to where everything was told; `None` before the first list, and when something may have been missed.
    told: Option<Position>,
    /// Changes of a response of which parts are still to come.
    parts: Vec<proto::Event>,
    /// The kind of the error that was told last, while the store is away.
    away: Option<Discriminant<Error>>,
}

/// What has to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// List the prefix.
    List,
    /// Watch it, beginning with this revision.
    Watch {
        /// The first revision that was not told.
        from: i64,
    },
}

/// What follows from a response of a watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Go on.
    Nothing,
    /// Tell this and go on.
    Event(Event),
    /// The watch is of no more use, because the history that it needs is gone: list again.
    Gap,
    /// etcd ended the watch, with these words.
    Ended(String),
}

impl Course {
    /// The next request.
    pub(super) fn want(&self) -> Want {
        self.told.map_or(Want::List, |told| Want::Watch { from: told.revision + 1 })
    }

    /// The list came.
    pub(super) fn listed(&mut self, kvs: Vec<KeyValue>, position: Position) -> Event {
        self.told = Some(position);
        self.parts.clear();
        self.away = None;
        Event::Listing { kvs, revision: position.revision }
    }

    /// The watch's first response came.
    pub(super) fn opened(&mut self, response: &WatchResponse) -> Heard {
        if let Some(end) = ended(response) {
            return end;
        }
        let Some(told) = &mut self.told else { return Heard::Gap };
        let now = Position::of(response.header.as_ref());
        // Another cluster, or one with a shorter life: a backup was restored, and the revisions that are waited for
        // mean something else now. A member that lags behind looks alike; listing again does no harm.
        if now.cluster != told.cluster || now.term < told.term || now.revision < told.revision {
            return Heard::Gap;
        }
        told.term = now.term;
        let revision = told.revision;
        self.away
            .take()
            .map_or(Heard::Nothing, |_| Heard::Event(Event::Changes { changes: Vec::new(), revision }))
    }

    /// A further response came.
    pub(super) fn heard(&mut self, response: WatchResponse) -> Heard {
        if let Some(end) = ended(&response) {
            return end;
        }
        let Some(told) = &mut self.told else { return Heard::Gap };
        let WatchResponse { header, fragment, events, .. } = response;
        if events.is_empty() && !fragment && self.parts.is_empty() {
            // Progress: nothing happened up to there, so a later watch need not look at it.
            told.revision = told.revision.max(Position::of(header.as_ref()).revision);
            return Heard::Nothing;
        }
        self.parts.extend(events);
        if fragment {
            return Heard::Nothing;
        }
        let after = told.revision;
        let changes: Vec<_> = std::mem::take(&mut self.parts)
            .into_iter()
            .filter_map(|event| change(event).filter(|(revision, _)| *revision > after))
            .collect();
        let Some((revision, _)) = changes.last() else { return Heard::Nothing };
        told.revision = *revision;
        let changes = changes.into_iter().map(|(_, change)| change).collect();
        Heard::Event(Event::Changes { changes, revision: told.revision })
    }

    /// The next thing has to be a list.
    pub(super) fn gap(&mut self) {
        self.told = None;
        self.parts.clear();
    }

    /// A list or a watch failed. Gives what is told of it: nothing if that was told already.
    pub(super) fn failed(&mut self, error: Error) -> Option<Event> {
        self.parts.clear();
        let kind = Some(discriminant(&error));
        let is_told = self.away == kind;
        self.away = kind;
        (!is_told).then_some(Event::Away(error))
    }
}

/// Whether a response is the last one of its watch.
fn ended(response: &WatchResponse) -> Option<Heard> {
    if response.compact_revision != 0 {
        return Some(Heard::Gap);
    }
    response.canceled.then(|| Heard::Ended(response.cancel_reason.clone()))
}

/// A change and its revision. etcd sends no event without a key.
fn change(event: proto::Event) -> Option<(i64, Change)> {
    let is_delete = event.r#type() == EventType::Delete;
    let kv = event.kv?;
    let revision = kv.mod_revision;
    let change = if is_delete {
        Change::Delete { key: text(kv.key), revision }
    } else {
        Change::Put(KeyValue::from(kv))
    };
    Some((revision, change))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::ResponseHeader;

    const AT: Position = Position { cluster: 7, term: 2, revision: 10 };

    fn header(position: Position) -> Option<ResponseHeader> {
        let Position { cluster, term, revision } = position;
        Some(ResponseHeader { cluster_id: cluster, member_id: 1, revision, raft_term: term })
    }

    fn put(key: &str, revision: i64) -> proto::Event {
        let kv = proto::KeyValue { key: key.into(), mod_revision: revision, ..proto::KeyValue::default() };
        proto::Event { kv: Some(kv), ..proto::Event::default() }
    }

    fn created(position: Position) -> WatchResponse {
        WatchResponse { header: header(position), created: true, ..WatchResponse::default() }
    }

    fn with(events: Vec<proto::Event>) -> WatchResponse {
        WatchResponse { header: header(AT), events, ..WatchResponse::default() }
    }

    fn listed() -> Course {
        let mut course = Course::default();
        assert_eq!(course.want(), Want::List);
        course.listed(Vec::new(), AT);
        course
    }

    fn unreachable(why: &str) -> Error {
        Error::Unreachable { tried: why.to_owned() }
    }

    #[test]
    fn watches_from_the_revision_after_the_list() {
        assert_eq!(listed().want(), Want::Watch { from: 11 });
    }

    #[test]
    fn goes_on_after_what_was_told_last() {
        let mut course = listed();
        let Heard::Event(Event::Changes { changes, revision }) =
            course.heard(with(vec![put("a", 12), put("b", 15)]))
        else {
            panic!("no changes");
        };
        assert_eq!((changes.len(), revision), (2, 15));
        assert!(course.failed(unreachable("x")).is_some());
        assert_eq!(course.want(), Want::Watch { from: 16 });
    }

    #[test]
    fn parts_are_told_together_and_forgotten_when_the_rest_is_lost() {
        let mut course = listed();
        let part = |key| WatchResponse { fragment: true, ..with(vec![put(key, 12)]) };
        assert_eq!(course.heard(part("a")), Heard::Nothing);
        assert_eq!(course.heard(part("b")), Heard::Nothing);
        course.failed(unreachable("x"));
        assert_eq!(course.want(), Want::Watch { from: 11 });
        assert_eq!(course.heard(part("a")), Heard::Nothing);
        let Heard::Event(Event::Changes { changes, .. }) = course.heard(with(vec![put("c", 12)])) else {
            panic!("no changes");
        };
        assert_eq!(changes.len(), 2);
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut course = listed();
        course.heard(with(vec![put("a", 12)]));
        assert_eq!(course.heard(with(vec![put("a", 12)])), Heard::Nothing);
    }

    #[test]
    fn progress_moves_the_next_watch_but_never_back() {
        let mut course = listed();
        let progress =
            |revision| WatchResponse { header: header(Position { revision, ..AT }), ..with(vec![]) };
        assert_eq!(course.heard(progress(40)), Heard::Nothing);
        assert_eq!(course.heard(progress(30)), Heard::Nothing);
        assert_eq!(course.want(), Want::Watch { from: 41 });
    }

    #[test]
    fn a_compaction_is_a_gap_and_another_end_is_told_with_its_words() {
        let mut course = listed();
        let compacted = WatchResponse { canceled: true, compact_revision: 20, ..with(vec![]) };
        assert_eq!(course.heard(compacted), Heard::Gap);
        let denied = WatchResponse { canceled: true, cancel_reason: "denied".into(), ..with(vec![]) };
        assert_eq!(course.heard(denied), Heard::Ended("denied".into()));
    }

    #[test]
    fn a_cluster_that_went_back_in_time_is_listed_again() {
        let rows = [
            (Position { revision: 9, ..AT }, Heard::Gap),
            (Position { term: 1, ..AT }, Heard::Gap),
            (Position { cluster: 8, ..AT }, Heard::Gap),
            (Position { term: 3, revision: 90, ..AT }, Heard::Nothing),
        ];
        for (position, wanted) in rows {
            assert_eq!(listed().opened(&created(position)), wanted, "{position:?}");
        }
    }

    #[test]
    fn coming_back_without_a_gap_is_told_by_no_changes() {
        let mut course = listed();
        course.failed(unreachable("x"));
        let back = course.opened(&created(AT));
        assert_eq!(back, Heard::Event(Event::Changes { changes: Vec::new(), revision: 10 }));
        assert_eq!(course.opened(&created(AT)), Heard::Nothing);
    }

    #[test]
    fn a_kind_of_failure_is_told_once_until_it_becomes_another() {
        let mut course = listed();
        assert!(course.failed(unreachable("x")).is_some());
        assert_eq!(course.failed(unreachable("y")), None);
        assert!(course.failed(Error::NoLeader { endpoint: "e".into() }).is_some());
        assert!(course.failed(unreachable("x")).is_some());
        course.listed(Vec::new(), AT);
        assert!(course.failed(unreachable("x")).is_some());
    }

    #[test]
    fn a_deletion_has_the_revision_that_did_it() {
        let mut course = listed();
        let mut event = put("a", 13);
        event.set_type(EventType::Delete);
        let wanted = Change::Delete { key: "a".into(), revision: 13 };
        let wanted = Event::Changes { changes: vec![wanted], revision: 13 };
        assert_eq!(course.heard(with(vec![event])), Heard::Event(wanted));
    }
}
