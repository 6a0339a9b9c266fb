//! Hears that the semaphore was written, where a group has one: a slot that becomes free is not waited for by the clock.

use etcd_rpc::{Event, Follower};
use locksmith_core::strategy::Mode;

use crate::store::Store;

/// What listens to the group's key.
#[derive(Debug, Default)]
pub(super) struct Ear {
    follower: Option<Follower>,
    /// The first listing is what is read anyway.
    has_listing: bool,
    has_news: bool,
}

impl Ear {
    /// Listens where the semaphore counts, and asks etcd nothing elsewhere.
    pub(super) fn attend(&mut self, mode: Mode, store: &Store) {
        match mode {
            Mode::Locked if self.follower.is_none() => {
                *self = Self { follower: Some(store.follow()), has_listing: false, has_news: false };
            }
            Mode::Locked => {}
            Mode::Alone | Mode::Off(_) => *self = Self::default(),
        }
    }

    /// Returns once the semaphore was written; never, if nobody listens. May be dropped and called again.
    pub(super) async fn heard(&mut self) {
        let Some(follower) = &mut self.follower else { return std::future::pending().await };
        while !self.has_news {
            self.has_news = match follower.next().await {
                Event::Listing { .. } => std::mem::replace(&mut self.has_listing, true),
                Event::Changes { changes, .. } => !changes.is_empty(),
                // Whoever reads says that etcd is away.
                Event::Away(_) => false,
            };
        }
    }

    /// Returns whether it was written since this was last asked.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }
}
