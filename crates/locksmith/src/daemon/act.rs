//! The one thing that a step says, done.

use jiff::{Timestamp, ZonedDateTime};
use locksmith_core::order::{Last, Me, Next};
use locksmith_core::semaphore::{Refusal, Semaphore};
use slots::Version;

use super::Daemon;
use crate::store::{Changed, Error};
use crate::{agent, fleet, notice, sessions, system};

impl Daemon {
    /// Does it, and says what became of it.
    pub(super) async fn act(&mut self, next: Next) -> Last {
        let done: Result<(), String> = match next {
            // The loop's.
            Next::Wait { .. } | Next::Read | Next::Exit => Ok(()),
            Next::Notify => self.notify().await,
            Next::Refuse { version, reason } => {
                self.agent.forget();
                agent::refuse(&version, &reason).await.map_err(text)
            }
            Next::Unhold { version } => {
                self.agent.forget();
                agent::allow(&version).await.map_err(text)
            }
            Next::Record(outcome) => self.change(|it, id| Ok(it.record(id, &outcome))).await.map_err(text),
            Next::Lock(slot) => match self.taken.mark(&self.host) {
                Ok(()) => self.change(|it, id| it.lock(id, slot.clone())).await.map_err(text),
                Err(err) => Err(format!("{err:#}")),
            },
            Next::Drain { timeout } => fleet::drain(&self.me.machine, timeout).await.map_err(text),
            Next::Undrain => fleet::undrain(&self.me.machine).await.map_err(text),
            Next::Unlock => {
                let done = self.change(|it, id| it.unlock(id)).await;
                self.gave_back(done)
            }
            Next::Settle(outcome) => {
                let done = self.change(|it, id| Ok(it.settle(id, &outcome))).await;
                self.gave_back(done)
            }
            Next::Break { holder, since } => {
                let now = Timestamp::now();
                self.change(|it, _| it.release_stale(&holder, since, now)).await.map_err(text)
            }
            Next::Reboot => self.reboot().await,
        };
        match done {
            Ok(()) => Last::Done,
            Err(why) => Last::Failed { why },
        }
    }

    /// This machine in the words of the core.
    pub(super) fn as_me(&self) -> Me {
        Me { id: self.me.machine.clone(), boot: self.me.boot.clone(), booted: self.me.booted }
    }

    async fn change(
        &self,
        operation: impl Fn(&Semaphore, &str) -> Result<Semaphore, Refusal>,
    ) -> Result<(), Error> {
        let id = self.me.machine.as_str();
        let changed = self.store.change(|semaphore| operation(semaphore, id)).await;
        changed.map(|Changed { .. }| ())
    }

    /// A slot that is not there is given back.
    fn gave_back(&mut self, done: Result<(), Error>) -> Result<(), String> {
        match done {
            Err(err) if err.refusal() != Some(&Refusal::NoHolder) => Err(err.to_string()),
            _ => {
                self.taken.clear(&self.host);
                Ok(())
            }
        }
    }

    /// Only into what the step was decided for: what waits may have changed while etcd and fleet were asked.
    async fn reboot(&self) -> Result<(), String> {
        let waits = agent::wanted().await.map_err(text)?;
        if waits != self.goal {
            let shown = |version: &Option<Version>| {
                version.as_ref().map_or_else(|| "nothing".to_owned(), |version| format!("version {version}"))
            };
            return Err(format!("{} waits now, not {}", shown(&waits), shown(&self.goal)));
        }
        system::reboot().await.map_err(text)
    }

    /// Whoever is logged in now: users come and go.
    async fn notify(&self) -> Result<(), String> {
        let terminals = sessions::terminals(&self.host).await.map_err(text)?;
        let n_told = notice::write(&self.host, &terminals, &ZonedDateTime::now());
        if n_told == 0 && !terminals.is_empty() {
            return Err(format!("none of {} terminals took the notice", terminals.len()));
        }
        Ok(())
    }
}

fn text(err: impl ToString) -> String {
    err.to_string()
}
