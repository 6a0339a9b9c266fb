//! Which rule decides.

use std::time::Duration;

use super::memory::Doing;
use super::{Memory, Next, Own, Phase, Reading, Seen, Step, approach, held, lock, own, release};
use crate::semaphore::{Outcome, Semaphore};
use crate::strategy::{Etcd, Mode};
use crate::versions::{Action, actions};

/// How often the semaphore is read while nothing waits: what the group says of versions is known that soon.
const READ_EVERY: Duration = Duration::from_secs(5 * 60);
/// How long a reboot may take to begin before it is asked for again.
const REBOOT_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What a rule says.
#[derive(Debug)]
pub(super) struct Decision {
    pub next: Next,
    pub phase: Phase,
    pub why: String,
    /// Whether others are waited for, who may never come.
    pub patience: Patience,
}

/// Whether a wait is one to be warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It ends by itself, or nothing is waited for.
    Endless,
    /// After an hour somebody should look.
    Limited,
}

impl Decision {
    pub fn new(next: Next, phase: Phase, why: impl Into<String>) -> Self {
        Self { next, phase, why: why.into(), patience: Patience::Endless }
    }

    /// The same, to be warned of.
    pub fn limited(self) -> Self {
        Self { patience: Patience::Limited, ..self }
    }
}

/// Says what is done next.
pub fn step(seen: &Seen, memory: &Memory) -> Step {
    let mut memory = memory.clone();
    memory.take_last(seen);
    if seen.has_news {
        memory.hear(seen);
    }
    let Decision { next, phase, why, patience } = decide(seen, &mut memory);
    memory.doing = match &next {
        Next::Wait { .. } | Next::Read => Doing::Nothing,
        Next::Lock(_) => Doing::Lock,
        Next::Notify => Doing::Notify,
        Next::Drain { .. } | Next::Reboot => Doing::Attempt,
        _ => Doing::Other,
    };
    if !matches!(next, Next::Wait { .. } | Next::Read | Next::Notify) {
        // What was read is old now.
        memory.own = None;
    }
    if next == Next::Reboot {
        memory.rebooting = Some(seen.moment);
    }
    memory.phase = Some(phase);
    let waited = if patience == Patience::Limited { memory.waits(seen.moment) } else { None };
    let warning = waited.map(|waited| format!("waiting for {} min: {why}", waited.as_secs() / 60));
    Step { next, phase, why, warning, memory }
}

fn decide(seen: &Seen, memory: &mut Memory) -> Decision {
    if let Some(asked) = memory.rebooting {
        if seen.moment.since(asked) < REBOOT_PATIENCE {
            let until = asked.after(REBOOT_PATIENCE);
            return Decision::new(Next::Wait { until }, Phase::Reboot, "the reboot is under way");
        }
        memory.rebooting = None;
    }
    if seen.mode == Mode::Off(Etcd::None) {
        return off();
    }
    if let Some(retry) = memory.retry.clone().filter(|retry| seen.moment < retry.until) {
        let phase = memory.phase.unwrap_or(Phase::Idle);
        return Decision::new(Next::Wait { until: retry.until }, phase, retry.why).limited();
    }
    match (seen.mode, &seen.reading) {
        (Mode::Alone, _) => alone(seen, memory),
        (Mode::Locked | Mode::Off(_), None) => unread(seen, memory),
        (Mode::Locked | Mode::Off(_), Some(reading)) => read(seen, memory, reading),
    }
}

fn off() -> Decision {
    Decision::new(Next::Exit, Phase::Off, "the strategy is off")
}

/// Without a group.
fn alone(seen: &Seen, memory: &mut Memory) -> Decision {
    memory.ended = None;
    if !seen.is_wanted() {
        return idle(seen, memory);
    }
    let waits = approach::pending(seen, memory).or_else(|| approach::notice(seen, memory));
    waits.unwrap_or_else(|| Decision::new(Next::Reboot, Phase::Reboot, seen.goal()))
}

