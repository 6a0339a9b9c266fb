//! Taking a slot: the group, the quorum of etcd, holders that never came back.

use jiff::Timestamp;

use super::step::Decision;
use super::{Fleet, Hold, LocalEtcd, Memory, Next, Phase, Reading, Seen, approach};
use crate::quorum;
use crate::semaphore::{Refusal, Semaphore, Slot};

/// Takes a slot if the group and etcd allow it, and users know; else says what is in the way.
pub(super) fn decide(seen: &Seen, memory: &mut Memory, reading: &Reading, semaphore: &Semaphore) -> Decision {
    let slot = slot(seen, reading);
    let refusal = match semaphore.lock(&seen.me.id, slot.clone()) {
        Ok(_) => no_reboot(reading, semaphore)
            .or_else(|| (reading.fleet == Fleet::Silent).then(|| "fleet does not answer here".to_owned()))
            .inspect(|why| memory.pause_attempts(seen, why)),
        Err(refusal) => {
            if let Some((holder, since)) = stale(&refusal, seen, reading, semaphore) {
                let why = format!("{holder} has held a slot since {since} and is no machine of fleet's");
                return Decision::new(Next::Break { holder, since }, Phase::Locking, why);
            }
            let why = refusal.to_string();
            memory.pause_for_slot(seen, &why);
            Some(why)
        }
    };
    if let Some(why) = refusal {
        let until = memory.attempt.as_ref().map_or(seen.moment, |pause| pause.until);
        return Decision::new(Next::Wait { until }, Phase::Locking, why).limited();
    }
    if let Some(decision) = approach::notice(seen, memory) {
        return decision;
    }
    // Users of long ago were told of another attempt; what counts from now on is who was told of this one.
    memory.notice = memory.notice.filter(|notice| seen.moment <= notice.valid);
    Decision::new(Next::Lock(slot), Phase::Locking, seen.goal())
}

/// Returns what this machine says of itself with its slot. That it is drained is said before it is.
pub(super) fn slot(seen: &Seen, reading: &Reading) -> Slot {
    let is_to_drain = match reading.fleet {
        Fleet::Here { hold, .. } => hold != Hold::Draining,
        Fleet::Absent | Fleet::Inactive | Fleet::Silent => false,
    };
    Slot {
        since: Some(seconds(seen.now)),
        boot: Some(seen.me.boot.clone()),
        version: seen.target().cloned(),
        member: reading.etcd.id(),
        drained: is_to_drain,
        ..Slot::default()
    }
}

/// Says why etcd would not get over a reboot of this machine.
pub(super) fn no_reboot(reading: &Reading, semaphore: &Semaphore) -> Option<String> {
    let own = match reading.etcd {
        LocalEtcd::Absent => return None,
        // Which member it is, and whether it counts, is not known.
        LocalEtcd::Silent => return Some("etcd does not answer here".to_owned()),
        LocalEtcd::Member { id, .. } => id,
    };
    let Some(members) = &reading.members else {
        return Some("the members of etcd do not say how they are".to_owned());
    };
    let away = semaphore.holders().filter_map(|(_, slot)| slot?.member).collect();
    quorum::check(members, Some(own), &away).err().map(|no| no.to_string())
}

/// Returns the holder in the way whose slot may be taken from it. Slots that were taken by hand are not, and nothing is
/// where fleet does not answer, or does not know this machine either.
fn stale(
    refusal: &Refusal,
    seen: &Seen,
    reading: &Reading,
    semaphore: &Semaphore,
) -> Option<(String, Timestamp)> {
    let span = seen.settings.break_stale?;
    let machines = reading.machines.as_ref().filter(|machines| machines.contains(&seen.me.id))?;
    let in_the_way = |holder: &str| match refusal {
        Refusal::Full { .. } => true,
        Refusal::Tried { by, .. } => by == holder,
        _ => false,
    };
    semaphore.holders().find_map(|(holder, slot)| {
        let slot = slot.filter(|slot| slot.boot.is_some())?;
        let since = slot.since?;
        let is_old = i128::try_from(span.as_nanos()).ok()? <= seen.now.duration_since(since).as_nanos();
        let is_gone = !machines.contains(holder) && holder != seen.me.id;
        (in_the_way(holder) && is_old && is_gone).then(|| (holder.to_owned(), since))
    })
}

/// Cuts a time to seconds: that is what people read.
pub(super) fn seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
