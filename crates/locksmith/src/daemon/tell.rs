//! What is told of each step: to the journal, the service manager, `coordinator.conf`, and the other machines.

use std::time::{Duration, Instant};

use etcd_rpc::Client;
use locksmith_core::order::{Phase, Seen, Step};
use locksmith_core::report::{self, Report};
use locksmith_core::strategy::{Mode, Strategy};
use sd_notify::NotifyState;
use tokio::time::timeout;

use super::Daemon;
use crate::coordinator::Coordinator;
use crate::journal::{Journal, Level};

/// How long telling the others may hold up what is done next.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);
/// How soon it is tried again when it failed.
const REPORT_PAUSE: Duration = Duration::from_secs(60);

/// Tells the service manager, if there is one. Failing to is not an error of ours: it notices what it misses.
pub(super) fn manager(state: &NotifyState<'_>) {
    let _ = sd_notify::notify(std::slice::from_ref(state));
}

/// Tells what is news.
pub(super) struct Teller {
    coordinator: Coordinator,
    client: Client,
    journal: Journal,
    said: Option<(Phase, String)>,
    reported: Option<Report>,
    report_failed: Option<Instant>,
}

impl Teller {
    pub(super) fn new(coordinator: Coordinator, client: Client, journal: Journal) -> Self {
        Self { coordinator, client, journal, said: None, reported: None, report_failed: None }
    }

    /// Tells a step, before it is done. `report` is for the other machines, with the machine's id.
    pub(super) async fn tell(&mut self, strategy: Strategy, step: &Step, report: Option<(String, Report)>) {
        if let Some(warning) = &step.warning {
            self.journal.say(Level::Warning, warning);
        }
        let said = (step.phase, step.why.clone());
        if self.said.as_ref() != Some(&said) {
            let line = format!("{}: {}", step.phase.name(), step.why);
            self.journal.say(Level::Notice, &line);
            manager(&NotifyState::Status(&line.replace('\n', " ")));
            self.said = Some(said);
        }
        if let Err(err) = self.coordinator.say(strategy.name(), step.phase.state()) {
            self.journal.say(Level::Warning, &format!("{err:#}"));
        }
        if let Some((id, report)) = report {
            self.report(&id, report).await;
        }
    }

    /// Nothing depends on it: what cannot be told now is told later.
    async fn report(&mut self, id: &str, report: Report) {
        let is_known = self.reported.as_ref().is_some_and(|known| known.says_the_same(&report));
        let is_paused = self.report_failed.is_some_and(|failed| failed.elapsed() < REPORT_PAUSE);
        if is_known || is_paused {
            return;
        }
        let key = report::key(id);
        match timeout(REPORT_TIMEOUT, self.client.put(&key, report.to_bytes())).await {
            Ok(Ok(_)) => (self.reported, self.report_failed) = (Some(report), None),
            Ok(Err(_)) | Err(_) => self.report_failed = Some(Instant::now()),
        }
    }
}

impl Daemon {
    /// What the others are told, where there are others.
    pub(super) fn report(&self, seen: &Seen, strategy: Strategy, step: &Step) -> Option<(String, Report)> {
        if seen.mode != Mode::Locked {
            return None;
        }
        let report = Report {
            version: self.me.version.clone(),
            slot: self.me.slot.clone(),
            strategy: strategy.name().to_owned(),
            group: self.settings.group.clone(),
            phase: step.phase.name().to_owned(),
            why: step.why.clone(),
            waiting: seen.local.waiting.clone(),
            boot: self.me.boot.clone(),
            at: seen.now,
        };
        Some((self.me.machine.clone(), report))
    }
}
