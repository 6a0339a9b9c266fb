//! A model of etcd: revisions, transactions, leases, the log that watches read, compaction.

use std::collections::BTreeMap;

use fleet_core::model::{Hold, State};

/// A key of the registry. Machines and units are numbers here: the cast has their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Marker,
    Unit(usize),
    Global(usize),
    /// Machine and unit.
    Entry(usize, usize),
    /// Machine and unit.
    State(usize, usize),
    Claim(usize),
    Machine(usize),
    Hold(usize),
    Rebalance,
    Engine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Mark,
    /// Which of its contents a unit has.
    Wish {
        content: usize,
        desired: State,
    },
    Place {
        content: usize,
        desired: State,
        finished: bool,
    },
    Hold(Hold),
    /// Machine that has it.
    Claim(usize),
    Report {
        content: usize,
        active: &'static str,
        sub: &'static str,
        started: bool,
        entry: i64,
    },
    /// Something that nobody can read.
    Garbage,
}

#[derive(Debug, Clone, Copy)]
pub struct Kv {
    pub value: Value,
    pub create: i64,
    pub modification: i64,
    pub lease: u64,
    /// When it was put.
    pub at: u64,
}

#[derive(Debug, Clone, Copy)]
pub enum Compare {
    /// Create revision; 0 means that the key is not there.
    Create(Key, i64),
    /// Modification; 0 means that the key is not there.
    Modification(Key, i64),
}

#[derive(Debug, Clone, Copy)]
pub enum Op {
    Put(Key, Value),
    PutWithLease(Key, Value, u64),
    Delete(Key),
}

/// Who writes, as far as checks want to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// An engine, by the create revision of its term.
    Engine(i64),
    Other,
}

#[derive(Debug, Clone)]
pub struct Txn {
    pub compares: Vec<Compare>,
    pub ops: Vec<Op>,
    pub author: Author,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done(i64),
    Refused,
    LeaseGone,
}

#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub revision: i64,
    pub key: Key,
    pub kv: Option<Kv>,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    ttl: u64,
    ends: u64,
}

#[derive(Debug, Default)]
pub struct Store {
    pub revision: i64,
    pub kvs: BTreeMap<Key, Kv>,
    pub log: Vec<Event>,
    /// Events up to this revision are gone.
    pub compacted: i64,
    leases: BTreeMap<u64, Lease>,
    last_lease: u64,
}

impl Store {
    pub fn get(&self, key: Key) -> Option<&Kv> {
        self.kvs.get(&key)
    }

    pub fn modification(&self, key: Key) -> i64 {
        self.get(key).map_or(0, |kv| kv.modification)
    }

    /// Events after a revision, if they are still there.
    pub fn after(&self, revision: i64) -> Option<&[Event]> {
        let from = self.log.partition_point(|event| event.revision <= revision);
        (revision >= self.compacted).then(|| &self.log[from..])
    }

    pub fn compact(&mut self) {
        self.compacted = self.revision;
    }

    pub fn apply(&mut self, now: u64, txn: &Txn) -> Outcome {
        let holds = |compare: &Compare| match *compare {
            Compare::Create(key, wanted) => self.get(key).map_or(0, |kv| kv.create) == wanted,
            Compare::Modification(key, wanted) => self.modification(key) == wanted,
        };
        if !txn.compares.iter().all(holds) {
            return Outcome::Refused;
        }
        let gone = |op: &Op| matches!(op, Op::PutWithLease(_, _, lease) if !self.leases.contains_key(lease));
        if txn.ops.iter().any(gone) {
            return Outcome::LeaseGone;
        }
        self.revision += 1;
        for op in &txn.ops {
            match *op {
                Op::Put(key, value) => self.put(now, key, value, 0),
                Op::PutWithLease(key, value, lease) => self.put(now, key, value, lease),
                Op::Delete(key) => self.delete(key),
            }
        }
        Outcome::Done(self.revision)
    }

    fn put(&mut self, now: u64, key: Key, value: Value, lease: u64) {
        let create = self.get(key).map_or(self.revision, |kv| kv.create);
        let kv = Kv { value, create, modification: self.revision, lease, at: now };
        self.kvs.insert(key, kv);
        self.log.push(Event { revision: self.revision, key, kv: Some(kv) });
    }

    fn delete(&mut self, key: Key) {
        if self.kvs.remove(&key).is_some() {
            self.log.push(Event { revision: self.revision, key, kv: None });
        }
    }

    pub fn grant(&mut self, now: u64, ttl: u64) -> u64 {
        self.last_lease += 1;
        self.leases.insert(self.last_lease, Lease { ttl, ends: now + ttl });
        self.last_lease
    }

    /// Renews a lease; false if it is over.
    pub fn keep_alive(&mut self, now: u64, id: u64) -> bool {
        let Some(lease) = self.leases.get_mut(&id) else { return false };
        lease.ends = now + lease.ttl;
        true
    }

    pub fn next_expiry(&self) -> u64 {
        self.leases.values().map(|lease| lease.ends).min().unwrap_or(u64::MAX)
    }

    pub fn expire(&mut self, now: u64) {
        let over: Vec<u64> =
            self.leases.iter().filter(|(_, lease)| lease.ends <= now).map(|(id, _)| *id).collect();
        for id in over {
            self.revoke(id);
        }
    }

    pub fn revoke(&mut self, id: u64) {
        self.leases.remove(&id);
        let keys: Vec<Key> = self.kvs.iter().filter(|(_, kv)| kv.lease == id).map(|(key, _)| *key).collect();
        if !keys.is_empty() {
            self.revision += 1;
            for key in keys {
                self.delete(key);
            }
        }
    }

    /// A new leader gives every lease its whole time again.
    pub fn new_leader(&mut self, now: u64) {
        for lease in self.leases.values_mut() {
            lease.ends = now + lease.ttl;
        }
    }
}
