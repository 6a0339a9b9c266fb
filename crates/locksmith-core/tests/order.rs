//! The order of a reboot: what is done in each situation when each thing is seen.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use locksmith_core::order::{
    Fleet, Hold, Last, LocalEtcd, Me, Memory, Moment, Next, Phase, Reading, Seen, Settings, Step, Wish, step,
};
use locksmith_core::quorum::{Health, Member, MemberId, Role};
use locksmith_core::semaphore::{Outcome, Semaphore, Slot};
use locksmith_core::strategy::{Etcd, Mode};
use locksmith_core::versions::{Failure, Local};
use locksmith_core::window::Standing;
use slots::Version;

const START: u64 = 1_000;

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + i64::try_from(second).unwrap()).unwrap()
}

fn version(n: u64) -> Version {
    format!("{n}.0.0").parse().unwrap()
}

fn good(n: u64) -> Outcome {
    Outcome::Good { version: version(n), at: at(0) }
}

fn failed(n: u64) -> Outcome {
    let (stage, reason) = ("health-failed".to_owned(), "no answer".to_owned());
    Outcome::Failed { version: version(n), at: at(0), stage, reason }
}

fn members(down: &[u64]) -> Vec<Member> {
    let health = |id| if down.contains(&id) { Health::Down } else { Health::Healthy };
    (1..=3).map(|id| Member { id: MemberId(id), role: Role::Voter, health: health(id) }).collect()
}

/// A daemon whose machine runs 1.0.0, which its group knows, and where 2.0.0 waits.
#[derive(Debug, Clone)]
struct Lab {
    seen: Seen,
    reading: Reading,
    memory: Memory,
}

fn lab() -> Lab {
    let local =
        Local { running: Some(version(1)), blessed: true, waiting: Some(version(2)), failures: vec![] };
    let seen = Seen {
        now: at(START),
        moment: Moment(Duration::from_secs(START)),
        mode: Mode::Locked,
        me: Me { id: "m1".to_owned(), boot: "b1".to_owned(), booted: at(0) },
        local,
        wish: Wish::None,
        standing: Standing::Always,
        terminals: 0,
        last: Last::Done,
        reading: None,
        settings: Settings::default(),
        dice: 0,
    };
    let reading = Reading {
        semaphore: Ok(Semaphore::default().record("m1", &good(1))),
        etcd: LocalEtcd::Member { id: MemberId(1), role: Role::Voter, has_leader: true, behind: 0 },
        members: Some(members(&[])),
        fleet: Fleet::Here { hold: Hold::None, units: 2 },
        machines: None,
    };
    Lab { seen, reading, memory: Memory::default() }
}

/// The same with a slot of this boot, on a machine that has no units any more.
fn held() -> Lab {
    let mut lab = lab();
    let slot = Slot {
        since: Some(at(500)),
        boot: Some("b1".to_owned()),
        version: Some(version(2)),
        drained: true,
        ..Slot::default()
    };
    lab.reading.fleet = Fleet::Here { hold: Hold::Draining, units: 0 };
    lab.semaphore(|semaphore| semaphore.lock("m1", slot.clone()).unwrap());
    lab
}

/// The same after the reboot.
fn back() -> Lab {
    let mut lab = held();
    lab.seen.me = Me { boot: "b2".to_owned(), booted: at(900), ..lab.seen.me };
    lab.seen.local.running = Some(version(2));
    lab.seen.local.waiting = None;
    lab.reading.fleet = Fleet::Here { hold: Hold::None, units: 0 };
    lab
}

impl Lab {
    fn semaphore(&mut self, change: impl Fn(&Semaphore) -> Semaphore) {
        self.reading.semaphore = Ok(change(self.reading.semaphore.as_ref().unwrap()));
    }

    /// One step without a reading.
    fn look(&mut self) -> Step {
        self.seen.reading = None;
        self.take()
    }

    /// Steps until something is to be done, reading when it is asked for.
    fn act(&mut self) -> Step {
        let first = self.look();
        if first.next != Next::Read {
            return first;
        }
        self.seen.reading = Some(self.reading.clone());
        self.take()
    }

    fn take(&mut self) -> Step {
        let step = step(&self.seen, &self.memory);
        self.memory = step.memory.clone();
        self.seen.last = Last::Done;
        step
    }

    fn fail(&mut self) -> &mut Self {
        self.seen.last = Last::Failed { why: "it failed".to_owned() };
        self
    }

    fn after(&mut self, secs: u64) -> &mut Self {
        self.seen.moment = self.seen.moment.after(Duration::from_secs(secs));
        self.seen.now += Duration::from_secs(secs);
        self
    }
}

/// `phase next: why`, with what is waited for in seconds from the start.
fn told(step: &Step) -> String {
    let next = match &step.next {
        Next::Wait { until } => {
            format!("wait {}", until.0.as_secs().saturating_sub(START))
        }
        Next::Read => "read".to_owned(),
        Next::Notify => "notify".to_owned(),
        Next::Refuse { version, .. } => format!("refuse {version}"),
        Next::Unhold { version } => format!("unhold {version}"),
        Next::Record(outcome) => format!("record {}", word(outcome)),
        Next::Lock(slot) => format!("lock{}", if slot.drained { " drained" } else { "" }),
        Next::Drain { timeout } => format!("drain {}", timeout.as_secs()),
        Next::Undrain => "undrain".to_owned(),
        Next::Unlock => "unlock".to_owned(),
        Next::Settle(outcome) => format!("settle {}", word(outcome)),
        Next::Break { holder, .. } => format!("break {holder}"),
        Next::Reboot => "reboot".to_owned(),
        Next::Exit => "exit".to_owned(),
    };
    format!("{} {next}: {}", step.phase.name(), step.why)
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Good { version, .. } => format!("good {version}"),
        Outcome::Failed { version, .. } => format!("failed {version}"),
        Outcome::Neither => "neither".to_owned(),
    }
}

#[track_caller]
fn check(mut lab: Lab, change: impl Fn(&mut Lab), expected: &str) {
    change(&mut lab);
    assert_eq!(told(&lab.act()), expected);
}

fn opens(lab: &mut Lab) {
    lab.seen.standing = Standing::Opens { at: at(START + 3600) };
}

fn others(lab: &mut Lab, slot: &Slot) {
    lab.semaphore(|semaphore| semaphore.lock("m2", slot.clone()).unwrap());
}

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
            "reboot reboot: version 2.0.0 waits for a reboot",
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
