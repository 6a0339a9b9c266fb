//! One term: the registry is followed, passes are made and written, until the term is over.

use std::pin::Pin;
use std::time::{Duration, Instant};

use etcd_rpc::{Answer, Change, Compare, Event, Op};
use fleet_core::engine::pass;
use fleet_core::moment::Moment;

use super::batch::{Batch, batches};
use super::election::{Elected, elect, give_up};
use super::repair::repairs;
use super::tellings::{since_1970, tellings};
use super::write::part;
use super::{End, Engine};
use crate::registry::Sight;

/// For so long changes that come one after another are gathered before a pass.
const GATHER: Duration = Duration::from_millis(50);
/// A pass waits this many times as long as the last one took, so that passes take a third of a processor at most.
const REST: u32 = 2;

/// What is known in a term.
struct Known {
    sight: Sight,
    /// Whether all of the registry was read in this term, and the store can be heard.
    is_whole: bool,
    /// The revision of the term's last write, which a pass must have seen.
    written: i64,
    took: Duration,
    /// When the store last answered: what comes after it is not counted if the store turns out to be away.
    heard: Moment,
    /// Why writes fail, as it was told last.
    trouble: Option<String>,
}

impl Engine {
    /// Waits for a term, and leads it until it ends.
    pub(super) async fn term(
        &self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        tell: &(impl Fn(&str) + Send + Sync),
    ) -> End {
        let elected = tokio::select! {
            () = stop.as_mut() => return End::Stopped,
            elected = elect(&self.client, &self.settings) => elected,
        };
        let elected = match elected {
            Ok(elected) => elected,
            Err(err) => return End::None(format!("waiting for the engine's key: {err}")),
        };
        self.counters.leads(true);
        tell("this machine's engine decides where units go");
        // A write that is on its way when the engine is told to stop is done whole, or kept out by the next term.
        let end = tokio::select! {
            () = stop => End::Stopped,
            end = self.lead(&elected, tell) => end,
        };
        // Without its lease nobody takes this term's key for a living one's.
        give_up(&self.client, elected.lease).await;
        end
    }

    async fn lead(&self, elected: &Elected, tell: &(impl Fn(&str) + Send + Sync)) -> End {
        let mut lives = elected.lives.clone();
        let mut follower = self.client.follow(self.settings.keys.all());
        let sight = Sight::new(self.settings.keys.clone(), self.settings.spans);
        let mut known = Known {
            sight,
            is_whole: false,
            written: elected.created,
            took: Duration::ZERO,
            heard: self.now(),
            trouble: None,
        };
        let mut next = Instant::now() + self.settings.interval;
        loop {
            let until = *lives.borrow_and_update();
            let Some(until) = until.filter(|until| *until > Instant::now()) else {
                return End::Again("the engine's term is over: its lease was not renewed in time".to_owned());
            };
            known.heard = known.heard.max(self.at(until).before(elected.ttl));
            tokio::select! {
                _ = lives.changed() => continue,
                () = tokio::time::sleep_until(until.into()) => continue,
                event = follower.next() => {
                    self.take(&mut known, event).await;
                    // The first change waits for those that come with it, not for those that never end.
                    let gathered = Instant::now() + GATHER.max(known.took * REST);
                    while let Ok(event) = tokio::time::timeout_at(gathered.into(), follower.next()).await {
                        self.take(&mut known, event).await;
                    }
                }
                () = tokio::time::sleep_until(next.into()) => {}
            }
            if known.is_whole && known.sight.engine != Some(elected.created) {
                return End::Again("the engine's term is over: another has its key".to_owned());
            }
            if known.is_whole
                && known.sight.revision >= known.written
                && let Err(end) = self.pass(&mut known, elected, tell).await
            {
                return end;
            }
            let due = known.sight.snapshot.due(self.now()).unwrap_or(self.settings.interval);
            next = Instant::now() + due.min(self.settings.interval).max(GATHER);
        }
    }

    async fn take(&self, known: &mut Known, event: Event) {
        let now = self.now();
        let concerns_machines = match event {
            Event::Listing { kvs, revision } => {
                known.aside(move |sight| sight.replace(&kvs, revision)).await;
                true
            }
            Event::Changes { changes, revision } => {
                known.sight.change(&changes, revision);
                let machines = self.settings.keys.machines();
                changes.iter().any(|change| key(change).starts_with(&machines))
            }
            Event::Away(_) => {
                known.is_whole = false;
                known.sight.snapshot.losses.away(known.heard);
                return;
            }
        };
        known.is_whole = true;
        known.heard = now;
        known.sight.snapshot.losses.back(now);
        // Each state of the machines counts: one that left and came back between two passes was not lost. Other
        // changes are many, and a look at all machines for each of them would cost more than the passes.
        if concerns_machines {
            known.sight.snapshot.observe(now);
        }
    }

