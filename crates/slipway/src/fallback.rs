//! What to do when a boot goes wrong: one pure decision over what this boot is and what happened.
//!
//! | event | counted boot | blessed boot |
//! | --- | --- | --- |
//! | initrd failed | record, reboot | count on the ESP; 2nd in a row: entry last if another blessed one exists; from the 3rd: prompt; else reboot |
//! | system stopped in emergency mode | record, reboot | prompt |
//! | health failed | record, reboot | stay up, degraded |
//! | health failed, `/usr` corrupted | record, reboot | stay up, degraded, counted like the initrd's failures |
//! | health passed | record the try as complete | clear the count |

use agent_support::boot::BootKind;

/// Failures in a row after which an entry is put last, if another blessed one exists.
pub const FAILURES_TO_PUT_LAST: u32 = 2;
/// Failures in a row after which a prompt is opened, if there is no other blessed entry.
pub const FAILURES_TO_PROMPT: u32 = 3;

/// What is known before the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Whether this boot is counted.
    pub kind: BootKind,
    /// Failures in a row of this entry before this one, as the ESP tells.
    pub failures: u32,
    /// Whether the ESP holds another entry without a counter.
    pub other_blessed: bool,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The initrd could not hand over to the root file system.
    InitrdFailed,
    /// The system itself stopped in emergency mode.
    EmergencyMode,
    /// A health check failed, or the system did not finish starting in time.
    HealthFailed,
    /// As `HealthFailed`, and the kernel met a block of `/usr` that does not verify.
    UsrCorrupted,
    /// All health checks passed.
    HealthPassed,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Record the try's stage and reason, and reboot.
    RecordAndReboot,
    /// Record that the try is complete; blessing follows.
    RecordComplete,
    /// Store the new count and reboot into the same entry.
    CountAndReboot { failures: u32 },
    /// Store the new count, rename the entry so that it sorts last, and reboot into another one.
    PutLastAndReboot { failures: u32 },
    /// Store the new count and open a rescue prompt on the console.
    CountAndPrompt { failures: u32 },
    /// Store the new count and stay up, degraded.
    CountAndStay { failures: u32 },
    /// Store the new count, rename the entry so that it sorts last, and stay up, degraded.
    PutLastAndStay { failures: u32 },
    /// Stay up, degraded; nothing is counted.
    StayDegraded,
    /// Open a prompt on the console; nothing is counted.
    Prompt,
    /// Forget the failures in a row.
    ClearFailures,
}

impl Decision {
    /// Returns the count to store, if there is one.
    pub fn failures(self) -> Option<u32> {
        match self {
            Self::CountAndReboot { failures }
            | Self::PutLastAndReboot { failures }
            | Self::CountAndPrompt { failures }
            | Self::CountAndStay { failures }
            | Self::PutLastAndStay { failures } => Some(failures),
            Self::RecordAndReboot
            | Self::RecordComplete
            | Self::StayDegraded
            | Self::Prompt
            | Self::ClearFailures => None,
        }
    }
}

/// Returns what to do when `event` happens in `situation`.
pub fn decide(situation: Situation, event: Event) -> Decision {
    let failures = situation.failures.saturating_add(1);
    let put_last = FAILURES_TO_PUT_LAST <= failures && situation.other_blessed;
    match (situation.kind, event) {
        (BootKind::Counted, Event::HealthPassed) => Decision::RecordComplete,
        (
            BootKind::Counted,
            Event::InitrdFailed | Event::EmergencyMode | Event::HealthFailed | Event::UsrCorrupted,
        ) => Decision::RecordAndReboot,
        (BootKind::Blessed, Event::InitrdFailed) if put_last => Decision::PutLastAndReboot { failures },
        (BootKind::Blessed, Event::InitrdFailed) if FAILURES_TO_PROMPT <= failures => {
            Decision::CountAndPrompt { failures }
        }
        (BootKind::Blessed, Event::InitrdFailed) => Decision::CountAndReboot { failures },
        (BootKind::Blessed, Event::UsrCorrupted) if put_last => Decision::PutLastAndStay { failures },
        (BootKind::Blessed, Event::UsrCorrupted) => Decision::CountAndStay { failures },
        (BootKind::Blessed, Event::EmergencyMode) => Decision::Prompt,
        (BootKind::Blessed, Event::HealthFailed) => Decision::StayDegraded,
        (BootKind::Blessed, Event::HealthPassed) => Decision::ClearFailures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILURES: [Event; 4] =
        [Event::InitrdFailed, Event::EmergencyMode, Event::HealthFailed, Event::UsrCorrupted];

    #[track_caller]
    fn check(kind: BootKind, failures: u32, other_blessed: bool, event: Event, expected: Decision) {
        assert_eq!(decide(Situation { kind, failures, other_blessed }, event), expected);
    }

    #[test]
    fn a_counted_boot_reboots_after_every_failure_whatever_else_is_there() {
        for event in FAILURES {
            for failures in [0, 1, 2, 7, u32::MAX] {
                for other in [false, true] {
                    check(BootKind::Counted, failures, other, event, Decision::RecordAndReboot);
                }
            }
        }
    }

    #[test]
    fn a_counted_boot_that_is_well_is_recorded_as_complete() {
        for other in [false, true] {
            check(BootKind::Counted, 0, other, Event::HealthPassed, Decision::RecordComplete);
            check(BootKind::Counted, 5, other, Event::HealthPassed, Decision::RecordComplete);
        }
    }

    #[test]
    fn a_blessed_entry_goes_last_after_two_initrd_failures_if_another_is_blessed() {
        let check =
            |failures, expected| check(BootKind::Blessed, failures, true, Event::InitrdFailed, expected);
        check(0, Decision::CountAndReboot { failures: 1 });
        check(1, Decision::PutLastAndReboot { failures: 2 });
        check(2, Decision::PutLastAndReboot { failures: 3 });
        check(u32::MAX, Decision::PutLastAndReboot { failures: u32::MAX });
    }

    #[test]
    fn a_lone_blessed_entry_prompts_from_the_third_initrd_failure_on() {
        let check =
            |failures, expected| check(BootKind::Blessed, failures, false, Event::InitrdFailed, expected);
        check(0, Decision::CountAndReboot { failures: 1 });
        check(1, Decision::CountAndReboot { failures: 2 });
        check(2, Decision::CountAndPrompt { failures: 3 });
        check(3, Decision::CountAndPrompt { failures: 4 });
    }

    #[test]
    fn a_corrupted_usr_on_a_blessed_boot_is_counted_but_never_reboots() {
        let check = |failures, other, expected| {
            check(BootKind::Blessed, failures, other, Event::UsrCorrupted, expected);
        };
        check(0, false, Decision::CountAndStay { failures: 1 });
        check(0, true, Decision::CountAndStay { failures: 1 });
        check(1, false, Decision::CountAndStay { failures: 2 });
        check(1, true, Decision::PutLastAndStay { failures: 2 });
        check(5, false, Decision::CountAndStay { failures: 6 });
    }

    #[test]
    fn a_failed_check_on_a_blessed_boot_leaves_the_machine_up() {
        for failures in [0, 1, 2, 9] {
            for other in [false, true] {
                check(BootKind::Blessed, failures, other, Event::HealthFailed, Decision::StayDegraded);
                check(BootKind::Blessed, failures, other, Event::EmergencyMode, Decision::Prompt);
                check(BootKind::Blessed, failures, other, Event::HealthPassed, Decision::ClearFailures);
            }
        }
    }
}
