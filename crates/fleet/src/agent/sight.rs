//! What the store wants of this machine: five parts of the registry, followed each by itself, or read all at one
//! revision where that matters.

use std::collections::BTreeMap;

use etcd_rpc::{Change, Client, Error, Event, Follower, KeyValue, Range};

use super::settings::Settings;

/// How many keys are read with one request.
const PAGE: u32 = 500;

/// Keys below a prefix with their values.
type Kvs = BTreeMap<String, KeyValue>;

/// The parts of the registry that an agent reads, and nothing else of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Entries of the machine.
    pub(super) schedule: Kvs,
    /// Global units.
    pub(super) global: Kvs,
    /// What overlays the machine's metadata.
    pub(super) meta: Kvs,
    /// Whether the machine is held.
    pub(super) hold: Kvs,
    /// The registry's beginning.
    pub(super) marker: Kvs,
}

/// The prefixes of those parts.
#[derive(Debug, Clone)]
struct Prefixes {
    schedule: String,
    global: String,
    meta: String,
    hold: String,
    marker: String,
}

impl Prefixes {
    fn of(settings: &Settings) -> Self {
        let (keys, machine) = (&settings.keys, &settings.machine);
        Self {
            schedule: keys.schedule_of(machine),
            global: keys.globals(),
            meta: keys.meta_of(machine),
            hold: keys.hold(machine),
            marker: keys.marker(),
        }
    }
}

/// The parts, followed. They are at different revisions, so that a unit on its way from one to the other may be seen
/// in none: what is to be unloaded for that is looked at again by [`read`].
#[derive(Debug)]
pub(super) struct Sight {
    schedule: Part,
    global: Part,
    meta: Part,
    hold: Part,
    marker: Part,
}

/// A part with the one who follows it.
#[derive(Debug)]
struct Part {
    follower: Follower,
    kvs: Kvs,
    known: Known,
}

/// How well a part is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Not at all yet.
    No,
    /// As it was when the store was last heard.
    Once,
    /// As it is.
    Now,
}

impl Sight {
    /// Begins to follow all parts.
    pub(super) fn new(client: &Client, settings: &Settings) -> Self {
        let Prefixes { schedule, global, meta, hold, marker } = Prefixes::of(settings);
        let [schedule, global, meta, hold, marker] = [schedule, global, meta, hold, marker]
            .map(|prefix| Part { follower: client.follow(&prefix), kvs: Kvs::new(), known: Known::No });
        Self { schedule, global, meta, hold, marker }
    }

    /// Waits for news of any part; gives why the store cannot be heard, if that is the news. May be dropped and called
    /// again.
    pub(super) async fn next(&mut self) -> Option<Error> {
        tokio::select! {
            event = self.schedule.follower.next() => self.schedule.take(event),
            event = self.global.follower.next() => self.global.take(event),
            event = self.meta.follower.next() => self.meta.take(event),
            event = self.hold.follower.next() => self.hold.take(event),
            event = self.marker.follower.next() => self.marker.take(event),
        }
    }

    /// Whether all parts were read and are heard.
    pub(super) fn is_heard(&self) -> bool {
        let Self { schedule, global, meta, hold, marker } = self;
        [schedule, global, meta, hold, marker].iter().all(|part| part.known == Known::Now)
    }

    /// Returns all parts, once all were read and while all are heard.
    pub(super) fn parts(&self) -> Option<Parts> {
        let Self { schedule, global, meta, hold, marker } = self;
        self.is_heard().then(|| Parts {
            schedule: schedule.kvs.clone(),
            global: global.kvs.clone(),
            meta: meta.kvs.clone(),
            hold: hold.kvs.clone(),
            marker: marker.kvs.clone(),
        })
    }
}

impl Part {
    fn take(&mut self, event: Event) -> Option<Error> {
        match event {
            Event::Listing { kvs, .. } => {
                self.kvs = by_key(kvs);
                self.known = Known::Now;
            }
            Event::Changes { changes, .. } => {
                for change in changes {
                    apply(&mut self.kvs, change);
                }
                self.known = Known::Now;
            }
            Event::Away(err) => {
                if self.known == Known::Now {
                    self.known = Known::Once;
                }
                return Some(err);
            }
        }
        None
    }
}

fn apply(kvs: &mut Kvs, change: Change) {
    match change {
        Change::Put(kv) => drop(kvs.insert(kv.key.clone(), kv)),
        Change::Delete { key, .. } => drop(kvs.remove(&key)),
    }
}

fn by_key(kvs: Vec<KeyValue>) -> Kvs {
    kvs.into_iter().map(|kv| (kv.key.clone(), kv)).collect()
}

/// Reads all parts as they are at one revision, agreed on by the cluster now.
pub(super) async fn read(client: &Client, settings: &Settings) -> Result<Parts, Error> {
    let Prefixes { schedule, global, meta, hold, marker } = Prefixes::of(settings);
    let mut revision = None;
    Ok(Parts {
        schedule: read_prefix(client, schedule, &mut revision).await?,
        global: read_prefix(client, global, &mut revision).await?,
        meta: read_prefix(client, meta, &mut revision).await?,
        hold: read_prefix(client, hold, &mut revision).await?,
        marker: read_prefix(client, marker, &mut revision).await?,
    })
}

/// Reads a prefix at `revision`, or now if there is none yet, which then is the one.
async fn read_prefix(client: &Client, prefix: String, revision: &mut Option<i64>) -> Result<Kvs, Error> {
    let mut kvs = Kvs::new();
    let mut after = None;
    loop {
        let range = Range { prefix: prefix.clone(), after, revision: *revision, limit: PAGE };
        let page = client.page(range).await?;
        *revision = Some(page.revision);
        kvs.extend(by_key(page.kvs));
        after = page.more;
        if after.is_none() {
            return Ok(kvs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, mod_revision: i64) -> KeyValue {
        let value = b"{}".to_vec();
        KeyValue { key: key.to_owned(), value, create_revision: 1, mod_revision, version: 1, lease: 0 }
    }

    #[test]
    fn changes_are_applied_in_order() {
        let mut kvs = by_key(vec![kv("a", 1), kv("b", 2)]);
        apply(&mut kvs, Change::Put(kv("c", 3)));
        apply(&mut kvs, Change::Delete { key: "a".to_owned(), revision: 4 });
        apply(&mut kvs, Change::Put(kv("b", 5)));
        let seen: Vec<_> = kvs.values().map(|kv| (kv.key.as_str(), kv.mod_revision)).collect();
        assert_eq!(seen, [("b", 5), ("c", 3)]);
    }
}