    /// Makes a pass and writes what it decides.
    async fn pass(
        &self,
        known: &mut Known,
        elected: &Elected,
        tell: &(impl Fn(&str) + Send + Sync),
    ) -> Result<(), End> {
        let keys = &self.settings.keys;
        let term = Compare::create_revision(&keys.engine(), elected.created);
        let (now, sight_keys, lease) = (self.now(), keys.clone(), elected.lease);
        let (parts, told, took) = known
            .aside(move |sight| {
                let began = Instant::now();
                sight.snapshot.observe(now);
                let decisions = pass(&sight.snapshot, now);
                let took = began.elapsed();
                let repairs = repairs(&sight_keys, sight);
                // Decisions compare places, so they wait until those are right.
                let parts = match repairs.is_empty() {
                    true => {
                        decisions.iter().map_while(|decision| part(&sight_keys, sight, decision)).collect()
                    }
                    false => repairs,
                };
                (parts, tellings(&sight_keys, sight, lease, now, since_1970()), took)
            })
            .await;
        known.took = took;
        self.counters.passed(took);
        for batch in batches(parts, &term) {
            // A long pass outlives what was known of the lease before it.
            if !elected.surely_lives() || !self.write(known, elected, batch, tell).await? {
                return Ok(());
            }
        }
        // What others are told comes after what is done.
        for batch in batches(told, &term) {
            if !elected.surely_lives() {
                return Ok(());
            }
            let sent = self.send(known, elected, &batch).await?;
            known.note(&sent, tell);
            if sent != Sent::Written {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes a batch of decisions, or its parts one by one; returns whether to go on.
    async fn write(
        &self,
        known: &mut Known,
        elected: &Elected,
        batch: Batch,
        tell: &(impl Fn(&str) + Send + Sync),
    ) -> Result<bool, End> {
        let sent = self.send(known, elected, &batch).await?;
        known.note(&sent, tell);
        match sent {
            Sent::Written => {
                self.counters.written(batch.parts.len());
                return Ok(true);
            }
            Sent::Failed(_) => return Ok(false),
            Sent::Refused if batch.parts.len() == 1 => return Ok(false),
            Sent::Refused => {}
        }
        for single in batch.single() {
            if self.send(known, elected, &single).await? != Sent::Written {
                return Ok(false);
            }
            self.counters.written(1);
        }
        Ok(true)
    }

    async fn send(&self, known: &mut Known, elected: &Elected, batch: &Batch) -> Result<Sent, End> {
        self.counters.sent();
        let txn = batch.txn().or_else(Op::get(&self.settings.keys.engine()));
        match self.client.txn(txn).await {
            Ok(outcome) if outcome.succeeded => {
                known.written = outcome.revision;
                known.heard = self.now();
                Ok(Sent::Written)
            }
            Ok(outcome) => {
                self.counters.was_refused();
                let is_ours = outcome.answers.iter().any(
                    |answer| matches!(answer, Answer::Got(Some(kv)) if kv.create_revision == elected.created),
                );
                match is_ours {
                    true => Ok(Sent::Refused),
                    false => Err(End::Again("the engine's term is over: it has its key no more".to_owned())),
                }
            }
            // It may come after all: only a new term keeps it out.
            Err(err) if err.is_outcome_unknown() => Err(End::Again(format!(
                "the engine's term is over: the outcome of a write is not known: {err}"
            ))),
            Err(err) => Ok(Sent::Failed(err.to_string())),
        }
    }
}

impl Known {
    /// Takes note of whether the store takes what is written, and tells what keeps it once while that lasts.
    fn note(&mut self, sent: &Sent, tell: &(impl Fn(&str) + Send + Sync)) {
        match sent {
            Sent::Written => self.trouble = None,
            Sent::Refused => {}
            Sent::Failed(why) => {
                // The next pass tries again, and most often fails for the same reason.
                if self.trouble.as_ref() != Some(why) {
                    tell(&format!("the engine cannot write: {why}"));
                }
                self.trouble = Some(why.clone());
            }
        }
    }

    /// Works on what is known where it is in nobody's way: with many units it takes seconds, and the lease is to be
    /// renewed meanwhile.
    async fn aside<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Sight) -> T + Send + 'static) -> T {
        let mut sight = self.sight.take();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut sight);
            (sight, done)
        });
        match done.await {
            Ok((sight, done)) => {
                self.sight = sight;
                done
            }
            Err(err) => match err.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Work that has begun is cancelled by the end of the runtime alone, which ends this too.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// What became of a batch whose outcome is known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    Written,
    /// The registry is not what it was when this was decided.
    Refused,
    /// The store did not take it.
    Failed(String),
}

fn key(change: &Change) -> &str {
    match change {
        Change::Put(kv) => &kv.key,
        Change::Delete { key, .. } => key,
    }
}
