//! What is done in each situation when each thing is seen.

use locksmith_core::order::{Fleet, LocalEtcd, Wish};
use locksmith_core::strategy::{Etcd, Mode};

use crate::lab::{Lab, back, failed, held, lab, members, opens, told, version};

/// What is seen beside the situation: each is looked at in each of them.
type Event = (&'static str, fn(&mut Lab));

const EVENTS: [Event; 16] = [
    ("nothing", |_| {}),
    ("window closes", opens),
    ("no version waits", |lab| lab.seen.local.waiting = None),
    ("another version waits", |lab| lab.seen.local.waiting = Some(version(3))),
    ("operator", |lab| lab.seen.wish = Wish::Reboot),
    ("users log in", |lab| lab.seen.terminals = 2),
    ("etcd is away", |lab| lab.reading.semaphore = Err("no leader".to_owned())),
    ("own etcd is silent", |lab| lab.reading.etcd = LocalEtcd::Silent),
    ("a member is down", |lab| lab.reading.members = Some(members(&[3]))),
    ("members say nothing", |lab| lab.reading.members = None),
    ("fleet is silent", |lab| lab.reading.fleet = Fleet::Silent),
    ("fleet is absent", |lab| lab.reading.fleet = Fleet::Absent),
    ("it failed in the group", |lab| lab.semaphore(|semaphore| semaphore.record("m2", &failed(2)))),
    ("max is 0", |lab| lab.semaphore(|semaphore| semaphore.set_max(0))),
    ("strategy is off", |lab| lab.seen.mode = Mode::Off(Etcd::Expected)),
    ("strategy is reboot", |lab| lab.seen.mode = Mode::Alone),
];

#[track_caller]
fn check_all(situation: fn() -> Lab, expected: [&str; EVENTS.len()]) {
    let found: Vec<String> = EVENTS
        .iter()
        .map(|(name, event)| {
            let mut lab = situation();
            event(&mut lab);
            format!("{name} -> {}", told(&lab.act()))
        })
        .collect();
    let expected: Vec<String> =
        EVENTS.iter().zip(expected).map(|((name, _), expected)| format!("{name} -> {expected}")).collect();
    assert_eq!(found, expected, "\n{}", found.join("\n"));
}

#[test]
fn a_version_that_waits_takes_a_slot_unless_something_is_in_the_way() {
    check_all(
        lab,
        [
            "lock lock drained: version 2.0.0 waits for a reboot",
            "window wait 60: version 2.0.0 waits for a reboot; the window opens at 2025-11-24T17:16:40Z",
            "idle wait 300: nothing waits for a reboot",
            "lock lock drained: version 3.0.0 waits for a reboot",
            "lock lock drained: version 2.0.0 waits for a reboot",
            "notice notify: version 2.0.0 waits for a reboot; telling 2 terminals",
            "release wait 5: the semaphore cannot be read: no leader",
            "lock wait 10: etcd does not answer here",
            "lock wait 10: reboot would lose quorum (2 of 3 healthy)",
            "lock wait 10: the members of etcd do not say how they are",
            "lock wait 10: fleet does not answer here",
            "lock lock: version 2.0.0 waits for a reboot",
            "versions refuse 2.0.0: version 2.0.0 failed on m2: health-failed: no answer",
            "lock wait 10: semaphore is at 0",
            "off exit: the strategy is off",
            "reboot reboot: version 2.0.0 waits for a reboot",
        ],
    );
}

#[test]
fn a_slot_of_this_boot_ends_in_a_reboot_or_is_given_back() {
    check_all(
        held,
        [
            "reboot reboot: version 2.0.0 waits for a reboot",
            "give-back undrain: the window has closed; it opens at 2025-11-24T17:16:40Z",
            "give-back undrain: nothing waits for a reboot any more",
            "give-back undrain: version 3.0.0 waits for a reboot, and the slot was taken for another reason",
            "reboot reboot: version 2.0.0 waits for a reboot",
            "give-back undrain: users are to be told first",
            "release wait 5: the semaphore cannot be read: no leader",
            "give-back undrain: etcd does not answer here",
            "give-back undrain: reboot would lose quorum (2 of 3 healthy)",
            "give-back undrain: the members of etcd do not say how they are",
            "give-back undrain: fleet does not answer here",
            "reboot reboot: version 2.0.0 waits for a reboot",
            "give-back undrain: version 2.0.0 failed on m2: health-failed: no answer",
            "reboot reboot: version 2.0.0 waits for a reboot",
            "give-back undrain: the strategy is off",
            "reboot reboot: version 2.0.0 waits for a reboot",
        ],
    );
}

#[test]
fn a_slot_of_the_boot_before_is_given_back_before_all_else() {
    let given_back = "release settle good 2.0.0: the machine is back";
    check_all(
        back,
        [
            given_back,
            given_back,
            given_back,
            given_back,
            given_back,
            given_back,
            "release wait 5: the semaphore cannot be read: no leader",
            "release wait 5: etcd does not answer here",
            given_back,
            given_back,
            "release wait 5: fleet does not answer here",
            given_back,
            given_back,
            given_back,
            given_back,
            "idle wait 300: nothing waits for a reboot",
        ],
    );
}
