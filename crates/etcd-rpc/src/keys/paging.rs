//! Listing a prefix in pages that all show one revision.

use std::ops::ControlFlow;

use crate::error::Error;
use crate::generated::{KeyValue, RangeRequest, RangeResponse, ResponseHeader};

use super::Span;

/// How many keys a page has at first. Pages are halved when their answer is too large to be read.
const PAGE_KEYS: i64 = 512;
/// How often a list begins again because its revision was compacted meanwhile.
const RESTARTS_MAX: u32 = 3;

/// Where in its life a cluster was when it answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which cluster.
    pub(crate) cluster: u64,
    /// The leader's term.
    pub(crate) term: u64,
    /// The store's revision.
    pub(crate) revision: i64,
}

/// A list under way.
#[derive(Debug)]
pub(crate) struct Paging {
    whole: Span,
    rest: Span,
    position: Option<Position>,
    kvs: Vec<KeyValue>,
    limit: i64,
    restarts: u32,
}

impl Position {
    /// That of an answer's header. etcd sends one with every answer.
    pub(crate) fn of(header: Option<&ResponseHeader>) -> Self {
        header.map_or_else(Self::default, |header| Self {
            cluster: header.cluster_id,
            term: header.raft_term,
            revision: header.revision,
        })
    }
}

impl Paging {
    pub(crate) fn new(span: Span) -> Self {
        Self {
            rest: span.clone(),
            whole: span,
            position: None,
            kvs: Vec::new(),
            limit: PAGE_KEYS,
            restarts: 0,
        }
    }

    /// The request for the next page.
    pub(crate) fn request(&self) -> RangeRequest {
        RangeRequest {
            key: self.rest.from.clone(),
            range_end: self.rest.end.clone(),
            limit: self.limit,
            revision: self.position.map_or(0, |position| position.revision),
        }
    }

    /// Takes the page that came; breaks with the whole when it was the last.
    pub(crate) fn take(
        &mut self,
        answer: Result<RangeResponse, Error>,
    ) -> Result<ControlFlow<(Vec<KeyValue>, Position)>, Error> {
        let RangeResponse { header, kvs, more } = match answer {
            Ok(answer) => answer,
            Err(Error::AnswerTooLarge { .. }) if self.limit > 1 => {
                self.limit /= 2;
                return Ok(ControlFlow::Continue(()));
            }
            Err(Error::Compacted) if self.restarts < RESTARTS_MAX => {
                self.restart();
                return Ok(ControlFlow::Continue(()));
            }
            Err(error) => return Err(error),
        };
        let position = *self.position.get_or_insert_with(|| Position::of(header.as_ref()));
        let last = kvs.last().map(|kv| kv.key.clone());
        self.kvs.extend(kvs);
        Ok(match last {
            Some(last) if more => {
                self.rest = self.rest.clone().after(&last);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break((std::mem::take(&mut self.kvs), position)),
        })
    }

    fn restart(&mut self) {
        self.restarts += 1;
        self.rest = self.whole.clone();
        self.position = None;
        self.kvs.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What etcd answers to a page of a store that does not change, but goes on to later revisions.
    fn answer(store: &BTreeMap<Vec<u8>, i64>, request: &RangeRequest, now: i64) -> RangeResponse {
        let span = Span { from: request.key.clone(), end: request.range_end.clone() };
        let mut kvs: Vec<KeyValue> = store
            .iter()
            .filter(|(key, _)| span.contains(key))
            .map(|(key, at)| KeyValue { key: key.clone(), mod_revision: *at, ..KeyValue::default() })
            .collect();
        let limit = usize::try_from(request.limit).unwrap();
        let more = kvs.len() > limit;
        kvs.truncate(limit);
        let header =
            ResponseHeader { cluster_id: 1, raft_term: 2, revision: now, ..ResponseHeader::default() };
        RangeResponse { header: Some(header), kvs, more }
    }

    fn too_large() -> Error {
        Error::AnswerTooLarge { endpoint: "e".into() }
    }

    /// Lists, and fails as `trouble` says before each page.
    fn list(
        store: &BTreeMap<Vec<u8>, i64>,
        limit: i64,
        trouble: &[Option<Error>],
    ) -> Result<(Vec<Vec<u8>>, Position), Error> {
        let mut paging = Paging::new(Span::prefix(b"/p/"));
        paging.limit = limit;
        let mut trouble = trouble.iter();
        for now in 100.. {
            let request = paging.request();
            assert!(request.revision == 0 || request.revision < now, "a page is of a revision that was seen");
            let came = match trouble.next().cloned().flatten() {
                Some(error) => Err(error),
                None => Ok(answer(store, &request, now)),
            };
            if let ControlFlow::Break((kvs, position)) = paging.take(came)? {
                return Ok((kvs.into_iter().map(|kv| kv.key).collect(), position));
            }
        }
        unreachable!("a list ends")
    }

    #[test]
    fn all_pages_show_the_first_ones_revision() {
        let store = (0..10).map(|n| (format!("/p/{n}").into_bytes(), n)).collect();
        let (keys, position) = list(&store, 3, &[]).unwrap();
        assert_eq!((keys.len(), position), (10, Position { cluster: 1, term: 2, revision: 100 }));
    }

    #[test]
    fn an_answer_that_is_too_large_is_asked_for_in_halves() {
        let store = (0..10).map(|n| (format!("/p/{n}").into_bytes(), n)).collect();
        let (keys, _) = list(&store, 8, &[Some(too_large()), Some(too_large()), Some(too_large())]).unwrap();
        assert_eq!(keys.len(), 10);
        let in_vain: Vec<_> = (0..4).map(|_| Some(too_large())).collect();
        assert_eq!(list(&store, 8, &in_vain), Err(too_large()));
    }

    #[test]
    fn a_compaction_between_pages_begins_again_but_not_for_ever() {
        let store = (0..10).map(|n| (format!("/p/{n}").into_bytes(), n)).collect();
        let (keys, position) = list(&store, 8, &[None, Some(Error::Compacted)]).unwrap();
        assert_eq!((keys.len(), position.revision), (10, 102));
        let in_vain: Vec<_> = (0..4).map(|_| Some(Error::Compacted)).collect();
        assert_eq!(list(&store, 8, &in_vain), Err(Error::Compacted));
    }

    proptest! {
        #[test]
        fn every_key_is_listed_once_in_order_whatever_the_pages(
            keys in proptest::collection::btree_set("/[op]/[a-c\u{0}]{0,3}", 0..40),
            limit in 1_i64..9,
            trouble in proptest::collection::vec(
                prop_oneof![4 => Just(None), 1 => Just(Some(Error::Compacted))], 0..6,
            ),
        ) {
            prop_assume!(trouble.iter().flatten().count() <= 3);
            let store: BTreeMap<_, _> = keys.iter().map(|key| (key.clone().into_bytes(), 1)).collect();
            let (listed, _) = list(&store, limit, &trouble).unwrap();
            let wanted = keys.iter().filter(|key| key.starts_with("/p/"));
            let wanted: Vec<_> = wanted.map(|key| key.clone().into_bytes()).collect();
            prop_assert_eq!(listed, wanted);
        }
    }
}
