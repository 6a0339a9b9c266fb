//! What a daemon remembers between steps. Nothing is lost with it but patience.

use std::time::Duration;

use slots::Version;

use super::{Last, Moment, Own, Phase, Seen};

/// How long users have after they were told.
const NOTICE: Duration = Duration::from_secs(5 * 60);
/// For how long after that attempts begin without another notice.
const NOTICE_HOLDS: Duration = Duration::from_secs(15 * 60);
/// First pause after an attempt that came to nothing.
const ATTEMPT_FIRST: Duration = Duration::from_secs(10);
/// First pause after something that could not be done.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// Longest pause of both.
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// Within this time those who hear that the semaphore was written read it, each at another moment.
const HEARD: Duration = Duration::from_secs(2);
/// How often users of the journal hear of a wait that does not end.
const WARN_EVERY: Duration = Duration::from_secs(60 * 60);

/// What a daemon remembers from step to step. One that begins anew remembers nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// The notice that users got.
    pub(super) notice: Option<Notice>,
    /// Pause before the next attempt.
    pub(super) attempt: Option<Pause>,
    /// Pause before what could not be done is tried again.
    pub(super) retry: Option<Pause>,
    /// Pause before a semaphore that could not be read is read again.
    pub(super) away: Option<Pause>,
    /// Since when something is waited for that others decide, and when it was last warned of.
    pub(super) waiting: Option<Waiting>,
    /// What the machine had when the semaphore was last read.
    pub(super) own: Option<Own>,
    /// When it is read next, if nothing happens before.
    pub(super) read_due: Moment,
    /// The version that waited when it was read.
    pub(super) read_for: Option<Version>,
    /// Why the attempt ends whose slot is still held.
    pub(super) ended: Option<String>,
    /// When draining began.
    pub(super) draining: Option<Moment>,
    /// When the reboot was asked for.
    pub(super) rebooting: Option<Moment>,
    /// What the step before said, as far as its failure matters.
    pub(super) doing: Doing,
    /// Where the step before was.
    pub(super) phase: Option<Phase>,
}

/// What users were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notice {
    /// When the machine may reboot.
    pub due: Moment,
    /// Until when attempts may begin without another notice.
    pub valid: Moment,
}

/// A pause before something is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pause {
    /// When it ends.
    pub until: Moment,
    /// What came of the last try.
    pub why: String,
    /// How long the next would be, without its jitter.
    next: Duration,
    /// Whether another machine's write to the semaphore can be what is waited for.
    ends_with_news: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    since: Moment,
    warned: Moment,
}

/// What the step before said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Doing {
    /// To wait or to read.
    #[default]
    Nothing,
    /// To take a slot.
    Lock,
    /// To tell users.
    Notify,
    /// To drain or to reboot.
    Attempt,
    /// Something else.
    Other,
}

impl Pause {
    /// Puts a pause in the place of the one before: as long as that said, else as the first; doubled each time, with a
    /// jitter of a tenth.
    fn begin(place: &mut Option<Self>, first: Duration, seen: &Seen, why: &str) {
        let base = place.as_ref().map_or(first, |before| before.next);
        let jitter = base * u32::from(seen.dice) / 2560;
        let (until, next) = (seen.moment.after(base + jitter), (base * 2).min(PAUSE_MAX));
        *place = Some(Self { until, why: why.to_owned(), next, ends_with_news: false });
    }
}

impl Memory {
    /// Takes note of what became of the step before.
    pub(super) fn take_last(&mut self, seen: &Seen) {
        match (&seen.last, self.doing) {
            (Last::Done, Doing::Nothing) => {}
            (Last::Done, Doing::Lock | Doing::Attempt | Doing::Other) => self.retry = None,
            (Last::Done, Doing::Notify) => {
                let due = seen.moment.after(NOTICE);
                self.notice = Some(Notice { due, valid: due.after(NOTICE_HOLDS) });
                self.retry = None;
            }
            (Last::Failed { why }, Doing::Lock) => {
                self.pause_attempts(seen, why);
                self.pause_retries(seen, why);
            }
            (Last::Failed { why }, Doing::Attempt) => {
                self.rebooting = None;
                self.ended.get_or_insert_with(|| why.clone());
                self.pause_retries(seen, why);
            }
            (Last::Failed { why }, Doing::Nothing | Doing::Notify | Doing::Other) => {
                self.pause_retries(seen, why)
            }
        }
    }

    /// Pauses before the next attempt.
    pub(super) fn pause_attempts(&mut self, seen: &Seen, why: &str) {
        Pause::begin(&mut self.attempt, ATTEMPT_FIRST, seen, why);
    }

    /// Pauses before the next attempt, because the semaphore refused this one.
    pub(super) fn pause_for_slot(&mut self, seen: &Seen, why: &str) {
        self.pause_attempts(seen, why);
        if let Some(pause) = &mut self.attempt {
            pause.ends_with_news = true;
        }
    }

    /// Takes note that the semaphore was written: it is read soon, and what it refused is asked for soon. Other pauses
    /// stay, as an attempt that was given up writes too.
    pub(super) fn hear(&mut self, seen: &Seen) {
        let soon = seen.moment.after(HEARD * u32::from(seen.dice) / 256);
        self.read_due = self.read_due.min(soon);
        if let Some(pause) = self.attempt.as_mut().filter(|pause| pause.ends_with_news) {
            pause.until = pause.until.min(soon);
        }
    }

    /// Pauses before what could not be done is tried again.
    pub(super) fn pause_retries(&mut self, seen: &Seen, why: &str) {
        Pause::begin(&mut self.retry, RETRY_FIRST, seen, why);
    }

    /// Pauses before the semaphore is read again.
    pub(super) fn pause_reading(&mut self, seen: &Seen, why: &str) {
        Pause::begin(&mut self.away, RETRY_FIRST, seen, why);
    }

    /// Takes note that others are waited for; returns for how long it has been, if it is time to warn of it.
    pub(super) fn waits(&mut self, now: Moment) -> Option<Duration> {
        let waiting = self.waiting.get_or_insert(Waiting { since: now, warned: now });
        if now.since(waiting.warned) < WARN_EVERY {
            return None;
        }
        waiting.warned = now;
        Some(now.since(waiting.since))
    }
}
