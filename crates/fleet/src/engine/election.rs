//! The key `engine`: taken when nobody has it, kept alive by its lease.

use std::time::{Duration, Instant};

use etcd_rpc::{Change, Client, Compare, Error, Event, LeaseId, Op, Txn};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Settings;
use crate::registry::{TermValue, to_json};

/// A term that has begun.
#[derive(Debug)]
pub(super) struct Elected {
    pub(super) lease: LeaseId,
    /// The revision that created the key, by which every write of the term is known.
    pub(super) created: i64,
    /// Until when the lease surely lives; `None` once it is over.
    pub(super) lives: watch::Receiver<Option<Instant>>,
    renewing: JoinHandle<()>,
}

impl Drop for Elected {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Waits until nobody holds the key and takes it.
pub(super) async fn elect(client: &Client, settings: &Settings) -> Result<Elected, Error> {
    let key = settings.keys.engine();
    free(client, &key).await?;
    let sent = Instant::now();
    let lease = client.grant(settings.lease_ttl).await?;
    let term = TermValue { machine: settings.machine.clone(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let put = Op::put_with_lease(&key, to_json(&term), lease.id);
    let outcome = client.txn(Txn::new().when(Compare::absent(&key)).then(put)).await;
    match outcome {
        Ok(outcome) if outcome.succeeded => {
            let (tell, lives) = watch::channel(Some(sent + lease.ttl));
            let renewing = tokio::spawn(renew(client.clone(), lease.id, lease.ttl, tell));
            Ok(Elected { lease: lease.id, created: outcome.revision, lives, renewing })
        }
        // Somebody was faster, or it is not known who has it: without its lease the key cannot be ours.
        Ok(_) => {
            give_up(client, lease.id).await;
            Err(Error::LeaseGone)
        }
        Err(err) => {
            give_up(client, lease.id).await;
            Err(err)
        }
    }
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
