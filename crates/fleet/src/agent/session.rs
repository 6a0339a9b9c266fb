//! The machine's lease and its key: granted or taken over, renewed every third of the TTL, and never those of another
//! machine with the same id.

use std::sync::Arc;
use std::time::Duration;

use etcd_rpc::{Answer, Client, Compare, KeyValue, LeaseId, Op, Txn};
use fleet_core::agent::exclusive;
use fleet_core::moment::Moment;
use tokio::sync::{Notify, watch};

use super::facts::Facts;
use super::memory::{self, MemoryFile};
use super::pause::Pause;
use super::records::Records;
use super::said::Said;
use super::settings::Settings;
use super::standing::{Membership, Other, Standing, Verdict};
use crate::guard::{boot_time, write_until};
use crate::registry::{MachineValue, from_json, to_json};
use crate::systemd::FileError;

/// How soon it is looked again whether a lease that is not ours has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The longest time between two looks at the machine's own facts.
const FACTS_EVERY: Duration = Duration::from_secs(60);

/// Why a beat failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] etcd_rpc::Error),
    /// What is to be remembered.
    #[error(transparent)]
    Memory(#[from] memory::Error),
    /// What the guard reads.
    #[error(transparent)]
    Guard(#[from] FileError),
    /// An answer that etcd does not give.
    #[error("{key} is there and is not: etcd's answer to the transaction is not understood; see its version")]
    Answer {
        /// The key.
        key: String,
    },
}

/// What somebody does who wants the machine's key written again: the outcome of a write that compares it was not known.
#[derive(Debug, Default)]
pub(super) struct Again(Notify);

impl Again {
    /// Asks for it.
    pub(super) fn ask(&self) {
        self.0.notify_one();
    }
}

/// Keeps the lease and the key.
pub(super) struct Session {
    settings: Arc<Settings>,
    client: Client,
    memory: Arc<MemoryFile>,
    again: Arc<Again>,
    standing: watch::Sender<Standing>,
    facts: Facts,
    other: Option<Other>,
    records: Records,
    said: Said,
}

/// Whether the key is written although it is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    IfNeeded,
    Anyway,
}

/// Whose key it is.
enum Owner {
    /// Ours, of this modification.
    Us { modification: i64 },
    /// Another process's that may still be alive.
    Other(KeyValue),
}

impl Session {
    /// A session that tells how the machine stands by `standing`.
    pub(super) fn new(
        settings: Arc<Settings>,
        client: Client,
        memory: Arc<MemoryFile>,
        again: Arc<Again>,
        standing: watch::Sender<Standing>,
        records: Records,
    ) -> Self {
        let (facts, said) = (Facts::of(&settings), Said::new(records.journal));
        Self { settings, client, memory, again, standing, facts, other: None, records, said }
    }

