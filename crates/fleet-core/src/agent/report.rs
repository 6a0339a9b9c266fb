//! What an agent says of a unit.

use std::collections::BTreeMap;

use super::chosen::chosen;
use super::{Here, Job, Local, Memory, Wanted, Wish};
use crate::engine::Reported;
use crate::model::Report;
use crate::name::UnitName;

/// Returns what is to be reported: of each unit that is here, wanted or not. What is not in it is not to be in the
/// store.
pub fn reports(wanted: &Wanted, here: &Here, memory: &Memory) -> BTreeMap<UnitName, Reported> {
    let chosen = chosen(wanted, here);
    let all = here.units.iter();
    all.map(|(unit, local)| (unit.clone(), report(unit, chosen.get(unit).copied(), local, memory))).collect()
}

fn report(unit: &UnitName, wish: Option<&Wish>, local: &Local, memory: &Memory) -> Reported {
    let remembered = memory.started.get(unit);
    let (entry, started) = match wish {
        Some(Wish::Known(wish)) => {
            let same =
                |modification: i64, hash: &str| modification == wish.modification && *hash == wish.hash;
            let started = remembered.is_some_and(|started| same(started.modification, &started.hash));
            (wish.modification, started || wish.finished)
        }
        // Of one that is frozen or not wanted, what was last known.
        _ => (remembered.map_or(0, |started| started.modification), remembered.is_some()),
    };
    // Until the service manager has begun with the start, an inactive unit would pass for one that has finished.
    let waits = local.job == Job::Pending && local.active == "inactive";
    let (hash, load) = (local.hash.clone(), local.load.clone());
    let (active, sub) = (local.active.clone(), local.sub.clone());
    Reported { report: Report { hash, load, active, sub, started: started && !waits }, entry }
}
