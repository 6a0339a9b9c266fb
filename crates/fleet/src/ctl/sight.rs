//! Whether a unit that was started runs: judged from what its machine reports, poll after poll.
//!
//! A report is a sample. Just after a start it may still be of before the start, so that a unit which is not running
//! is believed to have ended only when it is seen so for a while.

use crate::api::UnitState;

/// Polls in a row after which a failure, or the end of a oneshot unit, is believed: longer than an agent takes for
/// one sample, and at least a second.
const BELIEVED: u32 = 6;
/// Polls in a row after which it is believed that a unit that should go on has ended without a failure. Longer,
/// because `Restart=` leaves pauses.
const BELIEVED_ENDED: u32 = 24;

/// What a unit does when it has done its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It ends: `Type=oneshot`.
    Oneshot,
    /// It goes on.
    Lasting,
}

/// What is known about a unit that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Waiting,
    /// It runs, or has done its work.
    Up,
    /// It does not, and will not by itself.
    Down,
}

/// Watches one unit.
#[derive(Debug, Clone)]
pub struct Sight {
    kind: Kind,
    hash: String,
    last: Option<Seen>,
    in_a_row: u32,
}

/// What one report shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Active,
    OnTheWay,
    Failed,
    Ended,
}

impl Sight {
    /// Begins to watch a unit whose file has this hash; reports of another are not about it.
    pub fn new(kind: Kind, hash: String) -> Self {
        Self { kind, hash, last: None, in_a_row: 0 }
    }

    /// Takes in the report of the unit's machine.
    pub fn look(&mut self, state: Option<&UnitState>) -> Verdict {
        let seen = state.map_or(Seen::OnTheWay, |state| self.read(state));
        self.in_a_row = if self.last == Some(seen) { self.in_a_row.saturating_add(1) } else { 1 };
        self.last = Some(seen);
        match seen {
            Seen::Active => Verdict::Up,
            Seen::Failed if self.in_a_row >= BELIEVED => Verdict::Down,
            Seen::Ended if self.kind == Kind::Oneshot && self.in_a_row >= BELIEVED => Verdict::Up,
            Seen::Ended if self.in_a_row >= BELIEVED_ENDED => Verdict::Down,
            _ => Verdict::Waiting,
        }
    }

    fn read(&self, state: &UnitState) -> Seen {
        if state.hash != self.hash {
            return Seen::OnTheWay;
        }
        match (state.systemd_load_state.as_str(), state.systemd_active_state.as_str()) {
            ("loaded", "active" | "reloading" | "refreshing") => Seen::Active,
            ("loaded", "inactive") => Seen::Ended,
            // systemd cannot make anything of the file, and will not by waiting.
            (_, "failed") | ("bad-setting" | "error" | "masked", _) => Seen::Failed,
            _ => Seen::OnTheWay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(load: &str, active: &str, hash: &str) -> UnitState {
        UnitState {
            name: "x.service".to_owned(),
            hash: hash.to_owned(),
            machine_id: "m".to_owned(),
            systemd_load_state: load.to_owned(),
            systemd_active_state: active.to_owned(),
            systemd_sub_state: String::new(),
        }
    }

    /// Shows a state until there is a verdict, and returns it with the number of polls.
    fn verdict(kind: Kind, state: &UnitState) -> (Verdict, u32) {
        let mut sight = Sight::new(kind, "h".to_owned());
        for polls in 1..100 {
            let verdict = sight.look(Some(state));
            if verdict != Verdict::Waiting {
                return (verdict, polls);
            }
        }
        (Verdict::Waiting, 100)
    }

    #[test]
    fn active_is_believed_at_once() {
        assert_eq!(verdict(Kind::Lasting, &state("loaded", "active", "h")), (Verdict::Up, 1));
        assert_eq!(verdict(Kind::Oneshot, &state("loaded", "active", "h")), (Verdict::Up, 1));
    }

    #[test]
    fn a_failure_is_believed_when_it_lasts() {
        assert_eq!(verdict(Kind::Lasting, &state("loaded", "failed", "h")), (Verdict::Down, 6));
        assert_eq!(verdict(Kind::Oneshot, &state("loaded", "failed", "h")), (Verdict::Down, 6));
        assert_eq!(verdict(Kind::Lasting, &state("bad-setting", "inactive", "h")), (Verdict::Down, 6));
    }

    #[test]
    fn a_oneshot_that_ended_has_done_its_work() {
        assert_eq!(verdict(Kind::Oneshot, &state("loaded", "inactive", "h")), (Verdict::Up, 6));
    }

    #[test]
    fn a_lasting_unit_that_ended_is_down_after_a_longer_while() {
        assert_eq!(verdict(Kind::Lasting, &state("loaded", "inactive", "h")), (Verdict::Down, 24));
    }

    #[test]
    fn what_is_on_the_way_is_waited_for() {
        assert_eq!(verdict(Kind::Lasting, &state("loaded", "activating", "h")).0, Verdict::Waiting);
        assert_eq!(verdict(Kind::Lasting, &state("not-found", "inactive", "h")).0, Verdict::Waiting);
    }

    #[test]
    fn a_report_of_other_content_says_nothing() {
        assert_eq!(verdict(Kind::Lasting, &state("loaded", "active", "old")).0, Verdict::Waiting);
        assert_eq!(verdict(Kind::Lasting, &state("loaded", "failed", "old")).0, Verdict::Waiting);
    }

    #[test]
    fn a_failure_of_before_the_start_is_forgotten() {
        let mut sight = Sight::new(Kind::Lasting, "h".to_owned());
        let (failed, way) = (state("loaded", "failed", "h"), state("loaded", "activating", "h"));
        for _ in 0..5 {
            assert_eq!(sight.look(Some(&failed)), Verdict::Waiting);
        }
        assert_eq!(sight.look(Some(&way)), Verdict::Waiting);
        for _ in 0..5 {
            assert_eq!(sight.look(Some(&failed)), Verdict::Waiting);
        }
        assert_eq!(sight.look(Some(&failed)), Verdict::Down);
    }

    #[test]
    fn no_report_is_no_verdict() {
        let mut sight = Sight::new(Kind::Lasting, "h".to_owned());
        assert_eq!(sight.look(None), Verdict::Waiting);
    }
}