    /// Runs until it is dropped, which leaves lease and key as they are: the next process takes them over.
    pub(super) async fn run(mut self) {
        let third = self.settings.ttl / 3;
        let mut pause = Pause::new(self.settings.ttl / 12, third);
        // What the process before sent and may come late is kept out.
        let mut write = Write::Anyway;
        loop {
            let next = match self.beat(write).await {
                Ok(next) => {
                    pause.worked();
                    write = Write::IfNeeded;
                    self.said.over("beat");
                    next
                }
                Err(err) => {
                    self.failed(&err);
                    pause.failed()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = self.again.0.notified() => write = Write::Anyway,
            }
        }
    }

    /// Renews the lease and looks after the key; returns when to do so again.
    async fn beat(&mut self, write: Write) -> Result<Duration, Error> {
        let Some((lease, sent, ttl)) = self.renewed().await? else { return Ok(Duration::ZERO) };
        match self.own_key(lease, write).await? {
            Owner::Us { modification } => {
                self.other = None;
                self.said.over("id");
                let until = exclusive::until(sent, ttl);
                write_until(&self.settings.guard_file, until)?;
                let membership = Membership { lease, modification, lives_until: sent.after(ttl), until };
                self.standing.send_replace(Standing::Member(membership));
                Ok((ttl / 3).min(FACTS_EVERY))
            }
            Owner::Other(kv) => {
                self.judge_other(&kv).await?;
                Ok(LOOK_AGAIN)
            }
        }
    }

    /// Renews the lease of this or the process before, or grants one. `None` if the one that there was is over.
    /// With it comes the moment before the renewal was sent, from which it counts.
    async fn renewed(&mut self) -> Result<Option<(LeaseId, Moment, Duration)>, Error> {
        let sent = boot_time();
        let Some(lease) = self.memory.lease() else {
            let granted = self.client.grant(self.settings.ttl).await;
            self.records.granted(&granted);
            let lease = granted?;
            self.memory.keep_lease(lease.id)?;
            return Ok(Some((lease.id, sent, lease.ttl)));
        };
        let renewed = self.client.keep_alive(lease).await;
        self.records.renewed(&renewed);
        match renewed {
            Ok(ttl) => Ok(Some((lease, sent, ttl))),
            Err(etcd_rpc::Error::LeaseGone) => {
                self.memory.forget_lease()?;
                self.standing.send_replace(Standing::Joining { why: None });
                Ok(None)
            }
            Err(err) => Err(err.into()),
        }
    }

    /// Makes the key ours unless it is on a lease that may be another machine's.
    async fn own_key(&mut self, lease: LeaseId, write: Write) -> Result<Owner, Error> {
        let key = self.settings.keys.machine(&self.settings.machine);
        let value = to_json(self.facts.look());
        let put = || Op::put_with_lease(&key, value.clone(), lease);
        let txn = Txn::new().when(Compare::absent(&key)).then(put()).or_else(Op::get(&key));
        let outcome = self.client.txn(txn).await?;
        if outcome.succeeded {
            return Ok(Owner::Us { modification: outcome.revision });
        }
        let Some(Answer::Got(Some(kv))) = outcome.answers.into_iter().next() else {
            return Err(Error::Answer { key });
        };
        // A key on no lease is nobody's: somebody wrote it by hand.
        if kv.lease != lease.0 && kv.lease != 0 {
            return Ok(Owner::Other(kv));
        }
        if kv.lease == lease.0 && kv.value == value && write == Write::IfNeeded {
            return Ok(Owner::Us { modification: kv.mod_revision });
        }
        let txn = Txn::new().when(Compare::mod_revision(&key, kv.mod_revision)).then(put());
        let outcome = self.client.txn(txn).await?;
        if outcome.succeeded {
            Ok(Owner::Us { modification: outcome.revision })
        } else {
            Ok(Owner::Other(kv))
        }
    }

    /// Finds out whether the lease that holds the key is one of before the last boot, which ends, or lives.
    ///
    /// A new leader of etcd renews all leases once, so that one that ends may look as if it lived; it is judged
    /// again and again.
    async fn judge_other(&mut self, kv: &KeyValue) -> Result<(), Error> {
        let remaining = match self.client.remaining(LeaseId(kv.lease)).await {
            Ok(remaining) => remaining,
            Err(etcd_rpc::Error::LeaseGone) => return Ok(()),
            Err(err) => return Err(err.into()),
        };
        let (other, verdict) = Other::judge(self.other, kv.lease, remaining, boot_time());
        self.other = Some(other);
        let id = &self.settings.machine;
        match verdict {
            Verdict::Wait => {
                let why = format!(
                    "the key of this machine ({id}) is on a lease that it does not know, of before its last boot: it \
                     joins when that has ended, in {} s; wait",
                    remaining.as_secs()
                );
                self.standing.send_if_modified(|standing| {
                    let is_twin = matches!(standing, Standing::Twin { .. });
                    if !is_twin {
                        *standing = Standing::Joining { why: Some(why) };
                    }
                    !is_twin
                });
            }
            Verdict::Lives => {
                let there = from_json::<MachineValue>(&kv.value).ok();
                let ip = there.map(|there| there.ip).unwrap_or_default();
                let why = format!(
                    "another machine ({}) has the same id {id}: this one does not serve until it is the only one; \
                     give it an id of its own (remove /etc/machine-id and reboot)",
                    if ip.is_empty() { "address unknown" } else { &ip }
                );
                self.said.warn("id", why.clone());
                self.standing.send_replace(Standing::Twin { why });
            }
        }
        Ok(())
    }

    fn failed(&mut self, err: &Error) {
        let text = err.to_string();
        self.said.warn("beat", format!("renewing this machine's lease: {text}"));
        // A member stays one until its lease may have ended; that is told by the time in its membership.
        self.standing.send_if_modified(|standing| match standing {
            Standing::Joining { why } => {
                let is_news = why.as_ref() != Some(&text);
                *why = Some(text);
                is_news
            }
            Standing::Member(_) | Standing::Twin { .. } => false,
        });
    }
}
