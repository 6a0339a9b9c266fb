//! The semaphore of the group in etcd: read, and changed by comparison with what was read.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use etcd_rpc::{Answer, Client, Compare, Follower, KeyValue, Op, Txn};
use locksmith_core::semaphore::{self, Refusal, Semaphore};
use tokio::time::sleep;

/// How often a change is tried when others write at the same time.
const TRIES: u32 = 5;
/// The longest pause before the second try; each later one may take as much longer.
const PAUSE: Duration = Duration::from_millis(200);

/// The semaphore of one group.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    key: String,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// What was there.
    pub before: Semaphore,
    /// What is there.
    pub after: Semaphore,
}

/// Why the semaphore was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// etcd did not answer as it should.
    #[error(transparent)]
    Etcd(#[from] etcd_rpc::Error),
    /// The value is none.
    #[error("{key}: {err}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        err: String,
    },
    /// The operation is refused by the value.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Others wrote every time.
    #[error("others changed the semaphore {TRIES} times at the same moment: try again")]
    Busy,
}

/// What is there, and which revision wrote it: 0 if nothing is.
struct Held {
    semaphore: Semaphore,
    revision: i64,
}

impl Store {
    /// Makes it.
    pub fn new(client: Client, key: String) -> Self {
        Self { client, key }
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Begins to follow the semaphore's key. Must be called within a tokio runtime.
    pub fn follow(&self) -> Follower {
        self.client.follow(&self.key)
    }

    /// Reads the semaphore, as all have agreed on it by now. One that nobody wrote yet has its first value. Writes
    /// nothing.
    ///
    /// # Errors
    /// When etcd does not answer, or the value is none.
    pub async fn read(&self) -> Result<Semaphore, Error> {
        Ok(self.held(self.client.get(&self.key).await?.kv)?.semaphore)
    }

    /// Changes the semaphore by a pure operation, which is asked anew if others wrote at the same time.
    ///
    /// An operation that changes nothing writes nothing.
    ///
    /// # Errors
    /// When etcd does not answer, the operation refuses, or others wrote again and again. Unless it is
    /// [`etcd_rpc::Error::is_outcome_unknown`], nothing was changed.
    pub async fn change(
        &self,
        operation: impl Fn(&Semaphore) -> Result<Semaphore, Refusal>,
    ) -> Result<Changed, Error> {
        let mut held = self.held(self.client.get(&self.key).await?.kv)?;
        // What a write may have made, of which nobody said whether it was done.
        let mut in_doubt: Option<Changed> = None;
        for n_try in 1..=TRIES {
            if let Some(changed) = in_doubt.take_if(|changed| changed.after == held.semaphore) {
                return Ok(changed);
            }
            let before = held.semaphore;
            let after = match (operation(&before), in_doubt.take()) {
                // It was given back by the write before, and others wrote since.
                (Err(Refusal::NoHolder), Some(changed)) => return Ok(changed),
                (after, _) => after?,
            };
            if after == before {
                return Ok(Changed { before, after });
            }
            held = match self.write(&after, held.revision).await {
                Ok(None) => return Ok(Changed { before, after }),
                Ok(Some(held)) => held,
                Err(Error::Etcd(err)) if err.is_outcome_unknown() && n_try < TRIES => {
                    in_doubt = Some(Changed { before, after });
                    self.held(self.client.get(&self.key).await?.kv)?
                }
                Err(err) => return Err(err),
            };
            sleep(jitter(PAUSE * n_try)).await;
        }
        Err(Error::Busy)
    }

    /// Writes a value in the place of that of a revision. Gives what is there instead, if it is another.
    async fn write(&self, after: &Semaphore, revision: i64) -> Result<Option<Held>, Error> {
        let bytes = after.to_bytes().map_err(|err| self.wrong(&err))?;
        let txn = Txn::new()
            .when(Compare::mod_revision(&self.key, revision))
            .then(Op::put(&self.key, bytes))
            .or_else(Op::get(&self.key));
        let outcome = self.client.txn(txn).await?;
        if outcome.succeeded {
            return Ok(None);
        }
        let found = outcome.answers.into_iter().find_map(|answer| match answer {
            Answer::Got(kv) => kv,
            _ => None,
        });
        self.held(found).map(Some)
    }

    fn held(&self, found: Option<KeyValue>) -> Result<Held, Error> {
        let Some(kv) = found else { return Ok(Held { semaphore: Semaphore::default(), revision: 0 }) };
        let semaphore = Semaphore::parse(&kv.value).map_err(|err| self.wrong(&err))?;
        Ok(Held { semaphore, revision: kv.mod_revision })
    }

    fn wrong(&self, err: &semaphore::Error) -> Error {
        Error::Value { key: self.key.clone(), err: crate::journal::chain(err) }
    }
}

impl Error {
    /// Whether the value refuses what was asked for.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Etcd(_) | Self::Value { .. } | Self::Busy => None,
        }
    }
}

/// A random part of `most`: so that two that collided do not meet again.
fn jitter(most: Duration) -> Duration {
    most * u32::from(dice()) / 256
}

/// A random number. The standard library's hasher begins with some, and more is not needed for pauses.
pub fn dice() -> u8 {
    let [dice, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    dice
}
