//! Steps one after another, and what a slot depends on.

use std::collections::BTreeSet;
use std::time::Duration;

use locksmith_core::order::{Fleet, Hold, LocalEtcd, Next, Phase, Step, Wish};
use locksmith_core::quorum::{MemberId, Role};
use locksmith_core::semaphore::{Semaphore, Slot};
use locksmith_core::strategy::{Etcd, Mode};
use locksmith_core::versions::Failure;
use locksmith_core::window::Standing;

use crate::lab::{Lab, at, back, check, held, lab, members, opens, others, told, version};

#[test]
fn a_slot_is_kept_until_the_machine_is_whole() {
    let role = Role::Voter;
    let etcd = |role, has_leader, behind| LocalEtcd::Member { id: MemberId(1), role, has_leader, behind };
    for (etcd, expected) in [
        (etcd(Role::Learner, true, 0), "release wait 5: etcd does not vote here yet"),
        (etcd(role, false, 0), "release wait 5: etcd has no leader here"),
        (etcd(role, true, 1001), "release wait 5: etcd is 1001 entries behind here"),
        (etcd(role, true, 1000), "release settle good 2.0.0: the machine is back"),
        (LocalEtcd::Absent, "release settle good 2.0.0: the machine is back"),
    ] {
        check(back(), |lab| lab.reading.etcd = etcd, expected);
    }
    check(
        back(),
        |lab| lab.seen.local.blessed = false,
        "release wait 5: this boot's version is not blessed yet",
    );
    let drained = Fleet::Here { hold: Hold::Draining, units: 0 };
    check(back(), |lab| lab.reading.fleet = drained, "release undrain: the machine is back");
    check(back(), |lab| lab.reading.fleet = Fleet::Inactive, "release wait 5: fleet does not answer here");
}

#[test]
fn a_slot_is_given_back_as_soon_as_the_boot_is_blessed() {
    let mut lab = back();
    lab.seen.local.blessed = false;
    assert_eq!(told(&lab.act()), "release wait 5: this boot's version is not blessed yet");
    let step = lab.after(5).look();
    assert_eq!(
        told(&step),
        "release wait 10: this boot's version is not blessed yet",
        "nothing is read for it"
    );
    lab.seen.local.blessed = true;
    assert_eq!(told(&lab.after(5).act()), "release settle good 2.0.0: the machine is back");
}

#[test]
fn a_machine_that_was_drained_and_lost_its_slot_undrains_itself() {
    let lost = |lab: &mut Lab| {
        lab.semaphore(|semaphore| semaphore.take_away("m1").unwrap());
        lab.reading.fleet = Fleet::Here { hold: Hold::Draining, units: 0 };
    };
    check(back(), lost, "release undrain: the machine is back");
    let undrained = |lab: &mut Lab| {
        lost(lab);
        lab.reading.fleet = Fleet::Here { hold: Hold::None, units: 0 };
    };
    check(back(), undrained, "release settle neither: the machine is back");
}

#[test]
fn what_became_of_the_version_is_said_with_the_slot() {
    let failure = Failure {
        version: version(2),
        at: at(950),
        stage: "health-failed".to_owned(),
        reason: "no answer".to_owned(),
    };
    let fell_back = |lab: &mut Lab| {
        lab.seen.local.running = Some(version(1));
        lab.seen.local.failures = vec![failure.clone()];
    };
    check(back(), fell_back, "release settle failed 2.0.0: the machine is back");
    let other = |lab: &mut Lab| lab.seen.local.running = Some(version(1));
    check(back(), other, "release settle neither: the machine is back");
    let of_group = |lab: &mut Lab| {
        fell_back(lab);
        lab.seen.local.failures[0].stage = "group".to_owned();
    };
    check(back(), of_group, "release settle neither: the machine is back");
}

