//! A store and its watches in a few lines, and a course that follows them through random troubles.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::{Course, Heard, Want};
use crate::error::Error;
use crate::follow::{Change, Event};
use crate::generated::event::EventType;
use crate::generated::{self as proto, ResponseHeader, WatchResponse};
use crate::keys::{KeyValue, Position};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happens {
    /// A transaction writes (true) or deletes (false) keys at one revision.
    Write(Vec<(u8, bool)>),
    /// All history is forgotten.
    Compact,
    /// The watch gets the next so many revisions, in parts of so many events.
    Send(i64, usize),
    /// The watch is told how far it is, if it has everything.
    Progress,
    /// The course hears one response.
    Hear,
    /// The connection breaks, with all that was on its way.
    Break,
    /// The course does what it wants.
    Act,
    /// A backup of so many revisions ago is restored.
    Restore(i64),
}

/// What a store holds: keys with the revisions that wrote them.
type State = BTreeMap<String, i64>;

/// A store with all of its past, by revision.
struct Store {
    past: Vec<(State, Vec<proto::Event>)>,
    compacted: i64,
    term: u64,
}

struct Stream {
    next: i64,
    sent: VecDeque<WatchResponse>,
}

struct World {
    store: Store,
    stream: Option<Stream>,
    course: Course,
    /// What a caller knows by the events that it was told.
    known: State,
    known_at: i64,
    is_away: bool,
}

fn index(revision: i64) -> usize {
    usize::try_from(revision).unwrap()
}

impl Store {
    fn new() -> Self {
        // As a fresh etcd: revision 1, and nothing in it.
        Self { past: vec![(State::new(), Vec::new()); 2], compacted: 0, term: 2 }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.past.len()).unwrap() - 1
    }

    fn state(&self, revision: i64) -> &State {
        &self.past[index(revision)].0
    }

    fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader { cluster_id: 1, member_id: 1, revision: self.now(), raft_term: self.term })
    }

    fn write(&mut self, keys: &[(u8, bool)]) {
        let revision = self.now() + 1;
        let mut state = self.state(revision - 1).clone();
        let mut events = Vec::new();
        for (key, is_put) in keys {
            let key = format!("/{key}");
            let kv =
                proto::KeyValue { key: key.clone().into(), mod_revision: revision, ..Default::default() };
            let mut event = proto::Event { kv: Some(kv), ..Default::default() };
            if *is_put {
                state.insert(key, revision);
            } else if state.remove(&key).is_some() {
                event.set_type(EventType::Delete);
            } else {
                continue;
            }
            events.push(event);
        }
        if !events.is_empty() {
            self.past.push((state, events));
        }
    }

    /// The next responses to a watch.
    fn responses(&self, stream: &mut Stream, n_revisions: i64, part: usize) {
        if stream.next <= self.compacted {
            let response = WatchResponse {
                header: self.header(),
                canceled: true,
                compact_revision: self.compacted + 1,
                ..WatchResponse::default()
            };
            return stream.sent.push_back(response);
        }
        let end = (stream.next + n_revisions).min(self.now() + 1);
        let events: Vec<_> =
            (stream.next..end).flat_map(|revision| self.past[index(revision)].1.clone()).collect();
        stream.next = end.max(stream.next);
        let n_parts = events.len().div_ceil(part);
        for (place, events) in events.chunks(part).enumerate() {
            let response = WatchResponse {
                header: self.header(),
                events: events.to_vec(),
                fragment: place + 1 < n_parts,
                ..WatchResponse::default()
            };
            stream.sent.push_back(response);
        }
    }
}

impl World {
    fn new() -> Self {
        let (store, course) = (Store::new(), Course::default());
        Self { store, stream: None, course, known: State::new(), known_at: 0, is_away: false }
    }

    fn happens(&mut self, what: &Happens) {
        match what {
            Happens::Write(keys) => self.store.write(keys),
            Happens::Compact => self.store.compacted = self.store.now(),
            Happens::Send(n_revisions, part) => {
                if let Some(stream) = &mut self.stream {
                    self.store.responses(stream, *n_revisions, *part);
                }
            }
            Happens::Progress => {
                if let Some(stream) =
                    self.stream.as_mut().filter(|stream| stream.next == self.store.now() + 1)
                {
                    let response =
                        WatchResponse { header: self.store.header(), watch_id: -1, ..Default::default() };
                    stream.sent.push_back(response);
                }
            }
            Happens::Hear => {
                if let Some(response) = self.stream.as_mut().and_then(|stream| stream.sent.pop_front()) {
                    let heard = self.course.heard(response);
                    self.follow(heard);
                }
            }
            Happens::Break => self.fail(),
            Happens::Act => self.act(),
            Happens::Restore(ago) => {
                let kept = index((self.store.now() - ago).max(1)) + 1;
                self.store.past.truncate(kept);
                self.store.compacted = 0;
                self.store.term = 1;
                self.fail();
            }
        }
    }

