//! Whether there is an etcd to ask, for the strategies that depend on it.

use std::time::{Duration, Instant};

use locksmith_core::strategy::Etcd;

use crate::members;
use crate::store::Store;
use crate::system;

/// How long an answer counts while nothing waits.
const COUNTS: Duration = Duration::from_secs(60);
/// How long it does while a reboot depends on it.
const COUNTS_NOW: Duration = Duration::from_secs(4);

/// The last answer.
#[derive(Debug, Default)]
pub(super) struct Ground {
    known: Option<(Instant, Etcd)>,
}

impl Ground {
    /// Asks the service manager for this machine's etcd, then the endpoints. A slot that was taken once is in an etcd,
    /// whether that answers or not.
    pub(super) async fn look(&mut self, store: &Store, is_taken: bool, is_wanted: bool) -> Etcd {
        if is_taken {
            return Etcd::Expected;
        }
        let counts = if is_wanted { COUNTS_NOW } else { COUNTS };
        if let Some((asked, etcd)) = self.known
            && asked.elapsed() < counts
        {
            return etcd;
        }
        // Where the service manager does not answer, the endpoints may.
        let is_up = system::units(["etcd.service"]).await.is_ok_and(|[unit]| unit.is_up());
        let is_there = is_up || members::answers(store.client()).await;
        let etcd = if is_there { Etcd::Expected } else { Etcd::None };
        self.known = Some((Instant::now(), etcd));
        etcd
    }
}
