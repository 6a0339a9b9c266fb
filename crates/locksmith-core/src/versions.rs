//! Versions that failed: what a machine tells its group, and what it takes from it.
//!
//! | group says | this machine's update agent says | what is done |
//! | --- | --- | --- |
//! | failed | nothing, or that it waits | [`Action::Refuse`] |
//! | nothing, good, or forgiven before the failure | failed here | [`Action::RecordFailed`] |
//! | forgiven after that | failed here | [`Action::Unhold`] |
//! | anything but failed | refused for the group | [`Action::Unhold`] |
//! | nothing, or forgiven | runs here and is blessed | [`Action::RecordGood`] |

use jiff::Timestamp;
use slots::Version;

use crate::semaphore::{Outcome, Semaphore, State, VersionRecord};

/// Stage of a version that a machine refuses because its group says so, in the words of `slipway-update refuse`.
pub const GROUP_STAGE: &str = "group";

/// What this machine's update agent says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Local {
    /// The version that runs; none if that is not known.
    pub running: Option<Version>,
    /// Whether it is blessed.
    pub blessed: bool,
    /// The version that waits for a reboot and is not held.
    pub waiting: Option<Version>,
    /// Versions that are not taken again. One that was forgiven here is none of them.
    pub failures: Vec<Failure>,
}

/// A version that is not taken again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The version.
    pub version: Version,
    /// When it failed.
    pub at: Timestamp,
    /// How far it came; [`GROUP_STAGE`] if it was never tried here.
    pub stage: String,
    /// What the failing check said.
    pub reason: String,
}

/// One thing to do about a version. Done again it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The update agent is not to take the version, and to take it back if it waits.
    Refuse {
        /// The version.
        version: Version,
        /// Why, for its users.
        reason: String,
    },
    /// The update agent may take the version again.
    Unhold {
        /// The version.
        version: Version,
    },
    /// The group is to know that the version failed here.
    RecordFailed {
        /// The version.
        version: Version,
        /// When it failed.
        at: Timestamp,
        /// How far it came.
        stage: String,
        /// What the failing check said.
        reason: String,
    },
    /// The group is to know that the version runs here and is blessed.
    RecordGood {
        /// The version.
        version: Version,
    },
}

impl Local {
    /// Returns the failure of a version that was tried here.
    pub fn failure(&self, version: &Version) -> Option<&Failure> {
        self.failures.iter().find(|failure| failure.version == *version && !failure.is_of_group())
    }

    /// Returns whether a version runs here and is blessed.
    pub fn runs_well(&self, version: &Version) -> bool {
        self.blessed && self.running.as_ref() == Some(version)
    }
}

impl Failure {
    /// Returns whether the version was never tried here, but failed in the group.
    pub fn is_of_group(&self) -> bool {
        self.stage == GROUP_STAGE
    }

    /// Returns what the group is to be told.
    pub fn outcome(&self) -> Outcome {
        let Self { version, at, stage, reason } = self.clone();
        Outcome::Failed { version, at, stage, reason }
    }
}

