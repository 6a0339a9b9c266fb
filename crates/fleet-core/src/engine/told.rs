//! What the engine tells others of lost machines: whoever else reads the registry sees that a machine is not there, but
//! not since when, nor whether that is believed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Snapshot, Verdict, Wait};
use crate::model::MachineId;
use crate::moment::Moment;
use crate::utc::Utc;

/// Times that differ by no more than this are the same: two clocks and whole seconds are in between.
const SAME: Duration = Duration::from_secs(2);

/// What is told of one machine, which is what `lost/<machine>` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When the engine saw that it is lost.
    pub since: Utc,
    /// When its units move if it does not come back; none once it is given up.
    pub moves: Option<Utc>,
    /// Whether it was lost with so many others that it is not believed until then.
    pub mass: bool,
}

impl Told {
    /// Whether this says the same as another, as far as it matters to anybody.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let moves = match (self.moves, other.moves) {
            (Some(one), Some(another)) => one.apart(another) <= SAME,
            (one, another) => one == another,
        };
        moves && self.mass == other.mass && self.since.apart(other.since) <= SAME
    }
}

/// Returns what is to be told at `now`, which is so long after the beginning of 1970; after [`Snapshot::observe`].
pub fn told(snapshot: &Snapshot, now: Moment, since_1970: Duration) -> BTreeMap<MachineId, Told> {
    let all = snapshot.losses.all(now, &snapshot.settings);
    let one = |(machine, seen, verdict): (&MachineId, Moment, Verdict)| {
        let (moves, mass) = match verdict {
            Verdict::Waiting { left, why, .. } => {
                (Some(Utc::after(since_1970.saturating_add(left))), why == Wait::MassLoss)
            }
            Verdict::GivenUp { .. } => (None, false),
        };
        let since = Utc::at(since_1970.saturating_sub(now.since(seen)));
        (machine.clone(), Told { since, moves, mass })
    };
    all.map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_again_is_the_same_within_two_seconds() {
        let time = |seconds| Utc::at(Duration::from_secs(seconds));
        let told = Told { since: time(100), moves: Some(time(130)), mass: false };
        assert!(told.agrees(&Told { since: time(101), moves: Some(time(128)), ..told }));
        for other in [
            Told { since: time(103), ..told },
            Told { moves: Some(time(133)), ..told },
            Told { moves: None, ..told },
            Told { mass: true, ..told },
        ] {
            assert!(!told.agrees(&other) && !other.agrees(&told), "{other:?}");
        }
    }
}