    fn fail(&mut self) {
        self.stream = None;
        let told = self.course.failed(Error::Unreachable { tried: "model".into() });
        // Told once, until the store is back.
        assert_eq!(told.is_none(), self.is_away);
        self.is_away = true;
    }

    fn act(&mut self) {
        if self.stream.is_some() {
            return;
        }
        match self.course.want() {
            Want::List => {
                let revision = self.store.now();
                let state = self.store.state(revision);
                let kv = |(key, at): (&String, &i64)| {
                    KeyValue::from(proto::KeyValue {
                        key: key.clone().into(),
                        mod_revision: *at,
                        ..Default::default()
                    })
                };
                let kvs = state.iter().map(kv).collect();
                let event = self.course.listed(kvs, Position { cluster: 1, term: self.store.term, revision });
                self.told(event);
            }
            Want::Watch { from } => {
                let created =
                    WatchResponse { header: self.store.header(), created: true, ..WatchResponse::default() };
                self.stream = Some(Stream { next: from, sent: VecDeque::new() });
                let heard = self.course.opened(&created);
                self.follow(heard);
            }
        }
    }

    fn follow(&mut self, heard: Heard) {
        match heard {
            Heard::Nothing => {}
            Heard::Event(event) => self.told(event),
            Heard::Gap => {
                self.course.gap();
                self.stream = None;
            }
            Heard::Ended(reason) => panic!("the model ends no watch: {reason}"),
        }
    }

    /// What a caller does with an event, and what must be true of it.
    fn told(&mut self, event: Event) {
        let was_away = std::mem::take(&mut self.is_away);
        match event {
            Event::Listing { kvs, revision } => {
                self.known = kvs.into_iter().map(|kv| (kv.key, kv.mod_revision)).collect();
                self.known_at = revision;
            }
            Event::Changes { changes, revision } => {
                assert!(!changes.is_empty() || was_away, "no changes without having been away");
                for change in changes {
                    let (key, at) = match &change {
                        Change::Put(kv) => (kv.key.clone(), kv.mod_revision),
                        Change::Delete { key, revision } => (key.clone(), *revision),
                    };
                    assert!(at > self.known_at && at <= revision, "{change:?} after {}", self.known_at);
                    match change {
                        Change::Put(_) => self.known.insert(key, at),
                        Change::Delete { .. } => self.known.remove(&key),
                    };
                }
                assert!(revision >= self.known_at);
                self.known_at = revision;
            }
            Event::Away(error) => panic!("told by `failed` only: {error}"),
        }
        assert_eq!(&self.known, self.store.state(self.known_at), "as of revision {}", self.known_at);
    }

    /// Lets everything that is still on its way arrive.
    fn settle(&mut self) {
        for _ in 0..6 {
            self.act();
            self.happens(&Happens::Send(1000, 3));
            while self.stream.as_ref().is_some_and(|stream| !stream.sent.is_empty()) {
                self.happens(&Happens::Hear);
            }
        }
    }
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        8 => proptest::collection::btree_map(0_u8..5, any::<bool>(), 1..4)
            .prop_map(|keys| Happens::Write(keys.into_iter().collect())),
        1 => Just(Happens::Compact),
        5 => (1_i64..4, 1_usize..4).prop_map(|(n, part)| Happens::Send(n, part)),
        2 => Just(Happens::Progress),
        8 => Just(Happens::Hear),
        2 => Just(Happens::Break),
        6 => Just(Happens::Act),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_told_is_the_store_at_each_revision_and_in_the_end(
        before in proptest::collection::vec(happens(), 0..120),
        restore in proptest::option::of(0_i64..8),
        after in proptest::collection::vec(happens(), 0..60),
    ) {
        let mut world = World::new();
        before.iter().for_each(|what| world.happens(what));
        if let Some(ago) = restore {
            world.happens(&Happens::Restore(ago));
        }
        after.iter().for_each(|what| world.happens(what));
        world.settle();
        prop_assert_eq!(&world.known, world.store.state(world.store.now()));
        prop_assert!(!world.is_away);
    }
}
