//! What is known of a version from its entry and from what its tries left behind.

use crate::entry::EntryName;

/// How far a try came; each stage leaves a mark on the ESP, in the agent's state, or in pstore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The loader started it, and nothing else is known.
    Loader,
    /// The kernel ran.
    Kernel,
    /// The initrd ran.
    Initrd,
    /// User space of the new `/usr` ran.
    UserSpace,
    /// The health checks ran.
    Checks,
}

/// What one try left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryRecord {
    /// Number of the try from 1: the `<done>` of the entry's name while it ran.
    pub number: u32,
    /// The farthest stage it reached.
    pub stage: Stage,
    /// The text of the check that failed, or of the panic; `None` if nothing was found to be wrong.
    pub failure: Option<String>,
}

/// Why a version counts as failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailReason {
    /// Nothing is known of its last try: the machine died early, or the records are lost.
    NoRecord,
    /// Its last try ended before user space, and left no text.
    DiedAt(Stage),
    /// Its last try said what was wrong.
    Said {
        /// The stage that it had reached.
        stage: Stage,
        /// The text.
        text: String,
    },
}

/// What is to be thought of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Blessed: it worked.
    Good,
    /// Still being tried.
    OnTrial {
        /// Tries that are left.
        left: u32,
        /// Tries made.
        done: u32,
    },
    /// Never tried, and without tries: an operator put it last. Not failed.
    Withdrawn,
    /// Its tries are used up. It must not be taken again by itself.
    Failed(FailReason),
    /// Its tries are used up, but the last one was cut off in user space without a failed check: a power cut or
    /// an operator's reboot. Does not make the version bad.
    CutOff {
        /// The stage that the last try had reached.
        stage: Stage,
    },
}

/// Judges a version by the name of its entry and by the records of its tries, in any order.
///
/// Only the record of the entry's last try counts: a try without record died before it could leave one. With
/// all records lost, an entry without tries left counts as failed.
pub fn verdict(entry: &EntryName, records: &[TryRecord]) -> Verdict {
    let Some(counter) = entry.counter else { return Verdict::Good };
    let done = entry.tries_done();
    if 0 < counter.left {
        return Verdict::OnTrial { left: counter.left, done };
    }
    if done == 0 {
        return Verdict::Withdrawn;
    }
    match records.iter().find(|record| record.number == done) {
        None => Verdict::Failed(FailReason::NoRecord),
        Some(TryRecord { stage, failure: Some(text), .. }) => {
            Verdict::Failed(FailReason::Said { stage: *stage, text: text.clone() })
        }
        Some(TryRecord { stage, failure: None, .. }) if *stage < Stage::UserSpace => {
            Verdict::Failed(FailReason::DiedAt(*stage))
        }
        Some(TryRecord { stage, failure: None, .. }) => Verdict::CutOff { stage: *stage },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32, stage: Stage, failure: Option<&str>) -> TryRecord {
        TryRecord { number, stage, failure: failure.map(str::to_owned) }
    }

    #[track_caller]
    fn check(counter: &str, records: &[TryRecord], expected: Verdict) {
        let entry = EntryName::parse("slipway", &format!("slipway_0.2.0{counter}.efi")).unwrap();
        assert_eq!(verdict(&entry, records), expected);
    }

    #[test]
    fn a_name_without_counter_is_good_whatever_the_records_say() {
        check("", &[record(1, Stage::Checks, Some("docker"))], Verdict::Good);
    }

    #[test]
    fn tries_left_mean_on_trial() {
        check("+3", &[], Verdict::OnTrial { left: 3, done: 0 });
        check("+1-2", &[record(2, Stage::Kernel, None)], Verdict::OnTrial { left: 1, done: 2 });
    }

    #[test]
    fn used_up_tries_count_as_failed_even_when_the_records_are_lost() {
        check("+0-3", &[], Verdict::Failed(FailReason::NoRecord));
    }

    #[test]
    fn the_last_try_decides() {
        let early = record(1, Stage::UserSpace, None);
        check("+0-3", std::slice::from_ref(&early), Verdict::Failed(FailReason::NoRecord));
        let died = [record(3, Stage::Initrd, None), early.clone()];
        check("+0-3", &died, Verdict::Failed(FailReason::DiedAt(Stage::Initrd)));
        let said = [early, record(3, Stage::Checks, Some("docker did not answer"))];
        let text = "docker did not answer".to_owned();
        check("+0-3", &said, Verdict::Failed(FailReason::Said { stage: Stage::Checks, text }));
    }

    #[test]
    fn a_panic_in_user_space_is_a_failure_and_a_cut_is_none() {
        let text = "Attempted to kill init".to_owned();
        let panic = [record(2, Stage::UserSpace, Some(&text))];
        check("+0-2", &panic, Verdict::Failed(FailReason::Said { stage: Stage::UserSpace, text }));
        for stage in [Stage::UserSpace, Stage::Checks] {
            check("+0-2", &[record(2, stage, None)], Verdict::CutOff { stage });
        }
    }

    #[test]
    fn an_entry_put_last_before_any_try_did_not_fail() {
        check("+0-0", &[], Verdict::Withdrawn);
        check("+0", &[], Verdict::Withdrawn);
    }
}