/// Says whether there is anything for which the semaphore is to be read now.
fn unread(seen: &Seen, memory: &mut Memory) -> Decision {
    let decision = |next, phase, why: &str| Decision::new(next, phase, why);
    if let Some(away) = memory.away.clone().filter(|away| seen.moment < away.until) {
        return store_is_away(seen, memory, away.until, &away.why);
    }
    let is_due = memory.read_due <= seen.moment || memory.read_for != seen.local.waiting;
    match memory.own {
        None => decision(Next::Read, memory.phase.unwrap_or(Phase::Idle), "reading the semaphore"),
        Some(Own::Old) if !seen.local.blessed => release::unblessed(seen),
        Some(Own::Old) if is_due => decision(Next::Read, Phase::Release, "reading the semaphore"),
        Some(Own::Old) => {
            decision(Next::Wait { until: memory.read_due }, Phase::Release, "giving back the slot soon")
        }
        Some(Own::Current) => {
            decision(Next::Read, memory.phase.unwrap_or(Phase::Drain), "reading the semaphore")
        }
        Some(Own::None | Own::ByHand) if is_due => decision(Next::Read, Phase::Idle, "reading the semaphore"),
        Some(Own::None | Own::ByHand) if !seen.is_wanted() => idle(seen, memory),
        Some(Own::None | Own::ByHand) => approach::pending(seen, memory)
            .unwrap_or_else(|| decision(Next::Read, Phase::Locking, "reading the semaphore")),
    }
}

fn store_is_away(seen: &Seen, memory: &Memory, until: super::Moment, why: &str) -> Decision {
    let why = format!("the semaphore cannot be read: {why}");
    let (phase, is_limited) = match memory.own {
        Some(Own::Old) | None => (Phase::Release, true),
        Some(Own::Current) => (memory.phase.unwrap_or(Phase::Drain), true),
        Some(Own::None | Own::ByHand) if seen.is_wanted() => (Phase::Locking, true),
        Some(Own::None | Own::ByHand) => (Phase::Idle, false),
    };
    let decision = Decision::new(Next::Wait { until }, phase, why);
    if is_limited { decision.limited() } else { decision }
}

fn read(seen: &Seen, memory: &mut Memory, reading: &Reading) -> Decision {
    memory.read_due = seen.moment.after(READ_EVERY);
    memory.read_for.clone_from(&seen.local.waiting);
    let semaphore = match &reading.semaphore {
        Ok(semaphore) => semaphore,
        Err(why) => {
            memory.pause_reading(seen, why);
            let until = memory.away.as_ref().map_or(seen.moment, |away| away.until);
            return store_is_away(seen, memory, until, why);
        }
    };
    memory.away = None;
    let own = own(semaphore, &seen.me);
    memory.own = Some(own);
    match own {
        Own::Old => release::decide(seen, memory, reading, semaphore),
        Own::Current => held::decide(seen, memory, reading, semaphore),
        Own::None | Own::ByHand => free(seen, memory, reading, semaphore),
    }
}

/// Without a slot of an attempt.
fn free(seen: &Seen, memory: &mut Memory, reading: &Reading, semaphore: &Semaphore) -> Decision {
    (memory.ended, memory.draining) = (None, None);
    if matches!(seen.mode, Mode::Off(_)) {
        return off();
    }
    if let Some(action) = actions(semaphore, &seen.me.id, &seen.local).into_iter().next() {
        return about_version(seen, action);
    }
    if !seen.is_wanted() {
        return idle(seen, memory);
    }
    approach::pending(seen, memory).unwrap_or_else(|| lock::decide(seen, memory, reading, semaphore))
}

fn about_version(seen: &Seen, action: Action) -> Decision {
    let (next, why) = match action {
        Action::Refuse { version, reason } => {
            let why = format!("version {version} {reason}");
            (Next::Refuse { version, reason }, why)
        }
        Action::Unhold { version } => {
            let why = format!("version {version} may be taken again, as its group says");
            (Next::Unhold { version }, why)
        }
        Action::RecordFailed { version, at, stage, reason } => {
            let why = format!("version {version} failed here: {stage}: {reason}");
            (Next::Record(Outcome::Failed { version, at, stage, reason }), why)
        }
        Action::RecordGood { version } => {
            let why = format!("version {version} is good here");
            (Next::Record(Outcome::Good { version, at: lock::seconds(seen.now) }), why)
        }
    };
    Decision::new(next, Phase::Versions, why)
}

fn idle(seen: &Seen, memory: &mut Memory) -> Decision {
    (memory.attempt, memory.waiting, memory.notice) = (None, None, None);
    let until = match seen.mode {
        Mode::Alone => seen.moment.after(READ_EVERY),
        Mode::Locked | Mode::Off(_) => memory.read_due,
    };
    Decision::new(Next::Wait { until }, Phase::Idle, "nothing waits for a reboot")
}
