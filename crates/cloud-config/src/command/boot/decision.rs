//! What a stage does and leaves alone: decided from what came, without looking anywhere.

use cloud_config::plan::{Part, Stale};

use crate::command::perform::Verdict;
use crate::flags::Stage;

/// What became of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The machine has none.
    None,
    /// It is on the network, which is not there yet.
    Later,
    /// It does not answer.
    Fails,
    /// It gave user data.
    Given(Verdict),
}

/// All that counts.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// The stage.
    pub stage: Stage,
    /// The source.
    pub came: Came,
    /// The base, if there is one.
    pub base: Option<Verdict>,
    /// Whether the first stage applied the user data of this source.
    pub top_is_applied: bool,
    /// Whether the first stage applied the base.
    pub base_is_applied: bool,
    /// Whether the last whole configuration was another than the base alone.
    pub had_source: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Which part of the plan.
    pub part: Part,
    /// What becomes of what earlier configurations made.
    pub stale: Stale,
    /// Whether the stage fails whatever its steps do.
    pub fails: bool,
}

/// Decides.
pub fn decide(situation: Situation) -> Decision {
    let Situation { stage, came, base, top_is_applied, base_is_applied, had_source } = situation;
    let part = match (stage, came) {
        (Stage::Local, _) => Part::BeforeNetwork,
        (Stage::Network, Came::Given(_)) if top_is_applied => Part::Imports,
        (Stage::Network, Came::None | Came::Fails) if base_is_applied => Part::Imports,
        (Stage::Network, _) => Part::All,
    };
    // Only the whole configuration can say what is no longer in it.
    let stale = match (came, base) {
        (Came::Given(Verdict::Right), Some(Verdict::Wrong | Verdict::Foreign)) => Stale::Keep,
        (Came::Given(Verdict::Right), _) => Stale::Remove,
        // A source that is gone takes nothing with it, or an unplugged drive would lock everybody out.
        (Came::None, Some(Verdict::Right)) if !had_source => Stale::Remove,
        (Came::None | Came::Later | Came::Fails | Came::Given(_), _) => Stale::Untouched,
    };
    // Before the network a base may lack the addresses that come with it.
    let base_fails = base == Some(Verdict::Wrong) && came != Came::Later;
    let fails = base_fails || matches!(came, Came::Fails | Came::Given(Verdict::Wrong));
    Decision { part, stale, fails }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second stage after a first one that did nothing.
    const BLANK: Situation = Situation {
        stage: Stage::Network,
        came: Came::None,
        base: None,
        top_is_applied: false,
        base_is_applied: false,
        had_source: false,
    };
    const GIVEN: Came = Came::Given(Verdict::Right);

    #[test]
    fn the_second_stage_does_what_the_first_did_not() {
        let part = |situation| decide(situation).part;
        assert_eq!(part(Situation { stage: Stage::Local, came: GIVEN, ..BLANK }), Part::BeforeNetwork);
        assert_eq!(part(Situation { came: GIVEN, ..BLANK }), Part::All);
        assert_eq!(part(Situation { came: GIVEN, top_is_applied: true, ..BLANK }), Part::Imports);
        assert_eq!(part(Situation { came: GIVEN, base_is_applied: true, ..BLANK }), Part::All);
        assert_eq!(part(Situation { came: Came::Fails, base_is_applied: true, ..BLANK }), Part::Imports);
        assert_eq!(part(BLANK), Part::All);
    }

    #[test]
    fn only_the_whole_configuration_takes_anything_away_and_without_user_data_what_it_made_is_not_changed() {
        let stale = |came, base, had_source| decide(Situation { came, base, had_source, ..BLANK }).stale;
        for base in [None, Some(Verdict::Right)] {
            assert_eq!(stale(GIVEN, base, true), Stale::Remove);
            for came in [Came::Later, Came::Fails, Came::Given(Verdict::Wrong), Came::Given(Verdict::Foreign)]
            {
                assert_eq!(stale(came, base, false), Stale::Untouched, "{came:?}");
            }
        }
        assert_eq!(stale(GIVEN, Some(Verdict::Wrong), false), Stale::Keep);
        let alone = |had_source| stale(Came::None, Some(Verdict::Right), had_source);
        assert_eq!((alone(false), alone(true)), (Stale::Remove, Stale::Untouched));
        assert_eq!(stale(Came::None, None, false), Stale::Untouched);
        assert_eq!(stale(Came::Later, Some(Verdict::Wrong), false), Stale::Untouched);
    }

    #[test]
    fn what_is_wrong_fails_and_what_may_still_come_does_not() {
        let fails = |came, base| decide(Situation { came, base, ..BLANK }).fails;
        assert!(fails(Came::Fails, None) && fails(Came::Given(Verdict::Wrong), None));
        assert!(fails(GIVEN, Some(Verdict::Wrong)) && fails(Came::None, Some(Verdict::Wrong)));
        assert!(!fails(Came::Later, Some(Verdict::Wrong)) && !fails(Came::None, None));
        assert!(!fails(Came::Given(Verdict::Foreign), None));
    }
}
