//! A slot of another boot: given back once the machine is whole again, before anything else.

use std::time::Duration;

use super::step::Decision;
use super::{Fleet, Hold, Memory, Next, Phase, Reading, Seen, lock};
use crate::semaphore::{Outcome, Semaphore, Slot};

/// How soon is looked again whether etcd or fleet are back.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub(super) fn decide(seen: &Seen, memory: &mut Memory, reading: &Reading, semaphore: &Semaphore) -> Decision {
    if !seen.local.blessed {
        // As soon as it is blessed, not when the next look at the group is due.
        memory.read_due = seen.moment;
        return unblessed(seen);
    }
    let slot = semaphore.slot(&seen.me.id);
    if let Some(why) = reading.etcd.not_back() {
        return wait(seen, memory, why);
    }
    if slot.map_or(semaphore.is_left_drained(&seen.me.id), |slot| slot.drained) {
        match reading.fleet {
            Fleet::Here { hold: Hold::Draining, .. } => {
                return Decision::new(Next::Undrain, Phase::Release, "the machine is back");
            }
            Fleet::Inactive | Fleet::Silent => {
                return wait(seen, memory, "fleet does not answer here".to_owned());
            }
            Fleet::Absent | Fleet::Here { hold: Hold::None | Hold::Cordoned, .. } => {}
        }
    }
    memory.waiting = None;
    Decision::new(Next::Settle(outcome(seen, slot)), Phase::Release, "the machine is back")
}

/// The boot is not judged yet; nothing has to be read before it is.
pub(super) fn unblessed(seen: &Seen) -> Decision {
    let until = seen.moment.after(LOOK_AGAIN);
    Decision::new(Next::Wait { until }, Phase::Release, "this boot's version is not blessed yet").limited()
}

fn wait(seen: &Seen, memory: &mut Memory, why: String) -> Decision {
    let until = seen.moment.after(LOOK_AGAIN);
    memory.read_due = until;
    Decision::new(Next::Wait { until }, Phase::Release, why).limited()
}

/// Returns what became of the version for which the slot was taken.
fn outcome(seen: &Seen, slot: Option<&Slot>) -> Outcome {
    let Some(version) = slot.and_then(|slot| slot.version.as_ref()) else { return Outcome::Neither };
    if seen.local.runs_well(version) {
        return Outcome::Good { version: version.clone(), at: lock::seconds(seen.now) };
    }
    seen.local.failure(version).map_or(Outcome::Neither, |failure| failure.outcome())
}
