//! The key `engine`: taken when nobody has it, kept alive by its lease.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use etcd_rpc::{Change, Client, Compare, Error, Event, LeaseId, Op, Txn};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Settings;
use crate::registry::{TermValue, to_json};

/// Candidates of a large cluster do not all try at the same time: each waits for a part of this.
const SPREAD: Duration = Duration::from_millis(300);

/// A term that has begun.
#[derive(Debug)]
pub(super) struct Elected {
    pub(super) lease: LeaseId,
    /// The revision that created the key, by which every write of the term is known.
    pub(super) created: i64,
    /// How long the lease lives without being renewed.
    pub(super) ttl: Duration,
    /// Until when the lease surely lives; `None` once it is over.
    pub(super) lives: watch::Receiver<Option<Instant>>,
    renewing: JoinHandle<()>,
}

impl Elected {
    /// Whether the lease surely lives now.
    pub(super) fn surely_lives(&self) -> bool {
        self.lives.borrow().is_some_and(|until| until > Instant::now())
    }
}

impl Drop for Elected {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Waits until nobody holds the key and takes it; again, where another machine was faster.
pub(super) async fn elect(client: &Client, settings: &Settings) -> Result<Elected, Error> {
    let key = settings.keys.engine();
    let mut round = 0_u64;
    loop {
        free(client, &key).await?;
        tokio::time::sleep(spread(&settings.machine.0, round)).await;
        round = round.wrapping_add(1);
        // A lease costs the store a write, a look does not.
        if client.get(&key).await?.kv.is_some() {
            continue;
        }
        if let Some(elected) = take(client, settings, &key).await? {
            return Ok(elected);
        }
    }
}

/// Takes the key; none if another machine was faster.
async fn take(client: &Client, settings: &Settings, key: &str) -> Result<Option<Elected>, Error> {
    let sent = Instant::now();
    let lease = client.grant(settings.lease_ttl).await?;
    let term = TermValue { machine: settings.machine.clone(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let put = Op::put_with_lease(key, to_json(&term), lease.id);
    let outcome = client.txn(Txn::new().when(Compare::absent(key)).then(put)).await;
    match outcome {
        Ok(outcome) if outcome.succeeded => {
            let (tell, lives) = watch::channel(Some(sent + lease.ttl));
            let renewing = tokio::spawn(renew(client.clone(), lease.id, lease.ttl, tell));
            let (created, ttl) = (outcome.revision, lease.ttl);
            Ok(Some(Elected { lease: lease.id, created, ttl, lives, renewing }))
        }
        // If the key was made after all, or is made later, it ends with the lease.
        other => {
            give_up(client, lease.id).await;
            other.map(|_| None)
        }
    }
}

/// Returns how long a machine lets others go first: another time for each machine and each round.
fn spread(machine: &str, round: u64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (machine, round).hash(&mut hasher);
    SPREAD * u32::try_from(hasher.finish() % 100).unwrap_or(0) / 100
}

/// Ends a lease as well as one can: it ends by itself too.
pub(super) async fn give_up(client: &Client, lease: LeaseId) {
    let _ends_by_itself = client.revoke(lease).await;
}

/// Waits until a key is not there.
async fn free(client: &Client, key: &str) -> Result<(), Error> {
    let mut follower = client.follow(key);
    let mut is_there = true;
    while is_there {
        match follower.next().await {
            Event::Listing { kvs, .. } => is_there = kvs.iter().any(|kv| kv.key == key),
            Event::Changes { changes, .. } => {
                for change in changes {
                    match change {
                        Change::Put(kv) if kv.key == key => is_there = true,
                        Change::Delete { key: gone, .. } if gone == key => is_there = false,
                        _ => {}
                    }
                }
            }
            Event::Away(err) => return Err(err),
        }
    }
    Ok(())
}

async fn renew(client: Client, lease: LeaseId, ttl: Duration, tell: watch::Sender<Option<Instant>>) {
    loop {
        tokio::time::sleep(ttl / 3).await;
        let sent = Instant::now();
        match client.keep_alive(lease).await {
            Ok(ttl) => drop(tell.send_replace(Some(sent + ttl))),
            Err(Error::LeaseGone) => {
                tell.send_replace(None);
                return;
            }
            // It is tried again; the term ends by the time until which the lease surely lives.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_spread_and_none_waits_long() {
        let waits: Vec<Duration> = (0..50).map(|n| spread(&format!("{n:032x}"), 0)).collect();
        assert!(waits.iter().all(|wait| *wait < SPREAD));
        let early = waits.iter().filter(|wait| **wait < SPREAD / 2).count();
        assert!((10..40).contains(&early), "{early} of 50 in the first half");
    }
}
