//! With a slot of this boot: drain, look again, reboot. Any no gives the slot back.

use super::step::Decision;
use super::{Fleet, Hold, Memory, Next, Phase, Reading, Seen, lock};
use crate::semaphore::{Semaphore, Slot};
use crate::strategy::Mode;

pub(super) fn decide(seen: &Seen, memory: &mut Memory, reading: &Reading, semaphore: &Semaphore) -> Decision {
    memory.waiting = None;
    // A holder without facts is of another boot, as far as anybody knows.
    let Some(slot) = semaphore.slot(&seen.me.id) else {
        return Decision::new(Next::Unlock, Phase::GiveBack, "nothing is known of the slot");
    };
    if memory.ended.is_none()
        && let Some(why) = no(seen, memory, reading, semaphore, slot)
    {
        memory.pause_attempts(seen, &why);
        memory.ended = Some(why);
    }
    match memory.ended.clone() {
        Some(why) => give_back(reading, slot, why),
        None => go_on(seen, memory, reading, slot),
    }
}

/// Returns why the attempt is over.
fn no(seen: &Seen, memory: &Memory, reading: &Reading, semaphore: &Semaphore, slot: &Slot) -> Option<String> {
    if matches!(seen.mode, Mode::Off(_)) {
        return Some("the strategy is off".to_owned());
    }
    if !seen.is_wanted() {
        return Some("nothing waits for a reboot any more".to_owned());
    }
    if slot.version.as_ref() != seen.target() {
        return Some(format!("{}, and the slot was taken for another reason", seen.goal()));
    }
    let refusal = slot.version.as_ref().and_then(|version| semaphore.may_try(version, &seen.me.id).err());
    if let Some(refusal) = refusal {
        return Some(refusal.to_string());
    }
    if let Some(at) = seen.closed_until() {
        return Some(format!("the window has closed; it opens at {at}"));
    }
    // They came while units moved away, or a daemon told them that was killed since; the slot is not kept meanwhile.
    if 0 < seen.terminals && memory.notice.is_none() {
        return Some("users are to be told first".to_owned());
    }
    if reading.fleet == Fleet::Silent {
        return Some("fleet does not answer here".to_owned());
    }
    lock::no_reboot(reading, semaphore)
}

/// Undrains the machine if locksmith drained it, then gives the slot back: the other way round nobody would know.
fn give_back(reading: &Reading, slot: &Slot, why: String) -> Decision {
    let is_drained = match reading.fleet {
        Fleet::Absent => false,
        Fleet::Here { hold, .. } => hold == Hold::Draining,
        // It may be.
        Fleet::Inactive | Fleet::Silent => true,
    };
    let next = if slot.drained && is_drained { Next::Undrain } else { Next::Unlock };
    Decision::new(next, Phase::GiveBack, why)
}

fn go_on(seen: &Seen, memory: &mut Memory, reading: &Reading, slot: &Slot) -> Decision {
    let reboot = |why: String| Decision::new(Next::Reboot, Phase::Reboot, why);
    let Fleet::Here { hold, units } = reading.fleet else { return reboot(seen.goal()) };
    if hold != Hold::Draining && !slot.drained {
        // Fleet came up after the slot was taken.
        let next = Next::Lock(lock::slot(seen, reading));
        return Decision::new(next, Phase::Drain, "the machine is to be drained");
    }
    let began = *memory.draining.get_or_insert(seen.moment);
    let timeout = seen.settings.drain_timeout.saturating_sub(seen.moment.since(began));
    if hold == Hold::Draining && units == 0 {
        return reboot(seen.goal());
    }
    if timeout.is_zero() {
        return reboot(format!("{}; {units} units did not move away in time", seen.goal()));
    }
    Decision::new(Next::Drain { timeout }, Phase::Drain, format!("{units} units are to move away"))
}
