//! What other programs answer: the semaphore, the members of etcd, and fleet.

use locksmith_core::order::{Fleet, LocalEtcd, Own, Reading, own};
use locksmith_core::semaphore::Semaphore;

use super::Daemon;
use crate::journal::Level;
use crate::members::{self, Members};
use crate::{fleet, system};

impl Daemon {
    /// Asks all of them.
    pub(super) async fn read(&mut self) -> Reading {
        let semaphore = match self.store.read().await {
            Ok(semaphore) => semaphore,
            Err(err) => return unread(err.to_string()),
        };
        let [etcd, fleet] = match system::units(["etcd.service", "fleet.service"]).await {
            Ok(units) => units,
            Err(err) => return unread(err.to_string()),
        };
        self.keep_mark(&semaphore);
        let members = members::look(&etcd, &self.me.machine, &self.settings.etcd, self.store.client()).await;
        let members = members.unwrap_or_else(|err| {
            self.journal.say(Level::Debug, &format!("the members of etcd are not known: {err}"));
            Members { here: LocalEtcd::Silent, all: None }
        });
        let (fleet, machines) = fleet::look(&fleet, &self.me.machine).await;
        Reading { semaphore: Ok(semaphore), etcd: members.here, members: members.all, fleet, machines }
    }

    /// Without a slot there is none to remember; one that was found is kept in mind.
    fn keep_mark(&mut self, semaphore: &Semaphore) {
        if own(semaphore, &self.as_me()) == Own::None {
            self.taken.clear(&self.host);
        }
    }
}

fn unread(why: String) -> Reading {
    Reading {
        semaphore: Err(why),
        etcd: LocalEtcd::Silent,
        members: None,
        fleet: Fleet::Silent,
        machines: None,
    }
}