/// Returns what is to be done: first what others wait for, then what is this machine's.
///
/// What would change nothing is not in it, so nothing is left once all is done.
pub fn actions(group: &Semaphore, id: &str, local: &Local) -> Vec<Action> {
    let mut records = vec![];
    let mut agent = vec![];
    for failure in &local.failures {
        let version = failure.version.clone();
        let record = group.versions().get(&version);
        let failed = record.is_some_and(|record| matches!(record.state, State::Failed { .. }));
        if failed || local.runs_well(&version) {
            continue;
        }
        if failure.is_of_group() || record.is_some_and(|record| record.forgives(failure.at)) {
            agent.push(Action::Unhold { version });
        } else if group.record(id, &failure.outcome()) != *group {
            let Failure { version, at, stage, reason } = failure.clone();
            records.push(Action::RecordFailed { version, at, stage, reason });
        }
    }
    if let Some(version) = local.running.as_ref().filter(|version| local.runs_well(version)) {
        let outcome = Outcome::Good { version: version.clone(), at: Timestamp::UNIX_EPOCH };
        if group.record(id, &outcome) != *group {
            records.push(Action::RecordGood { version: version.clone() });
        }
    }
    for (version, record) in group.versions() {
        let VersionRecord { state: State::Failed { stage, reason }, by, .. } = record else { continue };
        // The version that runs is judged here.
        let is_known = local.failures.iter().any(|failure| failure.version == *version)
            || local.running.as_ref() == Some(version);
        if !is_known {
            let reason = format!("failed on {by}: {stage}: {reason}");
            agent.push(Action::Refuse { version: version.clone(), reason });
        }
    }
    records.into_iter().chain(agent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "m1";

    fn at(hour: i8) -> Timestamp {
        format!("2026-11-29T{hour:02}:00:00Z").parse().unwrap()
    }

    fn version() -> Version {
        "3.0.0".parse().unwrap()
    }

    fn failure(stage: &str, hour: i8) -> Failure {
        Failure { version: version(), at: at(hour), stage: stage.to_owned(), reason: "no answer".to_owned() }
    }

    fn failed_here(hour: i8) -> Local {
        Local { failures: vec![failure("health-failed", hour)], ..Local::default() }
    }

    fn refused() -> Local {
        Local { failures: vec![failure(GROUP_STAGE, 1)], ..Local::default() }
    }

    fn group(hours: &[(&str, i8)]) -> Semaphore {
        hours.iter().fold(Semaphore::default(), |group, (what, hour)| match *what {
            "failed" => group.record("m2", &failure("health-failed", *hour).outcome()),
            "good" => group.record("m2", &Outcome::Good { version: version(), at: at(*hour) }),
            _ => group.forgive(&version(), "m3", at(*hour)).unwrap(),
        })
    }

    fn words(group: &Semaphore, local: &Local) -> Vec<&'static str> {
        let word = |action: &Action| match action {
            Action::Refuse { .. } => "refuse",
            Action::Unhold { .. } => "unhold",
            Action::RecordFailed { .. } => "failed",
            Action::RecordGood { .. } => "good",
        };
        actions(group, ME, local).iter().map(word).collect()
    }

    #[test]
    fn a_version_that_failed_in_the_group_is_refused_whether_it_waits_or_not() {
        let group = group(&[("failed", 1)]);
        let waits = Local { waiting: Some(version()), ..Local::default() };
        for local in [Local::default(), waits] {
            let reason = "failed on m2: health-failed: no answer".to_owned();
            assert_eq!(actions(&group, ME, &local), [Action::Refuse { version: version(), reason }]);
        }
    }

    #[test]
    fn a_version_that_is_refused_already_or_runs_is_left_alone() {
        let group = group(&[("failed", 1)]);
        assert_eq!(words(&group, &refused()), [""; 0]);
        assert_eq!(words(&group, &failed_here(2)), [""; 0]);
        for blessed in [false, true] {
            let local = Local { running: Some(version()), blessed, ..Local::default() };
            assert_eq!(words(&group, &local), [""; 0]);
        }
    }

    #[test]
    fn a_failure_is_told_unless_it_was_forgiven_after_it() {
        assert_eq!(words(&group(&[]), &failed_here(2)), ["failed"]);
        assert_eq!(words(&group(&[("good", 1)]), &failed_here(2)), ["failed"]);
        assert_eq!(words(&group(&[("failed", 0), ("forgiven", 1)]), &failed_here(2)), ["failed"]);
        assert_eq!(words(&group(&[("failed", 0), ("forgiven", 3)]), &failed_here(2)), ["unhold"]);
    }

    #[test]
    fn a_version_that_became_good_after_it_was_forgiven_stays_forgiven() {
        let group = group(&[("failed", 1), ("forgiven", 2), ("good", 3)]);
        assert_eq!(words(&group, &failed_here(1)), ["unhold"]);
        assert_eq!(words(&group, &failed_here(4)), ["failed"]);
    }

    #[test]
    fn forgiving_reaches_a_failure_of_a_machine_whose_clock_is_ahead() {
        let group = group(&[("failed", 9), ("forgiven", 2)]);
        assert_eq!(words(&group, &failed_here(9)), ["unhold"]);
    }

    #[test]
    fn a_version_is_taken_again_once_the_group_does_not_say_that_it_failed() {
        assert_eq!(words(&group(&[]), &refused()), ["unhold"]);
        assert_eq!(words(&group(&[("good", 1)]), &refused()), ["unhold"]);
        assert_eq!(words(&group(&[("failed", 1), ("forgiven", 2)]), &refused()), ["unhold"]);
    }

    #[test]
    fn a_version_that_is_blessed_here_is_told_once() {
        let local = Local { running: Some(version()), blessed: true, ..Local::default() };
        assert_eq!(words(&group(&[]), &local), ["good"]);
        assert_eq!(words(&group(&[("good", 1)]), &local), [""; 0]);
        assert_eq!(words(&group(&[("failed", 1), ("forgiven", 2)]), &local), ["good"]);
        assert_eq!(words(&group(&[]), &Local { blessed: false, ..local }), [""; 0]);
    }

    #[test]
    fn a_version_older_than_those_that_are_kept_is_not_told_again_and_again() {
        let newer = (1..=16).fold(Semaphore::default(), |group, n| {
            group.record("m2", &Outcome::Good { version: format!("4.0.{n}").parse().unwrap(), at: at(1) })
        });
        let local = Local { running: Some(version()), blessed: true, ..failed_here(1) };
        assert_eq!(words(&newer, &local), [""; 0]);
        assert_eq!(words(&newer, &failed_here(1)), [""; 0]);
    }
}
