//! Which units are to be on this machine: those that are placed here, and the global ones that suit it.

use std::collections::BTreeMap;

use super::{Here, KnownWish, Local, Wanted, Wish};
use crate::engine::{conflict, metadata};
use crate::model::{Hold, Machine, State};
use crate::name::UnitName;
use crate::requirements::Requirements;

/// Returns the units that are to be here. A global unit comes if the machine meets its metadata and no unit that is
/// placed here and no global one before it by name conflicts with it; one that the machine does not have yet only if it
/// takes units.
pub(super) fn chosen<'a>(wanted: &'a Wanted, here: &Here) -> BTreeMap<&'a UnitName, &'a Wish> {
    let mut chosen: BTreeMap<&UnitName, &Wish> =
        wanted.entries.iter().filter(|(_, wish)| !is_inactive(wish)).collect();
    for (name, wish) in &wanted.globals {
        if wanted.entries.contains_key(name) {
            continue;
        }
        let local = here.units.get(name);
        let comes = match (wish, &wanted.machine) {
            (Wish::Known(known), Some(machine)) => {
                known.desired != State::Inactive
                    && takes(machine, local)
                    && metadata(&known.requirements, machine).next().is_none()
                    && !clashes(name, &known.requirements, &chosen)
            }
            (Wish::Known(known), None) => local.is_some() && known.desired != State::Inactive,
            (Wish::Frozen, _) => local.is_some(),
        };
        if comes {
            chosen.insert(name, wish);
        }
    }
    chosen
}

fn is_inactive(wish: &Wish) -> bool {
    matches!(wish, Wish::Known(KnownWish { desired: State::Inactive, .. }))
}

/// Whether a machine takes a global unit as far as its hold goes. Draining moves units away, and a global one has
/// nowhere to go: it runs until the machine itself ends.
fn takes(machine: &Machine, here: Option<&Local>) -> bool {
    match machine.hold {
        Hold::None => true,
        Hold::Cordoned | Hold::Draining => here.is_some(),
    }
}

fn clashes(name: &UnitName, wants: &Requirements, chosen: &BTreeMap<&UnitName, &Wish>) -> bool {
    chosen.iter().any(|(other, wish)| {
        let theirs = match wish {
            Wish::Known(known) => Some(&known.requirements),
            Wish::Frozen => None,
        };
        conflict(name, wants, other, theirs).is_some()
    })
}