#[test]
fn slots_of_the_original_s_and_by_hand_are_told_apart() {
    let value = |text: &'static str| {
        move |lab: &mut Lab| lab.reading.semaphore = Ok(Semaphore::parse(text.as_bytes()).unwrap())
    };
    let settle = "release settle neither: the machine is back";
    check(lab(), value(r#"{"max":1,"holders":["m1"]}"#), settle);
    let by_hand = |since: u64| {
        move |lab: &mut Lab| {
            let slot = Slot { since: Some(at(since)), ..Slot::default() };
            lab.seen.me.booted = at(900);
            lab.seen.local.waiting = None;
            lab.semaphore(|semaphore| semaphore.lock("m1", slot.clone()).unwrap());
        }
    };
    check(lab(), by_hand(899), settle);
    check(lab(), by_hand(900), "idle wait 300: nothing waits for a reboot");
}

#[test]
fn units_move_away_before_the_reboot_but_not_for_ever() {
    let mut lab = held();
    lab.reading.fleet = Fleet::Here { hold: Hold::None, units: 2 };
    assert_eq!(told(&lab.act()), "drain drain 600: 2 units are to move away");
    lab.reading.fleet = Fleet::Here { hold: Hold::Draining, units: 1 };
    assert_eq!(told(&lab.after(100).act()), "drain drain 500: 1 units are to move away");
    let found = told(&lab.after(500).act());
    assert_eq!(found, "reboot reboot: version 2.0.0 waits for a reboot; 1 units did not move away in time");
}

#[test]
fn that_the_machine_is_drained_is_said_before_it_is() {
    let mut lab = held();
    lab.reading.fleet = Fleet::Here { hold: Hold::None, units: 2 };
    lab.semaphore(|semaphore| {
        let slot = semaphore.slot("m1").unwrap().clone();
        semaphore.unlock("m1").unwrap().lock("m1", Slot { drained: false, ..slot }).unwrap()
    });
    assert_eq!(told(&lab.act()), "drain lock drained: the machine is to be drained");
    // An operator's drain is left alone.
    lab.reading.fleet = Fleet::Here { hold: Hold::Draining, units: 0 };
    opens(&mut lab);
    assert!(told(&lab.act()).starts_with("give-back unlock"), "{:?}", lab.act());
}

#[test]
fn an_attempt_that_fails_gives_its_slot_back_and_pauses() {
    let mut lab = held();
    lab.reading.fleet = Fleet::Here { hold: Hold::None, units: 2 };
    assert!(told(&lab.act()).starts_with("drain drain"));
    assert_eq!(told(&lab.fail().act()), "drain wait 5: it failed");
    assert_eq!(told(&lab.after(5).act()), "give-back unlock: it failed");
    lab.semaphore(|semaphore| semaphore.unlock("m1").unwrap());
    assert!(told(&lab.act()).starts_with("lock lock"));
}

#[test]
fn pauses_between_attempts_double_up_to_five_minutes() {
    let mut lab = lab();
    lab.semaphore(|semaphore| semaphore.set_max(0));
    let mut waits = vec![];
    for _ in 0..8 {
        let Step { next: Next::Wait { until }, .. } = lab.act() else { panic!("it does not wait") };
        let wait = until.since(lab.seen.moment).as_secs();
        lab.after(wait);
        waits.push(wait);
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
    lab.seen.dice = 255;
    let Step { next: Next::Wait { until }, .. } = lab.act() else { panic!("it does not wait") };
    assert!((328..=330).contains(&until.since(lab.seen.moment).as_secs()));
}

#[test]
fn a_slot_that_may_be_free_is_asked_for_soon_and_a_quorum_is_not() {
    let mut asks = lab();
    asks.semaphore(|semaphore| semaphore.set_max(0));
    assert_eq!(told(&asks.act()), "lock wait 10: semaphore is at 0");
    asks.seen.has_news = true;
    asks.semaphore(|semaphore| semaphore.set_max(1));
    assert!(told(&asks.act()).starts_with("lock lock"));
    let mut asks = lab();
    asks.reading.members = Some(members(&[2]));
    let refused = told(&asks.act());
    assert!(refused.starts_with("lock wait 10: reboot would lose quorum"), "{refused}");
    asks.seen.has_news = true;
    let still = told(&asks.act());
    assert!(still.starts_with("lock wait 10: "), "{still}");
}

#[test]
fn a_wait_for_others_is_warned_of_each_hour() {
    let mut lab = lab();
    lab.semaphore(|semaphore| semaphore.set_max(0));
    let mut warnings = vec![];
    for _ in 0..9_000 / 10 {
        warnings.extend(lab.act().warning);
        lab.after(10);
    }
    assert_eq!(warnings, ["waiting for 60 min: semaphore is at 0", "waiting for 120 min: semaphore is at 0"]);
}

#[test]
fn users_are_told_five_minutes_before_and_again_after_a_while() {
    let mut lab = lab();
    lab.seen.terminals = 1;
    assert!(told(&lab.act()).starts_with("notice notify"));
    let waits = "notice wait 300: version 2.0.0 waits for a reboot; 1 terminals were told";
    assert_eq!(told(&lab.act()), waits);
    let mut early = lab.clone();
    early.seen.terminals = 0;
    assert!(told(&early.after(10).act()).starts_with("lock lock"), "nobody is left to be told");
    lab.semaphore(|semaphore| semaphore.set_max(0));
    assert_eq!(told(&lab.after(300).act()), "lock wait 310: semaphore is at 0");
    lab.semaphore(|semaphore| semaphore.set_max(1));
    assert!(told(&lab.clone().after(900).act()).starts_with("lock lock"));
    assert!(told(&lab.after(901).act()).starts_with("notice notify"));
}

#[test]
fn users_who_were_told_are_not_told_again_however_long_units_take() {
    let mut lab = lab();
    lab.seen.terminals = 1;
    assert!(told(&lab.act()).starts_with("notice notify"));
    assert!(told(&lab.act()).starts_with("notice wait 300"));
    assert!(told(&lab.after(300).act()).starts_with("lock lock"));
    let memory = lab.memory;
    let mut lab = Lab { memory, ..held() };
    lab.seen.terminals = 1;
    lab.after(1500);
    assert_eq!(told(&lab.act()), "reboot reboot: version 2.0.0 waits for a reboot");
}

#[test]
fn a_notice_that_nobody_got_does_not_count() {
    let mut lab = lab();
    lab.seen.terminals = 1;
    assert!(told(&lab.act()).starts_with("notice notify"));
    assert_eq!(told(&lab.fail().act()), "notice wait 5: it failed");
    assert!(told(&lab.after(5).act()).starts_with("notice notify"));
}

#[test]
fn a_reboot_that_does_not_come_is_asked_for_again() {
    let mut lab = held();
    assert!(told(&lab.act()).starts_with("reboot reboot"));
    opens(&mut lab);
    assert_eq!(told(&lab.after(1).act()), "reboot wait 600: the reboot is under way");
    lab.seen.standing = Standing::Always;
    assert!(told(&lab.after(600).act()).starts_with("reboot reboot"));
    assert_eq!(told(&lab.fail().act()), "reboot wait 606: it failed");
    assert_eq!(told(&lab.after(5).act()), "give-back undrain: it failed");
}

#[test]
fn an_operator_s_reboot_needs_no_window_and_names_what_it_starts() {
    let mut lab = lab();
    opens(&mut lab);
    lab.seen.wish = Wish::Reboot;
    let Next::Lock(slot) = lab.act().next else { panic!("it does not lock") };
    assert_eq!(slot.version, Some(version(2)));
    lab.seen.local.waiting = None;
    let Next::Lock(slot) = lab.clone().act().next else { panic!("it does not lock") };
    assert_eq!((slot.version, slot.boot.as_deref(), slot.member), (None, Some("b1"), Some(MemberId(1))));
}

#[test]
fn the_semaphore_is_left_alone_while_nothing_waits() {
    let mut lab = lab();
    lab.seen.local.waiting = None;
    assert_eq!(lab.look().next, Next::Read);
    lab.seen.reading = Some(lab.reading.clone());
    assert_eq!(told(&lab.take()), "idle wait 300: nothing waits for a reboot");
    assert_eq!(told(&lab.after(299).look()), "idle wait 300: nothing waits for a reboot");
    assert_eq!(lab.clone().after(1).look().next, Next::Read);
    lab.seen.local.waiting = Some(version(2));
    assert_eq!(lab.look().next, Next::Read, "what the group says of it is to be known at once");
}

#[test]
fn an_etcd_that_is_away_is_asked_less_and_less() {
    let mut lab = lab();
    lab.reading.semaphore = Err("no leader".to_owned());
    assert_eq!(told(&lab.act()), "release wait 5: the semaphore cannot be read: no leader");
    assert_eq!(told(&lab.act()), "release wait 5: the semaphore cannot be read: no leader");
    assert_eq!(told(&lab.after(5).act()), "release wait 15: the semaphore cannot be read: no leader");
}

#[test]
fn a_slot_is_broken_only_if_it_is_old_and_fleet_misses_its_machine() {
    let slot = Slot {
        since: Some(at(100)),
        boot: Some("b9".to_owned()),
        version: Some(version(2)),
        ..Slot::default()
    };
    let machines = |all: &[&str]| Some(all.iter().map(ToString::to_string).collect::<BTreeSet<_>>());
    let stale = |lab: &mut Lab| {
        others(lab, &slot);
        lab.seen.settings.break_stale = Some(Duration::from_secs(900));
        lab.reading.machines = machines(&["m1", "m3"]);
    };
    let why = "m2 has held a slot since 2025-11-24T16:01:40Z and is no machine of fleet's";
    check(lab(), stale, &format!("lock break m2: {why}"));
    let tried = "lock wait 10: version 2.0.0 is tried by m2 first";
    let but = |change: fn(&mut Lab)| {
        let mut lab = lab();
        stale(&mut lab);
        change(&mut lab);
        told(&lab.act())
    };
    assert_eq!(but(|lab| lab.seen.settings.break_stale = None), tried);
    assert_eq!(but(|lab| lab.seen.settings.break_stale = Some(Duration::from_secs(901))), tried);
    assert_eq!(but(|lab| lab.reading.machines = None), tried);
    assert_eq!(but(|lab| lab.reading.machines = Some(BTreeSet::new())), tried);
    assert_eq!(but(|lab| lab.reading.machines.as_mut().unwrap().extend(["m2".to_owned()])), tried);
    let by_hand = Slot { since: Some(at(100)), ..Slot::default() };
    let mut lab = lab();
    lab.seen.settings.break_stale = Some(Duration::from_secs(60));
    lab.reading.machines = machines(&["m1"]);
    others(&mut lab, &by_hand);
    assert_eq!(told(&lab.act()), "lock wait 10: semaphore is at 0");
}

#[test]
fn what_a_group_is_told_comes_before_an_attempt() {
    check(
        lab(),
        |lab| lab.reading.semaphore = Ok(Semaphore::default()),
        "versions record good 1.0.0: version 1.0.0 is good here",
    );
    let failure = |stage: &str| Failure {
        version: version(3),
        at: at(5),
        stage: stage.to_owned(),
        reason: "x".to_owned(),
    };
    check(
        lab(),
        |lab| lab.seen.local.failures = vec![failure("health-failed")],
        "versions record failed 3.0.0: version 3.0.0 failed here: health-failed: x",
    );
    check(
        lab(),
        |lab| lab.seen.local.failures = vec![failure("group")],
        "versions unhold 3.0.0: version 3.0.0 may be taken again, as its group says",
    );
}

#[test]
fn a_strategy_of_off_without_an_etcd_ends_at_once() {
    check(back(), |lab| lab.seen.mode = Mode::Off(Etcd::None), "off exit: the strategy is off");
}

#[test]
fn alone_a_machine_waits_for_its_window_and_its_users() {
    let mut lab = lab();
    lab.seen.mode = Mode::Alone;
    opens(&mut lab);
    assert!(told(&lab.look()).starts_with("window wait 60"));
    lab.seen.standing = Standing::Open { since: at(0), until: at(9_999) };
    lab.seen.terminals = 1;
    assert!(told(&lab.look()).starts_with("notice notify"));
    assert!(told(&lab.look()).starts_with("notice wait 300"));
    assert!(told(&lab.after(300).look()).starts_with("reboot reboot"));
    assert_eq!(told(&lab.fail().look()), "reboot wait 305: it failed");
    assert!(told(&lab.after(5).look()).starts_with("reboot reboot"));
}

#[test]
fn phases_have_words_and_states_of_the_original() {
    let names: BTreeSet<&str> = Phase::ALL.iter().map(|phase| phase.name()).collect();
    assert_eq!(names.len(), Phase::ALL.len());
    for phase in Phase::ALL {
        assert!(["running", "reboot-planned", "rebooting", "disabled"].contains(&phase.state()));
    }
}
