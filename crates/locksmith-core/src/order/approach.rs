//! Before a slot is asked for: the window, pauses, and users who are logged in.

use std::time::Duration;

use super::step::Decision;
use super::{Memory, Next, Phase, Seen};

/// How long a window is waited for before the clock is looked at again: it may have been set.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// Returns what is waited for without asking anybody: the window, the pause after an attempt, users that were told.
pub(super) fn pending(seen: &Seen, memory: &Memory) -> Option<Decision> {
    if let Some(at) = seen.closed_until() {
        let wait = at.duration_since(seen.now).unsigned_abs().min(LOOK_AT_CLOCK);
        let why = format!("{}; the window opens at {at}", seen.goal());
        return Some(Decision::new(Next::Wait { until: seen.moment.after(wait) }, Phase::Window, why));
    }
    if let Some(pause) = memory.attempt.as_ref().filter(|pause| seen.moment < pause.until) {
        let decision = Decision::new(Next::Wait { until: pause.until }, Phase::Locking, pause.why.clone());
        return Some(decision.limited());
    }
    told(seen, memory)
}

/// Returns the wait for users that were told, as long as one is logged in.
fn told(seen: &Seen, memory: &Memory) -> Option<Decision> {
    let notice = memory.notice.filter(|notice| seen.moment < notice.due && 0 < seen.terminals)?;
    let why = format!("{}; {} terminals were told", seen.goal(), seen.terminals);
    Some(Decision::new(Next::Wait { until: notice.due }, Phase::Notice, why))
}

/// Tells users, unless they know. Asked when nothing else is in the way, so that nobody is told of a reboot that does
/// not come.
pub(super) fn notice(seen: &Seen, memory: &Memory) -> Option<Decision> {
    let knows = memory.notice.is_some_and(|notice| seen.moment <= notice.valid);
    if knows || seen.terminals == 0 {
        return None;
    }
    let why = format!("{}; telling {} terminals", seen.goal(), seen.terminals);
    Some(Decision::new(Next::Notify, Phase::Notice, why))
}
